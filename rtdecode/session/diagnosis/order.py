"""Behaviour samples whose time does not rise: which rows to keep, in which order, if any order is right."""

from __future__ import annotations

from bisect import bisect_left
from typing import Any

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.intp]

#: Rows that may be wrong by accident: this many, or this part of all.
FEW_ROWS, FEW_PART = 3, 0.01

#: A file whose rows are in no order at all has shorter runs of rising time than this.
SHUFFLED_RUN = 10


def is_few(n: int, of: int) -> bool:
    """Whether `n` of so many rows are few enough for single accidents, and not a rule of the file."""
    return n <= max(FEW_ROWS, FEW_PART * of) and 2 * n <= of


def rising_rows(time: NDArray[Any], values: NDArray[Any]) -> Rows | None:
    """The rows to keep, in an order in which time strictly rises.

    Repeated rows are kept once. Single samples that are not after the ones before are left out; whole
    stretches that are in the wrong order, and rows in no order, are sorted.

    Args:
        time: f[m], finite.
        values: [m, d].

    Returns:
        i[k]; None where no order is right: times that two different samples share, as after rounding, or two
        recordings one after the other whose times overlap.
    """
    kept = _without_repeats(time, values)
    times = time[kept]
    if (times[1:] > times[:-1]).all():
        return kept
    longest = longest_rise(times)
    if is_few(len(times) - len(longest), len(times)):
        return kept[longest]
    order = np.argsort(times, kind="stable")
    back = times[1:] <= times[:-1]
    run = np.concatenate([[0], np.cumsum(back)])
    n_runs = int(run[-1]) + 1
    overlap = np.count_nonzero(np.diff(run[order])) > n_runs - 1
    if (np.diff(times[order]) == 0).any() or (overlap and len(times) >= SHUFFLED_RUN * n_runs):
        return None
    return kept[order]


def longest_rise(values: NDArray[Any]) -> Rows:
    """Indices of a longest strictly rising subsequence of `values` (patience sorting)."""
    tails: list[Any] = []
    ends: list[int] = []
    before = np.full(len(values), -1, np.intp)
    for i, value in enumerate(values.tolist()):
        at = bisect_left(tails, value)
        tails[at : at + 1], ends[at : at + 1] = [value], [i]
        if at:
            before[i] = ends[at - 1]
    chain = [ends[-1]] if ends else []
    while chain and before[chain[-1]] >= 0:
        chain.append(int(before[chain[-1]]))
    return np.array(chain[::-1], np.intp)


def _without_repeats(time: NDArray[Any], values: NDArray[Any]) -> Rows:
    order = np.argsort(time, kind="stable")
    earlier, later = order[:-1], order[1:]
    same_values = (values[earlier] == values[later]) | (np.isnan(values[earlier]) & np.isnan(values[later]))
    repeated = (time[earlier] == time[later]) & same_values.all(axis=1)
    kept = np.ones(len(time), np.bool_)
    kept[later[repeated]] = False
    return np.flatnonzero(kept)
