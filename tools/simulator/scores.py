"""Scores of cursor control: success, times, path and bits per second, from the trials of a task.

    score_trials(task.trials)                    # as recorded by the task
    score_session(read_session("run.h5"))        # from the trials and the cursor of a file

Throughput is Fitts' (1954) in the Shannon formulation (MacKenzie 1992; Soukoreff and MacKenzie 2004):
log2(D / W + 1) bits over the time to acquire the target, with D the distance of the cursor from the target's
centre when the target appears, and W its diameter. Times are those of Gilja et al. (2012).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from rtdecode.errors import RtdecodeError
from rtdecode.kernels.arrays import F4, F8
from rtdecode.session.layout import Behavior, Session
from rtdecode.tools.simulator.task import Outcome, Trial

#: Columns of /behavior with the cursor on the screen.
CURSOR_NAMES = ("cursor_x", "cursor_y")


@dataclass(frozen=True)
class TrialScore:
    """One trial that was not aborted. Times are in s; None in a failed trial.

    Attributes:
        success: whether the target was held.
        duration_s: from the appearance of the target to the end, with the hold.
        touch_time_s: from the appearance of the target to the first entry; None without an entry.
        acquisition_time_s: from the appearance of the target to the last entry, so without the hold.
        dial_in_time_s: from the first entry to the last.
        path_efficiency: straight distance to the point of the last entry over path length; 1 is straight.
        bits: log2(D / W + 1); 0 if the trial started inside the target.
        bits_per_s: bits over the acquisition time; None also if the trial started inside the target.
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
    """A block of trials. Means are over the successful trials; None without one.

    Attributes:
        trials, successes, aborted: numbers of trials; aborted trials are excluded from all other scores.
        success: successes over trials.
        acquisition_time_s, dial_in_time_s, path_efficiency, bits_per_s: means.
        achieved_bits_per_s: bits of the successful trials over the time of all trials, with holds and
            failures.
        each: scores of every trial, in order.
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


def percent(fraction: float | None) -> str:
    """A fraction as a percentage, or a dash."""
    return "–" if fraction is None else f"{100 * fraction:.0f} %"


def screen_cursor(behavior: Behavior) -> F4:
    """The cursor on the screen, f4[m, 2], mm."""
    return behavior.values[:, [behavior.names.index(name) for name in CURSOR_NAMES]]


def score_trials(trials: Iterable[Trial]) -> Scores:
    """Scores from the trials that the task recorded."""
    scored, aborted = [], 0
    for trial in trials:
        if trial.outcome is Outcome.ABORTED:
            aborted += 1
            continue
        entry = None
        if trial.last_entry_s is not None:
            entry = trial.last_entry_s - trial.start_s, trial.path_mm, trial.straight_mm
        scored.append(
            _score(
                math.dist(trial.origin, trial.target),
                trial.radius,
                trial.stop_s - trial.start_s,
                None if trial.touch_s is None else trial.touch_s - trial.start_s,
                entry,
            )
        )
    return summarise(scored, aborted)


def score_session(session: Session) -> Scores:
    """Scores from the trials and the cursor of a recorded session.

    Args:
        session: with start, stop, target, radius and success in /trials, and the cursor in /behavior.

    Raises:
        RtdecodeError: one of these is missing.
    """
    where = str(session.path or session.name)
    trials, behavior = session.trials, session.behavior
    missing = {"target", "radius", "success"} - set(trials.columns if trials is not None else ())
    if trials is None or missing:
        raise RtdecodeError(
            f"has no {', '.join(sorted(missing))} of trials",
            where=f"{where}:/trials",
            fix="use a session of rtdecode subject --output",
        )
    if behavior is None or not set(CURSOR_NAMES) <= set(behavior.names):
        raise RtdecodeError(
            f"has no {' and '.join(CURSOR_NAMES)}",
            where=f"{where}:/behavior",
            fix="use a session of rtdecode subject --output in closed loop",
        )
    cursor = screen_cursor(behavior).astype(np.float64)
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
    """The scores of a block, from those of its trials."""
    successful = [trial for trial in each if trial.success]
    duration_s = sum(trial.duration_s for trial in each)

    def mean(name: str) -> float | None:
        values = [value for trial in successful if (value := getattr(trial, name)) is not None]
        return float(np.mean(values)) if values else None

    return Scores(
        trials=len(each),
        successes=len(successful),
        aborted=aborted,
        success=len(successful) / len(each) if each else None,
        acquisition_time_s=mean("acquisition_time_s"),
        dial_in_time_s=mean("dial_in_time_s"),
        path_efficiency=mean("path_efficiency"),
        bits_per_s=mean("bits_per_s"),
        achieved_bits_per_s=sum(trial.bits for trial in successful) / duration_s if duration_s > 0 else None,
        each=tuple(each),
    )


def _score(
    distance: float,
    radius: float,
    duration_s: float,
    touch_time_s: float | None,
    last_entry: tuple[float, float, float] | None,
) -> TrialScore:
    """`last_entry`: its time, the path length and the straight distance to it; None for a failure."""
    bits = math.log2(distance / (2 * radius) + 1) if distance > radius else 0.0
    if last_entry is None:
        return TrialScore(False, duration_s, touch_time_s, None, None, None, bits, None)
    acquisition_s, path_mm, straight_mm = last_entry
    return TrialScore(
        success=True,
        duration_s=duration_s,
        touch_time_s=touch_time_s,
        acquisition_time_s=acquisition_s,
        dial_in_time_s=acquisition_s - touch_time_s if touch_time_s is not None else None,
        path_efficiency=straight_mm / path_mm if path_mm > 0 else None,
        bits=bits,
        bits_per_s=bits / acquisition_s if acquisition_s > 0 and bits > 0 else None,
    )


def _score_samples(
    time: F8, cursor: F8, target: F8, radius: float, duration_s: float, success: bool
) -> TrialScore:
    distance = np.hypot(*(cursor - target).T)
    inside = distance <= radius
    touch_time_s = float(time[np.argmax(inside)] - time[0]) if inside.any() else None
    last_entry = None
    if success and inside[-1]:
        outside = np.flatnonzero(~inside)
        entry = outside[-1] + 1 if len(outside) else 0
        steps = np.hypot(*np.diff(cursor[: entry + 1], axis=0).T)
        straight = float(np.hypot(*(cursor[entry] - cursor[0])))
        last_entry = float(time[entry] - time[0]), float(steps.sum()), straight
    return _score(float(distance[0]), radius, duration_s, touch_time_s, last_entry)
