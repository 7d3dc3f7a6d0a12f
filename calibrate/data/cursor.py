"""The cursor that the subject saw in a closed-loop session, and the outputs that are its axes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from rtdecode.artifact import Output, infer_role
from rtdecode.calibrate.data.velocities import velocity_columns
from rtdecode.errors import RtdecodeError
from rtdecode.kernels.arrays import F4, Mask
from rtdecode.messages import Flag
from rtdecode.session.layout import Behavior, Decoded, Session

#: Axes of a target in /trials.
AXES = 2

#: Prefix of the columns of /behavior that were displayed, beside a hand's x and y.
ON_SCREEN = "cursor_"

#: Flags of bins in which the subject did not steer the cursor.
UNSTEERED = int(Flag.FAILSAFE | Flag.PAUSED | Flag.STALE)


@dataclass(frozen=True, eq=False)
class Cursor:
    """Where the cursor was.

    Attributes:
        samples: its position, two columns, x and y of the targets.
        source: the part of the file that it is from, such as /decoded/out.
    """

    samples: Behavior
    source: str

    @property
    def axes(self) -> list[Output]:
        """The two positions, as outputs."""
        return [
            Output(name, units, 0.0, 1.0, "position")
            for name, units in zip(self.samples.names, self.samples.units, strict=True)
        ]


def on_screen(name: str) -> bool:
    """Whether a column of /behavior holds the displayed cursor, and not a movement of the subject."""
    return name.startswith(ON_SCREEN)


def find_cursor(session: Session, units: Mapping[str, str]) -> Cursor:
    """The cursor of a session: as displayed, else of the output stage, else decoded, else recorded.

    The displayed cursor is cursor_x and cursor_y of /behavior; x and y may be a hand there. The first two
    positions are the axes of the targets, in this order. Bins decoded while the stream was away or paused
    are left out.

    Args:
        session: with /decoded or /behavior.
        units: of outputs by name, for decoded values, whose units are not in the file.

    Raises:
        RtdecodeError: there is no position of two axes.
    """
    for source, samples in _candidates(session, units):
        columns = [
            i
            for i, (name, unit) in enumerate(zip(samples.names, samples.units, strict=True))
            if infer_role(name, unit) == "position"
        ][:AXES]
        if len(columns) == AXES and len(samples.time):
            names, of = (
                tuple(texts[column] for column in columns) for texts in (samples.names, samples.units)
            )
            return Cursor(Behavior(samples.time, samples.values[:, columns], names, of), source)
    raise RtdecodeError(
        "has no cursor position, x and y, which intended velocities start from",
        where=str(session.path or session.name),
        fix="record the cursor as behaviour, or serve --record with an output stage",
    )


def axis_of(outputs: Sequence[Output], cursor: Cursor, where: str) -> list[tuple[int, bool]]:
    """For each output, its axis of the cursor and whether it is a velocity.

    A position is named as the cursor's; `velocity_columns` pairs a velocity with it: vx with x.

    Raises:
        RtdecodeError: an output is not of the cursor, or in other units.
    """
    axes = cursor.axes
    velocities = [output for output in outputs if output.role == "velocity"]
    paired = velocity_columns([*axes, *velocities])
    found: dict[str, tuple[int, bool]] = {}
    for axis, output in enumerate(axes):
        found[output.name] = (axis, False)
        column = paired[axis]
        if column is not None:
            found[velocities[column - len(axes)].name] = (axis, True)
    axis_and_kind = []
    for output in outputs:
        if output.name not in found:
            raise RtdecodeError(
                f"{output.name!r} is neither a position nor a velocity of the cursor "
                f"({', '.join(axis.name for axis in axes)}), so it has no intended velocity",
                where=where,
                fix="leave it out with --outputs, or name another base with --base",
            )
        axis, velocity = found[output.name]
        expected = axes[axis].units + ("/s" if velocity else "")
        if output.units != expected:
            raise RtdecodeError(
                f"{output.name} is in {output.units!r}, and the cursor in {axes[axis].units!r}",
                where=where,
                fix="use a model with the cursor's units",
            )
        axis_and_kind.append((axis, velocity))
    return axis_and_kind


def cursor_outputs(session: Session, names: Sequence[str] | None) -> list[Output]:
    """Positions and velocities of the cursor, those of these names; None for both velocities.

    Velocities have the names that they have in /behavior, or vx and vy for x and y where none was recorded.

    Raises:
        RtdecodeError: there is no cursor, or it has nothing of such a name.
    """
    cursor = find_cursor(session, {})
    velocities = _velocities(session, cursor)
    if names is None:
        return velocities
    available = {output.name: output for output in (*cursor.axes, *velocities)}
    for name in names:
        if name not in available:
            raise RtdecodeError(
                f"has no ReFIT labels for {name!r}, only for {', '.join(available)}",
                where=str(session.path or session.name),
                fix="name some of these with --outputs",
            )
    return [available[name] for name in names]


def _velocities(session: Session, cursor: Cursor) -> list[Output]:
    axes, behavior = cursor.axes, session.behavior
    recorded = [] if behavior is None else list(zip(behavior.names, behavior.units, strict=True))
    velocities = [
        Output(name, units, 0.0, 1.0, "velocity")
        for name, units in recorded
        if infer_role(name, units) == "velocity"
    ]
    paired = velocity_columns([*axes, *velocities])
    return [
        Output(f"v{axis.name}", f"{axis.units}/s", 0.0, 1.0, "velocity")
        if (column := paired[i]) is None
        else velocities[column - len(axes)]
        for i, axis in enumerate(axes)
    ]


def _candidates(session: Session, units: Mapping[str, str]) -> list[tuple[str, Behavior]]:
    candidates: list[tuple[str, Behavior]] = []
    decoded, behavior = session.decoded, session.behavior
    if behavior is not None and (columns := [i for i, name in enumerate(behavior.names) if on_screen(name)]):
        names = tuple(behavior.names[i].removeprefix(ON_SCREEN) for i in columns)
        shown = Behavior(
            behavior.time, behavior.values[:, columns], names, tuple(behavior.units[i] for i in columns)
        )
        candidates.append(("/behavior on the screen", shown))
    if decoded is not None:
        if decoded.out is not None:
            out = decoded.out
            candidates.append(("/decoded/out", _steered(decoded, out.values, out.names, out.units)))
        if decoded.names:
            recorded = dict(zip(behavior.names, behavior.units, strict=True)) if behavior is not None else {}
            found = tuple((recorded | dict(units)).get(name, "") for name in decoded.names)
            candidates.append(("/decoded/values", _steered(decoded, decoded.values, decoded.names, found)))
    if behavior is not None:
        candidates.append(("/behavior", behavior))
    return candidates


def _steered(decoded: Decoded, values: F4, names: tuple[str, ...], units: tuple[str, ...]) -> Behavior:
    """Finite values of the bins that the subject steered, in rising time."""
    kept: Mask = (decoded.flags & np.uint32(UNSTEERED)) == 0
    time = decoded.t_bin
    kept &= np.isfinite(values).all(axis=1)
    kept &= np.diff(np.maximum.accumulate(time), prepend=-np.inf) > 0
    return Behavior(time[kept], values[kept], names, units)
