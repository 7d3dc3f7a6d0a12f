"""The times of regular samples: which are in order, their numbers, and the source's own period."""

from __future__ import annotations

import h5py
import numpy as np
from numpy.typing import NDArray

from rtdecode.session.schema import ANNOUNCED, ANNOUNCED_PERIOD

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


def measure(file: h5py.File) -> None:
    """Replace the announced width of /counts and period of /features by those of the stamps, if others."""
    if "counts" in file:
        group = file["counts"]
        ends_s, announced_s = group["end"][:], float(group.attrs[ANNOUNCED])
        n = len(ends_s)
        if n >= MEASURED_ROWS:
            width_s, last_s = np.polyfit(np.arange(n) - (n - 1.0), ends_s - ends_s[-1], 1)
            if abs(width_s / announced_s - 1.0) > TOLD_PERIOD:
                group.attrs.modify("bin_width_s", width_s)
                group.attrs.modify("t0_s", ends_s[-1] + last_s - n * width_s)
    if "features" in file:
        group = file["features"]
        intervals, announced_s = np.diff(group["time"][:]), float(group.attrs[ANNOUNCED_PERIOD])
        # Of samples that follow one another.
        intervals = intervals[intervals < 1.5 * announced_s]
        if len(intervals) >= MEASURED_ROWS and abs(intervals.mean() / announced_s - 1.0) > TOLD_PERIOD:
            group.attrs.modify("period_s", intervals.mean())
