"""Labels from intended velocities: how a subject meant to move a cursor to its targets (ReFIT).

    labels = refit_labels(session, binned.t_bin, outputs)
    labels.targets  # f4[T, D], as the outputs; NaN where the intended velocity is unknown

A subject who steers a cursor wants it to go straight to the target at each moment, whatever the decoder makes
of it (Gilja et al. 2012, Nat. Neurosci. 15). So the intended velocity points from the cursor to the target.
Its speed is unknown. ReFIT keeps the speed of the cursor, which is what the decoder in use made of the same
spikes: a decoder trained on it would score well by agreeing with that one. Here the speed is the same for
all bins, and falls on the last quarter of the distance.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rtdecode.artifact import Output
from rtdecode.calibrate.data.cursor import axis_of, find_cursor
from rtdecode.errors import RtdecodeError
from rtdecode.kernels.arrays import F4, F8
from rtdecode.session.bins import WHOLE_BIN, behavior_at
from rtdecode.session.layout import Session, Trials

#: What provenance, options and documents call these labels, and those that were recorded.
REFIT, RECORDED = "refit", "recorded"

#: From the start of a trial until the subject can have seen its target.
REACTION_S = 0.2

#: Last fraction of a trial's initial distance, on which the intended speed falls to 0.
SLOWING = 0.25

#: The cursor is lost where its distance from the target exceeds the initial one by this factor.
LOST = 2.0


@dataclass(frozen=True, eq=False)
class RefitLabels:
    """Intended velocities of a session.

    Attributes:
        outputs: D, those that were asked for; mean and SD are not set here.
        targets: f4[T, D]; a row is NaN in every column where the intended velocity is unknown.
        speed: intended speed far from the target, in the cursor's units per second.
        cursor: the part of the file that the cursor's position is from.
    """

    outputs: tuple[Output, ...]
    targets: F4
    speed: float
    cursor: str

    def note(self) -> str:
        """What a reader of scores against these labels must know."""
        units = next(output.units for output in self.outputs if output.role == "velocity")
        shown = ", ".join(output.name for output in self.outputs if output.role == "position")
        return (
            f"labels are intended velocities (ReFIT): from the cursor ({self.cursor}) towards the target at "
            f"{self.speed:.0f} {units}; scores are against these labels, not against a movement"
            + (f"; the labels of {shown} are the displayed cursor" if shown else "")
        )


def refit_labels(
    session: Session,
    t_bin: F8,
    outputs: Sequence[Output],
    speed: float | None = None,
) -> RefitLabels:
    """Labels of a closed-loop session.

    A velocity gets the intended velocity (`intended_velocity`). A position gets the position of the cursor,
    which the subject saw; ReFIT assumes that it is known, too.

    Args:
        session: with trials that have targets, and the position of a cursor.
        t_bin: f8[T], rising, ends of bins, seconds.
        outputs: what is decoded.
        speed: intended speed far from the target, units per second; None for the session's (`task_speed`).

    Raises:
        RtdecodeError: the session has no trials, targets or cursor, no output is a velocity or one is neither
            a position nor a velocity of the cursor, or no bin lies in a trial.
    """
    where = str(session.path or session.name)
    trials = session.trials
    if trials is None or not len(trials.start):
        raise RtdecodeError(
            "has no trials, whose targets intended velocities point to",
            where=where,
            fix="write /trials with start, stop and target",
        )
    if not np.isfinite(trials.columns.get("target", np.nan)).any():
        raise RtdecodeError(
            "has trials without targets, which intended velocities point to",
            where=where,
            fix="write a column `target`, x and y in the cursor's units, into /trials",
        )
    if not any(output.role == "velocity" for output in outputs):
        names = ", ".join(output.name for output in outputs)
        raise RtdecodeError(
            f"intended velocities need an output that is a velocity, and there is none among {names}",
            where=where,
            fix="name the cursor's velocities with --outputs, or a base that decodes them with --base",
        )
    cursor = find_cursor(session, {output.name: output.units for output in outputs})
    axes = axis_of(outputs, cursor, where)
    position = behavior_at(cursor.samples, t_bin).astype(np.float64)
    if speed is None:
        speed = task_speed(trials, t_bin, position)
    velocity = intended_velocity(trials, t_bin, position, speed)
    if not np.isfinite(velocity).any():
        raise RtdecodeError(
            "has no trial with spikes, a cursor and a target",
            where=where,
            fix="check that trials, cursor and spikes were stamped by one clock",
        )
    shown = np.where(np.isfinite(velocity), position, np.nan)
    targets = np.stack([(velocity if is_velocity else shown)[:, axis] for axis, is_velocity in axes], axis=1)
    return RefitLabels(tuple(outputs), targets.astype(np.float32), float(speed), cursor.source)


def intended_velocity(trials: Trials, t_bin: F8, position: F8, speed: float) -> F8:
    """The intended velocity at the end of each bin.

    It points from the cursor to the target, at `speed`. On the last quarter of a trial's initial distance it
    falls in proportion to the distance, and inside the target (where /trials has a column `radius`) it is 0.
    It is unknown outside trials, in the first 0.2 s of each, and where the cursor is lost: more than twice as
    far from the target as when the trial began.

    Args:
        trials: with targets f4[k, 2], in the units of `position`; a trial whose target is NaN is skipped.
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
        to_target = target[k] - position[rows]
        distance = np.hypot(to_target[:, 0], to_target[:, 1])
        finite = np.flatnonzero(np.isfinite(distance))
        if not len(finite):
            continue
        first = distance[finite[0]]
        slow = np.minimum(1.0, distance / (SLOWING * first)) if first > 0 else np.zeros(len(distance))
        slow[distance <= radius[k]] = 0.0
        direction = np.divide(
            to_target,
            distance[:, np.newaxis],
            out=np.zeros_like(to_target),
            where=distance[:, np.newaxis] > 0,
        )
        towards = speed * slow[:, np.newaxis] * direction
        towards[~(distance <= LOST * first)] = np.nan
        velocity[rows] = towards
    return velocity


def task_speed(trials: Trials, t_bin: F8, position: F8) -> float:
    """Speed of the task: distance at the start over time until the stop, median over trials.

    Trials that failed are left out, where /trials has a column `success`; the reaction time is subtracted.
    NaN where no trial has a cursor.
    """
    target = np.asarray(trials.columns["target"], np.float64)
    succeeded = _numbers(trials, "success", 1.0) > 0
    speeds = []
    for k, rows in enumerate(_steered(trials, t_bin)):
        distance = np.hypot(*(target[k] - position[rows]).T)
        finite = distance[np.isfinite(distance)]
        took_s = trials.stop[k] - trials.start[k] - REACTION_S
        if succeeded[k] and len(finite) and took_s > 0:
            speeds.append(finite[0] / took_s)
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
