"""From a daemon's cursor messages to where the cursor is on the screen of a task."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rtdecode.artifact import infer_role
from rtdecode.errors import RtdecodeError
from rtdecode.tools.simulator.subject import Point

UNITS = "mm"


@dataclass(frozen=True)
class CursorSource:
    """Which numbers of a message are the cursor.

    Attributes:
        kind: out, position or velocity.
        first, second: where they lie in `out` or `value`.
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
        out_names, out_units: of `out`; empty without one.
        where: for errors.

    Raises:
        RtdecodeError: there is no such pair, or it is not in mm.
    """
    if out_names:
        pair, told = (0, 1), list(out_units)
        kind = "out"
        if len(out_names) < 2:
            raise RtdecodeError(
                f"the output stage has one axis ({out_names[0]}), and the task has two", where=where
            )
    else:
        roles = [infer_role(name, unit) for name, unit in zip(names, units, strict=True)]
        told = list(units)
        for kind in ("position", "velocity"):
            found = [i for i, role in enumerate(roles) if role == kind]
            if len(found) >= 2:
                pair = (found[0], found[1])
                break
        else:
            raise RtdecodeError(
                f"the model decodes {', '.join(names)}: neither two positions nor two velocities",
                where=where,
                fix="serve a model of x,y or vx,vy, or an output stage",
            )
    wanted = f"{UNITS}/s" if kind == "velocity" else UNITS
    if any(told[i] != wanted for i in pair):
        raise RtdecodeError(
            f"the cursor is in {told[pair[0]]!r}, and the task in {wanted}",
            where=where,
            fix="serve an output stage whose units are mm",
        )
    return CursorSource(kind, *pair)


class CursorMap:
    """Follows a cursor, message by message; velocities are integrated here.

    Args:
        source: which numbers.
        limit_mm: the edge of the screen, from the middle, on each axis.
        centre_mm: the middle, where an integrated cursor begins.

    Attributes:
        position: where the cursor is, mm.
    """

    def __init__(self, source: CursorSource, limit_mm: float, centre_mm: Point = (0.0, 0.0)) -> None:
        self.source = source
        self.position: Point = centre_mm
        self._limit, self._centre = limit_mm, centre_mm

    def home(self) -> None:
        """Put an integrated cursor back to the middle."""
        self.position = self._centre

    def take(self, value: Sequence[float], out: Sequence[float] | None, passed_s: float) -> Point | None:
        """One message.

        Args:
            value, out: of the message.
            passed_s: since the message before, by its bins.

        Returns:
            Where the cursor is; None where the message lacks what the source says.
        """
        numbers = out if self.source.kind == "out" else value
        if numbers is None or len(numbers) <= max(self.source.first, self.source.second):
            return None
        a, b = float(numbers[self.source.first]), float(numbers[self.source.second])
        if self.source.kind == "velocity":
            a, b = self.position[0] + a * passed_s, self.position[1] + b * passed_s
        edge, (cx, cy) = self._limit, self._centre
        self.position = min(max(a, cx - edge), cx + edge), min(max(b, cy - edge), cy + edge)
        return self.position
