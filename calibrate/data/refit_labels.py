"""What a subject wanted while it steered a cursor to targets, as labels for a decoder (ReFIT).

    labels = intention_labels(session, binned.t_bin, outputs)
    labels.targets  # f4[T, D], as the outputs; NaN where nobody knows

Whoever steers a cursor wants it to go straight to the target at each moment, whatever the decoder makes of
it (Gilja et al. 2012, Nat. Neurosci. 15). So the velocity that was wanted points from the cursor to the
target. How fast, nobody knows. ReFIT keeps the speed of the cursor, which is what the decoder in use made of
the same spikes: a decoder that learnt it would be praised for agreeing with that one. Here the speed is one
for all, and falls on the last quarter of the way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtdecode.artifact import Output
from rtdecode.calibrate.data.cursor import axis_of, find_cursor
from rtdecode.errors import RtdecodeError
from rtdecode.session.bins import WHOLE_BIN, behavior_at
from rtdecode.session.layout import Session, Trials

F8 = NDArray[np.float64]

#: What provenance, options and documents call these labels, and those that were recorded.
REFIT, RECORDED = "refit", "recorded"

#: From the start of a trial until the subject can have seen its target.
REACTION_S = 0.2

#: Last part of the way from where a trial began, on which the wanted speed falls to 0.
SLOWING = 0.25

#: A cursor further from the target than so many times the way that the trial began with is lost.
LOST = 2.0


@dataclass(frozen=True, eq=False)
class IntentionLabels:
    """What was wanted in a session.

    Attributes:
        outputs: D, those that were asked for; mean and SD are not told here.
        targets: f4[T, D]; NaN where unknown in every column.
        speed: that is wanted on the way, in the cursor's units per second.
        cursor: the part of the file whose position it was told by.
    """

    outputs: tuple[Output, ...]
    targets: NDArray[np.float32]
    speed: float
    cursor: str

    def note(self) -> str:
        """What someone must know who reads scores against these labels."""
        units = next(output.units for output in self.outputs if output.role == "velocity")
        shown = ", ".join(output.name for output in self.outputs if output.role == "position")
        return (
            f"labels are intention: from the cursor ({self.cursor}) towards the target at {self.speed:.0f} "
            f"{units}; scores are against these labels, not against a movement"
            + (f"; {shown} was learnt as the cursor was shown" if shown else "")
        )


def intention_labels(
    session: Session,
    t_bin: F8,
    outputs: Sequence[Output],
    speed: float | None = None,
) -> IntentionLabels:
    """Labels of a closed-loop session.

    A velocity gets what was wanted (`wanted`). A position gets where the cursor was, which the subject saw:
    ReFIT takes it for known, too.

    Args:
        session: with trials that have targets, and the position of a cursor.
        t_bin: f8[T], rising, ends of bins, seconds.
        outputs: what is decoded.
        speed: that is wanted on the way, units per second; None for that of the session (`task_speed`).

    Raises:
        RtdecodeError: the session has no trials, targets or cursor, no output is a velocity or one is about
            something else, or no bin lies in a trial.
    """
    where = str(session.path or session.name)
    trials = session.trials
    if trials is None or not len(trials.start):
        raise RtdecodeError(
            "has no trials, and intention is told by their targets",
            where=where,
            fix="write /trials with start, stop and target",
        )
    if "target" not in trials.columns:
        raise RtdecodeError(
            "has trials without targets, which intention is told by",
            where=where,
            fix="write a column `target`, x and y in the cursor's units, into /trials",
        )
    if not any(output.role == "velocity" for output in outputs):
        names = ", ".join(output.name for output in outputs)
        raise RtdecodeError(
            f"intention is a velocity, and there is none among {names}",
            where=where,
            fix="name the cursor's velocities with --outputs, or a base that decodes them with --base",
        )
    cursor = find_cursor(session, {output.name: output.units for output in outputs})
    axes = axis_of(outputs, cursor, where)
    position = behavior_at(cursor.samples, t_bin).astype(np.float64)
    if speed is None:
        speed = task_speed(trials, t_bin, position)
    velocity = wanted(trials, t_bin, position, speed)
    if not np.isfinite(velocity).any():
        raise RtdecodeError(
            "has no trial in which spikes, cursor and target are known",
            where=where,
            fix="check that trials, cursor and spikes were stamped by one clock",
        )
    shown = np.where(np.isfinite(velocity), position, np.nan)
    targets = np.stack([(velocity if moves else shown)[:, axis] for axis, moves in axes], axis=1)
    return IntentionLabels(tuple(outputs), targets.astype(np.float32), float(speed), cursor.source)


def origin_of_labels(intention: IntentionLabels | None, blocks: Sequence[str]) -> dict[str, Any]:
    """What provenance remembers of a session's labels: nothing where they are all that was recorded."""
    said: dict[str, Any] = {"blocks": list(blocks)} if blocks else {}
    if intention is not None:
        said |= {"labels": REFIT, "speed": intention.speed, "cursor": intention.cursor}
    return said


def wanted(trials: Trials, t_bin: F8, position: F8, speed: float) -> F8:
    """The velocity that was wanted at the end of each bin.

    It points from the cursor to the target, at `speed`. On the last quarter of the way that the trial began
    with it falls in proportion to the distance, and inside the target (where /trials has a column `radius`)
    it is 0. Unknown are the time outside trials, the first 0.2 s of each, and where the cursor is lost: more
    than twice as far from the target as when the trial began.

    Args:
        trials: with targets f4[k, 2], in the units of `position`; one that is NaN says nothing.
        t_bin: f8[T], rising, seconds.
        position: f8[T, 2] of the cursor; NaN where unknown.
        speed: units per second.

    Returns:
        f8[T, 2], NaN where unknown.
    """
    velocity = np.full((len(t_bin), 2), np.nan)
    target = np.asarray(trials.columns["target"], np.float64)
    radius = _numbers(trials, "radius", 0.0)
    for k, rows in enumerate(_steered(trials, t_bin)):
        way = target[k] - position[rows]
        distance = np.hypot(way[:, 0], way[:, 1])
        known = np.flatnonzero(np.isfinite(distance))
        if not len(known):
            continue
        first = distance[known[0]]
        slow = np.minimum(1.0, distance / (SLOWING * first)) if first > 0 else np.zeros(len(distance))
        slow[distance <= radius[k]] = 0.0
        direction = np.divide(
            way, distance[:, np.newaxis], out=np.zeros_like(way), where=distance[:, np.newaxis] > 0
        )
        towards = speed * slow[:, np.newaxis] * direction
        towards[~(distance <= LOST * first)] = np.nan
        velocity[rows] = towards
    return velocity


def task_speed(trials: Trials, t_bin: F8, position: F8) -> float:
    """How fast the task was done: distance at the start over time until the stop, median over trials.

    Of the trials that succeeded, where /trials has a column `success`; the reaction time does not count. NaN
    where no trial has a cursor.
    """
    target = np.asarray(trials.columns["target"], np.float64)
    counts = _numbers(trials, "success", 1.0) > 0
    speeds = []
    for k, rows in enumerate(_steered(trials, t_bin)):
        distance = np.hypot(*(target[k] - position[rows]).T)
        known = distance[np.isfinite(distance)]
        took_s = trials.stop[k] - trials.start[k] - REACTION_S
        if counts[k] and len(known) and took_s > 0:
            speeds.append(known[0] / took_s)
    return float(np.median(speeds)) if speeds else float("nan")


def _numbers(trials: Trials, name: str, otherwise: float) -> F8:
    """A column with one number a trial, f8[k]."""
    column = trials.columns.get(name)
    if column is None:
        return np.full(len(trials.start), otherwise)
    if column.ndim != 1 or column.dtype.kind not in "biuf":
        raise RtdecodeError(
            f"holds {column.dtype}{list(column.shape)}",
            where=f"/trials/{name}",
            fix="write one number a trial",
        )
    return column.astype(np.float64)


def _steered(trials: Trials, t_bin: F8) -> list[slice]:
    """Bins of each trial that end after its reaction time and not after its stop."""
    slack_s = WHOLE_BIN * (float(np.median(np.diff(t_bin))) if len(t_bin) > 1 else 1.0)
    first = np.searchsorted(t_bin, trials.start + REACTION_S + slack_s, side="right")
    end = np.searchsorted(t_bin, trials.stop + slack_s, side="right")
    return [slice(int(i), max(int(i), int(j))) for i, j in zip(first, end, strict=True)]
