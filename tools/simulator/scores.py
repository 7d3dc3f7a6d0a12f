"""How well a cursor was steered: success, times, path and bits per second, from the trials of a task.

    score_trials(task.trials)                    # as the task saw them
    score_session(read_session("run.h5"))        # from the file alone: its trials and its cursor

Throughput is Fitts' (1954) in the Shannon formulation (MacKenzie 1992; Soukoreff and MacKenzie 2004):
log2(D / W + 1) bits over the time to acquire the target, with D from where the cursor was when the target
came to the target's centre and W its diameter. Times are those of Gilja et al. (2012).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtdecode.errors import RtdecodeError
from rtdecode.session.layout import Session
from rtdecode.tools.simulator.task import Outcome, Trial

F8 = NDArray[np.float64]

#: Columns of /behavior that hold what was on the screen.
CURSOR_NAMES = ("cursor_x", "cursor_y")


@dataclass(frozen=True)
class TrialScore:
    """One trial that was not aborted. Times in s; None where the trial failed, touch_time_s where it was
    never touched.

    Attributes:
        success: whether the target was held.
        duration_s: from the target's coming to the end, the hold included.
        touch_time_s: from the target's coming to the first time inside.
        acquisition_time_s: to the last time that the cursor came inside, so without the hold.
        dial_in_time_s: from the first time inside to the last.
        path_efficiency: way from where the cursor was to where it settled, straight over gone; 1 is straight.
        bits: log2(D / W + 1); 0 where the trial began inside the target.
        bits_per_s: bits over the acquisition time; None, too, where the trial began inside the target.
    """

    success: bool
    duration_s: float
    touch_time_s: float | None
    acquisition_time_s: float | None
    dial_in_time_s: float | None
    path_efficiency: float | None
    bits: float
    bits_per_s: float | None


@dataclass(frozen=True)
class Scores:
    """A block of trials. Means are over the successful trials; None where there is none.

    Attributes:
        trials, successes, aborted: how many; aborted trials count in nothing else.
        success: successes over trials.
        acquisition_time_s, dial_in_time_s, path_efficiency, bits_per_s: means.
        achieved_bits_per_s: bits of the successful trials over the time of all, holds and failures
            included.
        each: of every trial, in order.
    """

    trials: int
    successes: int
    aborted: int
    success: float | None
    acquisition_time_s: float | None
    dial_in_time_s: float | None
    path_efficiency: float | None
    bits_per_s: float | None
    achieved_bits_per_s: float | None
    each: tuple[TrialScore, ...]

    def document(self) -> dict[str, Any]:
        """For JSON, the trials' own numbers under `each`."""
        return asdict(self)


def score_trials(trials: Iterable[Trial]) -> Scores:
    """Scores from what the task noted while it ran."""
    scored, aborted = [], 0
    for trial in trials:
        if trial.outcome is Outcome.ABORTED:
            aborted += 1
            continue
        settled = None if trial.settle_s is None else (trial.settle_s, trial.path_mm)
        scored.append(
            _score(
                math.dist(trial.origin, trial.target),
                trial.radius,
                trial.stop_s - trial.start_s,
                None if trial.touch_s is None else trial.touch_s - trial.start_s,
                None if settled is None else (settled[0] - trial.start_s, settled[1], trial.straight_mm),
            )
        )
    return summarise(scored, aborted)


def score_session(session: Session) -> Scores:
    """Scores from a recorded session, by its trials and the samples of its cursor.

    Args:
        session: /trials with start, stop, target, radius and success; in /behavior the cursor on the screen.

    Raises:
        RtdecodeError: one of these is not there.
    """
    where = str(session.path or session.name)
    trials, behavior = session.trials, session.behavior
    missing = {"target", "radius", "success"} - set(trials.columns if trials is not None else ())
    if trials is None or missing:
        raise RtdecodeError(f"has no {', '.join(sorted(missing))} of trials", where=f"{where}:/trials")
    if behavior is None or not set(CURSOR_NAMES) <= set(behavior.names):
        raise RtdecodeError(f"has no {' and '.join(CURSOR_NAMES)}", where=f"{where}:/behavior")
    cursor = behavior.values[:, [behavior.names.index(name) for name in CURSOR_NAMES]].astype(np.float64)
    first = np.searchsorted(behavior.time, trials.start - 1e-9)
    end = np.searchsorted(behavior.time, trials.stop - 1e-9)
    return summarise(
        [
            _score_samples(
                behavior.time[first[k] : end[k]],
                cursor[first[k] : end[k]],
                trials.columns["target"][k],
                float(trials.columns["radius"][k]),
                float(trials.stop[k] - trials.start[k]),
                bool(trials.columns["success"][k] > 0),
            )
            for k in range(len(trials.start))
            if end[k] > first[k]
        ],
        aborted=0,
    )


def summarise(each: Sequence[TrialScore], aborted: int) -> Scores:
    """Means over trials."""
    won = [trial for trial in each if trial.success]
    duration_s = sum(trial.duration_s for trial in each)

    def mean(name: str) -> float | None:
        values = [value for trial in won if (value := getattr(trial, name)) is not None]
        return float(np.mean(values)) if values else None

    return Scores(
        trials=len(each),
        successes=len(won),
        aborted=aborted,
        success=len(won) / len(each) if each else None,
        acquisition_time_s=mean("acquisition_time_s"),
        dial_in_time_s=mean("dial_in_time_s"),
        path_efficiency=mean("path_efficiency"),
        bits_per_s=mean("bits_per_s"),
        achieved_bits_per_s=sum(trial.bits for trial in won) / duration_s if duration_s > 0 else None,
        each=tuple(each),
    )


def _score(
    distance: float,
    radius: float,
    duration_s: float,
    touch_time_s: float | None,
    settled: tuple[float, float, float] | None,
) -> TrialScore:
    """`settled`: when, after what way, and how far straight from where the cursor had been; None for a
    failure."""
    bits = math.log2(distance / (2 * radius) + 1) if distance > radius else 0.0
    if settled is None:
        return TrialScore(False, duration_s, touch_time_s, None, None, None, bits, None)
    acquisition_s, gone_mm, straight_mm = settled
    return TrialScore(
        success=True,
        duration_s=duration_s,
        touch_time_s=touch_time_s,
        acquisition_time_s=acquisition_s,
        dial_in_time_s=acquisition_s - touch_time_s if touch_time_s is not None else None,
        path_efficiency=straight_mm / gone_mm if gone_mm > 0 else None,
        bits=bits,
        bits_per_s=bits / acquisition_s if acquisition_s > 0 and bits > 0 else None,
    )


def _score_samples(
    time: F8, cursor: F8, target: F8, radius: float, duration_s: float, success: bool
) -> TrialScore:
    distance = np.hypot(*(cursor - target).T)
    inside = distance <= radius
    touch_time_s = float(time[np.argmax(inside)] - time[0]) if inside.any() else None
    settled = None
    if success and inside[-1]:
        outside = np.flatnonzero(~inside)
        entry = outside[-1] + 1 if len(outside) else 0
        steps = np.hypot(*np.diff(cursor[: entry + 1], axis=0).T)
        straight = float(np.hypot(*(cursor[entry] - cursor[0])))
        settled = float(time[entry] - time[0]), float(steps.sum()), straight
    return _score(float(distance[0]), radius, duration_s, touch_time_s, settled)
