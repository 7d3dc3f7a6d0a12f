"""Samples of features into bins, live and offline.

A bin takes the mean of a column's samples, of a count their sum; NaN is no sample of its column. A bin
without any sample at all, as beside a source that is as slow as the bins, takes the value before, if that
ended shortly enough before the bin's end. Positions are in any one unit, such as seconds or bins.
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np

from rtdecode.kernels.arrays import F8, I8, U1, U4
from rtdecode.kernels.jit import kernel

Span = TypeVar("Span", float, F8)


class FeatureBins:
    """Features of the bins of a ring; bin b in row b % n_bins.

    Args:
        n_bins: bins that are kept.
        n_features: columns.

    Attributes:
        counted: u1[n_features], 1 for a column of counts, whose samples are summed.
        values: f8[n_bins, n_features], of the bins that were taken.
        slots: per bin number of samples u4, per column their sum f8, known samples u4, and the latest of
            these f8 and its end f8.
    """

    def __init__(self, n_bins: int, n_features: int) -> None:
        shape = n_bins, n_features
        self.counted: U1 = np.zeros(n_features, np.uint8)
        self.values: F8 = np.full(shape, np.nan)
        self.slots: tuple[U4, F8, U4, F8, F8] = (
            np.zeros(n_bins, np.uint32),
            np.zeros(shape),
            np.zeros(shape, np.uint32),
            np.zeros(shape),
            np.full(shape, -np.inf),
        )
        self.held: tuple[F8, F8] = np.zeros(n_features), np.full(n_features, -np.inf)

    def take(self, slot: int, end: float, reach: float) -> F8:
        """The values f8[n_features] of the bin in a row, which is emptied; bins are taken in their order."""
        take_bin(slot, end, reach, self.counted, *self.slots, *self.held, self.values)
        taken: F8 = self.values[slot]
        return taken

    def empty(self, slot: int) -> None:
        """Forget the samples of the bin in a row."""
        empty_bin(slot, *self.slots)


def reach_of(period: float, bin_width: Span) -> Span:
    """How long before the end of a bin without samples a value may have ended that stands for one in it."""
    return bin_width + 0.5 * period


@kernel
def add_sample(
    values: F8, end: float, slot: int, n: U4, total: F8, known: U4, latest: F8, latest_end: F8
) -> None:
    """Add a sample f8[F] that ends at `end` to the bin in row `slot`; the rest is `FeatureBins.slots`."""
    n[slot] += 1
    for f in range(values.shape[0]):
        value = values[f]
        if not np.isnan(value):
            total[slot, f] += value
            known[slot, f] += 1
            # A sample that was carried from the bin before is older.
            if end >= latest_end[slot, f]:
                latest[slot, f], latest_end[slot, f] = value, end


@kernel
def empty_bin(slot: int, n: U4, total: F8, known: U4, latest: F8, latest_end: F8) -> None:
    """Forget the samples of the bin in row `slot`."""
    n[slot] = 0
    total[slot, :] = 0.0
    known[slot, :] = 0
    latest_end[slot, :] = -np.inf


@kernel
def take_bin(
    slot: int,
    end: float,
    reach: float,
    counted: U1,
    n: U4,
    total: F8,
    known: U4,
    latest: F8,
    latest_end: F8,
    held: F8,
    held_end: F8,
    out: F8,
) -> None:
    """Write the values of the bin in row `slot` into `out`, NaN where nothing is known, and empty the bin.

    Args:
        end: of the bin.
        reach: a value that ended less than this before stands for one in a bin without samples.
        counted, n, total, known, latest, latest_end, out: as in `FeatureBins`.
        held, held_end: f8[F], the latest known value before this bin, and its end; updated.
    """
    for f in range(counted.shape[0]):
        if known[slot, f]:
            out[slot, f] = total[slot, f] if counted[f] else total[slot, f] / known[slot, f]
            held[f], held_end[f] = latest[slot, f], latest_end[slot, f]
        elif n[slot] == 0 and end - held_end[f] < reach:
            out[slot, f] = 0.0 if counted[f] else held[f]
        else:
            out[slot, f] = np.nan
    empty_bin(slot, n, total, known, latest, latest_end)


@kernel
def fill_bins(
    values: F8,
    bins: I8,
    end: F8,
    bin_end: F8,
    reach: F8,
    counted: U1,
    n: U4,
    total: F8,
    known: U4,
    latest: F8,
    latest_end: F8,
    held: F8,
    held_end: F8,
    out: F8,
) -> None:
    """All bins of a recording.

    Args:
        values: f8[S, F], of samples in the order of time.
        bins: i8[S], the bin of each, negative before the first; increasing.
        end: f8[S], end of each.
        bin_end, reach: f8[T], as of `take_bin`.
        counted, n, total, known, latest, latest_end, held, held_end: of `FeatureBins` of one row.
        out: f8[T, F], receives the values.
    """
    row = np.zeros((1, values.shape[1]))
    i = 0
    for b in range(-1, bin_end.shape[0]):
        while i < len(bins) and bins[i] <= b:
            add_sample(values[i], end[i], 0, n, total, known, latest, latest_end)
            i += 1
        at = max(b, 0)
        take_bin(0, bin_end[at], reach[at], counted, n, total, known, latest, latest_end, held, held_end, row)
        if b >= 0:
            out[b] = row[0]
