"""Binning of whole sessions: events into bins, fine count rows into wider bins. Counts saturate at 255."""

from __future__ import annotations

import numpy as np

from rtdecode.kernels.arrays import F8, I8, U1, U2
from rtdecode.kernels.binning import bin_index
from rtdecode.kernels.jit import kernel

U1_MAX = 255


@kernel
def bin_events(
    time: F8, channel: U2, origin_s: float, bin_width_s: float, row_of_bin: I8, counts: U1
) -> None:
    """Add events to counts [T, n_channels], those of bin k to row_of_bin[k], where that is a row.

    Bin k covers [origin_s + k·bin_width_s, origin_s + (k+1)·bin_width_s), as `bin_index` has it.
    Events outside the bins are left out. `time` need not be sorted.
    """
    for i in range(time.size):
        k = bin_index(time[i], origin_s, bin_width_s)
        if 0 <= k < row_of_bin.shape[0]:
            row = row_of_bin[k]
            if row >= 0 and counts[row, channel[i]] < U1_MAX:
                counts[row, channel[i]] += 1


@kernel
def merge_rows(values: U1 | U2, bin_of_row: I8, counts: U1) -> None:
    """Add row r of values [R, n_channels] to counts [T, n_channels] at bin_of_row[r], where that is a bin."""
    for r in range(values.shape[0]):
        k = bin_of_row[r]
        if 0 <= k < counts.shape[0]:
            for c in range(values.shape[1]):
                total = np.int64(counts[k, c]) + np.int64(values[r, c])
                counts[k, c] = total if total < U1_MAX else U1_MAX
