"""Whether spike times begin anew within a unit, as times since the start of a trial do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

F8 = NDArray[np.float64]

#: Stretches of one unit that are only in the wrong order share less than this part of its time; those that
#: begin anew, as in each trial, share most of it.
SHARED_PART = 0.05

#: Fewer stretches than this on one unit are not trials: two units may have been written one after another.
FEW_STRETCHES = 8


@dataclass(frozen=True)
class Restarts:
    """Times that go back within a unit.

    Attributes:
        unit: the first unit of which they do.
        spike: number of the first spike of it that is earlier than the one before.
        before_s, after_s: the times of these two.
        n: of all spikes that are earlier than the one before of their unit.
        are_trials: whether they begin anew, over and over, as times since the start of a trial do.
    """

    unit: int
    spike: int
    before_s: float
    after_s: float
    n: int
    are_trials: bool


def find_restarts(time: F8, unit: NDArray[np.integer[Any]]) -> Restarts | None:
    """Look for times that go back within a unit; None where each unit's times rise.

    Args:
        time: f8[n], finite, in the order of the file.
        unit: [n], of each spike, 0 or more.
    """
    order = np.argsort(unit, kind="stable")
    units, times = unit[order].astype(np.intp), time[order]
    back = np.flatnonzero((units[1:] == units[:-1]) & (times[1:] < times[:-1])) + 1
    if not back.size:
        return None
    first = int(back[0])
    number = first - int(np.searchsorted(units, units[first]))
    trials = (
        int(np.bincount(units[back]).max()) >= FEW_STRETCHES - 1
        and _shared_part(units, times, back) >= SHARED_PART
    )
    before_s, after_s = times[first - 1], times[first]
    return Restarts(int(units[first]), number, float(before_s), float(after_s), len(back), trials)


def _shared_part(units: NDArray[np.intp], times: F8, back: NDArray[np.intp]) -> float:
    """How much time the stretches of a unit share, as a part of all its time: the worst unit's."""
    edges = np.concatenate(([0], np.union1d(back, np.flatnonzero(np.diff(units)) + 1), [len(times)]))
    first, last, of = times[edges[:-1]], times[edges[1:] - 1], units[edges[:-1]]
    order = np.lexsort((first, of))
    first, last, of = first[order], last[order], of[order]
    n = int(of[-1]) + 1
    same = of[1:] == of[:-1]
    shared_s = np.zeros(n)
    np.add.at(shared_s, of[1:][same], np.maximum(last[:-1] - first[1:], 0.0)[same])
    start_s, stop_s = np.full(n, np.inf), np.full(n, -np.inf)
    np.minimum.at(start_s, of, first)
    np.maximum.at(stop_s, of, last)
    longest = np.where(stop_s > start_s, stop_s - start_s, np.inf)
    return float((shared_s / longest).max())
