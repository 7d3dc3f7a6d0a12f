"""The plane of the cursor: its axes, the trail, and the visible square."""

from __future__ import annotations

import math
from collections import deque
from typing import NamedTuple

from rtdecode.client.status import Status
from rtdecode.messages import Cursor

#: The view covers cursor and targets of these last bins (half a minute at 20 ms).
EXTENT_BINS = 1500

#: The view shrinks once its content takes less than this part of it.
SHRINK_BELOW = 0.35
MARGIN = 0.12


class Axis(NamedTuple):
    """One axis.

    Attributes:
        source: "out" or "value", the key in a cursor message.
        column: its index there.
        name, units: as labels.
    """

    source: str
    column: int
    name: str
    units: str


class Point(NamedTuple):
    """The position of the cursor in one bin."""

    bin: int
    x: float
    y: float


class Extent(NamedTuple):
    """A square in the plane: its centre, and half its side."""

    x: float
    y: float
    half: float


def axes_of(status: Status) -> tuple[Axis, Axis] | None:
    """The two axes that are drawn.

    The output stage's cursor if there is one, else the decoded positions, else the first two outputs.

    Returns:
        None for a model with one output.
    """
    out = status.out or {}
    listed = _axes("out", out.get("names"), out.get("units"))
    if len(listed) >= 2:
        return listed[0], listed[1]
    listed = _axes("value", status.names, status.units)
    positions = [axis for axis in listed if status.roles[axis.column : axis.column + 1] == ["position"]]
    chosen = positions if len(positions) >= 2 else listed
    return (chosen[0], chosen[1]) if len(chosen) >= 2 else None


def _axes(source: str, names: list[str] | None, units: list[str] | None) -> list[Axis]:
    pairs = zip(names or (), units or (), strict=False)
    return [Axis(source, i, str(name), str(unit)) for i, (name, unit) in enumerate(pairs)]


def point_of(cursor: Cursor, axes: tuple[Axis, Axis]) -> Point | None:
    """The position of a cursor; None if its message lacks the axes."""
    numbers = []
    for axis in axes:
        source = cursor.value if axis.source == "value" else cursor.out
        if not isinstance(source, list) or axis.column >= len(source):
            return None
        numbers.append(source[axis.column])
    return Point(cursor.bin, *numbers)


class Plane:
    """The trail of the cursor, and the visible square.

    The square changes seldom: it grows when cursor or target would leave it, shrinks when they need little of
    it, and its side is a round number of units.

    Args:
        trail_bins: bins of the drawn trail.

    Attributes:
        trail: the last points, the newest last.
        extent: the visible square; None before the first point.
    """

    def __init__(self, trail_bins: int) -> None:
        self.trail: deque[Point] = deque(maxlen=trail_bins)
        self.extent: Extent | None = None
        self._seen: deque[tuple[float, float, float]] = deque(maxlen=EXTENT_BINS)

    @property
    def digits(self) -> int:
        """Decimals to show: about a thousandth of the square."""
        return 1 if self.extent is None else max(0, 3 - math.ceil(math.log10(self.extent.half)))

    def add(self, point: Point) -> None:
        """Add the next point."""
        self.trail.append(point)
        self._seen.append((point.x, point.y, 0.0))

    def aim(self, x: float, y: float, radius: float) -> None:
        """Keep a target in view, as long as a point."""
        self._seen.append((x, y, radius))

    def fit(self) -> None:
        """Fit the square to recent points and targets; called before drawing."""
        if not self._seen:
            return
        low_x, high_x = min(x - r for x, _, r in self._seen), max(x + r for x, _, r in self._seen)
        low_y, high_y = min(y - r for _, y, r in self._seen), max(y + r for _, y, r in self._seen)
        needed = max(high_x - low_x, high_y - low_y) / 2
        if (e := self.extent) is not None:
            inside = e.x - e.half <= low_x and high_x <= e.x + e.half
            inside = inside and e.y - e.half <= low_y and high_y <= e.y + e.half
            if inside and needed >= SHRINK_BELOW * e.half:
                return
        half = round_up(needed * (1 + 2 * MARGIN))
        step = half / 10
        x, y = (round(centre / step) * step for centre in ((low_x + high_x) / 2, (low_y + high_y) / 2))
        self.extent = Extent(x, y, half)


def round_up(number: float) -> float:
    """The next of 1, 1.5, 2, 3, 5, 7.5, 10 times a power of ten; 1 for 0."""
    if not number > 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(number))
    return next((s * power for s in (1.0, 1.5, 2.0, 3.0, 5.0, 7.5) if s * power >= number), 10.0 * power)
