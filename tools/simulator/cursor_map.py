"""From a daemon's cursor messages to the position of the cursor on the screen of a task."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rtdecode.artifact import infer_role
from rtdecode.errors import RtdecodeError
from rtdecode.tools.simulator.subject import Point

UNITS = "mm"


@dataclass(frozen=True)
class CursorSource:
    """Which columns of a message are the cursor.

    Attributes:
        kind: out, position or velocity.
        first, second: their indices in `out` or `value`.
    """

    kind: str
    first: int
    second: int


def choose_source(
    names: Sequence[str], units: Sequence[str], out_names: Sequence[str], out_units: Sequence[str], where: str
) -> CursorSource:
    """The output stage's first two axes if there is one, else the first two positions, else velocities.

    Args:
        names, units: of `value`.
        out_names, out_units: of `out`; empty without an output stage.
        where: for errors.

    Raises:
        RtdecodeError: there is no such pair, or it is not in mm.
    """
    if out_names:
        kind, pair, units = "out", (0, 1), out_units
        if len(out_names) < 2:
            raise RtdecodeError(
                f"the output stage has one axis ({out_names[0]}), but the task needs two",
                where=where,
                fix="serve an output stage of two axes",
            )
    else:
        roles = [infer_role(name, unit) for name, unit in zip(names, units, strict=True)]
        for kind in ("position", "velocity"):
            found = [i for i, role in enumerate(roles) if role == kind]
            if len(found) >= 2:
                pair = (found[0], found[1])
                break
        else:
            raise RtdecodeError(
                f"the model decodes {', '.join(names)}, which has neither two positions nor two velocities",
                where=where,
                fix="serve a model of x,y or vx,vy, or an output stage",
            )
    expected = f"{UNITS}/s" if kind == "velocity" else UNITS
    if any(units[i] != expected for i in pair):
        raise RtdecodeError(
            f"the cursor is in {units[pair[0]]!r}, but the task is in {expected}",
            where=where,
            fix='serve an output stage with units = "mm"',
        )
    return CursorSource(kind, *pair)


class CursorMap:
    """Follows a cursor message by message, and integrates velocities.

    Args:
        source: columns of the cursor.
        limit_mm: distance of the screen's edge from the centre on each axis, mm.
        centre_mm: centre of the screen, where an integrated cursor starts, mm.

    Attributes:
        position: of the cursor, mm.
    """

    def __init__(self, source: CursorSource, limit_mm: float, centre_mm: Point = (0.0, 0.0)) -> None:
        self.source = source
        self.position: Point = centre_mm
        self._limit, self._centre = limit_mm, centre_mm

    def reset(self) -> None:
        """Put an integrated cursor back to the centre."""
        self.position = self._centre

    def update(self, value: Sequence[float], out: Sequence[float] | None, elapsed_s: float) -> Point | None:
        """Apply one message.

        Args:
            value, out: of the message.
            elapsed_s: time since the previous message, from their bins, s.

        Returns:
            Position of the cursor, mm; None if the message lacks the columns of the source.
        """
        numbers = out if self.source.kind == "out" else value
        if numbers is None or len(numbers) <= max(self.source.first, self.source.second):
            return None
        a, b = float(numbers[self.source.first]), float(numbers[self.source.second])
        if self.source.kind == "velocity":
            a, b = self.position[0] + a * elapsed_s, self.position[1] + b * elapsed_s
        edge, (cx, cy) = self._limit, self._centre
        self.position = min(max(a, cx - edge), cx + edge), min(max(b, cy - edge), cy + edge)
        return self.position
