"""The times of regular samples: which are in order, their numbers, and the source's own period."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

F8 = NDArray[np.float64]

#: An announced period is replaced by that of the stamps where they differ by more than this fraction, by as
#: many rows as give it.
TOLD_PERIOD = 1e-3
MEASURED_ROWS = 100


def after_all_before(time: F8, usable: NDArray[np.bool_], last_s: float) -> tuple[NDArray[np.bool_], float]:
    """Which of the usable samples are after all before them, and after `last_s`; and the last of these.

    Args:
        time: f8[n], s.
        usable: bool[n].
        last_s: time of the last sample before them; -inf without one.
    """
    latest = np.maximum.accumulate(np.append(last_s, np.where(usable, time, -np.inf)))
    return usable & (time > latest[:-1]), float(latest[-1])


def sample_numbers(time: F8, period_s: float) -> NDArray[np.int64]:
    """The number of each sample i8[n], missing ones counted; 0 for the first."""
    steps = np.maximum(np.rint(np.diff(time) / period_s), 1.0)
    return np.concatenate(([0.0], np.cumsum(steps)))[: len(time)].astype(np.int64)


def measured_rows(ends_s: F8, announced_s: float) -> tuple[float, float] | None:
    """The width of consecutive rows, and the end of the last, s; None where it is the announced width.

    Args:
        ends_s: f8[n], end of each row, s.
        announced_s: width that the source announced.
    """
    n = len(ends_s)
    if n < MEASURED_ROWS:
        return None
    width_s, last_s = np.polyfit(np.arange(n) - (n - 1.0), ends_s - ends_s[-1], 1)
    return (float(width_s), float(ends_s[-1] + last_s)) if _told(width_s, announced_s) else None


def measured_period(time: F8, announced_s: float) -> float | None:
    """The period of samples, some of them perhaps missing, s; None where it is the announced one."""
    intervals = np.diff(time)
    intervals = intervals[intervals < 1.5 * announced_s]
    if len(intervals) < MEASURED_ROWS:
        return None
    period_s = float(intervals.mean())
    return period_s if _told(period_s, announced_s) else None


def _told(found_s: float, announced_s: float) -> bool:
    return abs(found_s / announced_s - 1.0) > TOLD_PERIOD
