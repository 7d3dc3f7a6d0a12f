"""Binning of whole sessions: events into bins, fine count rows into wider bins. Counts saturate at 255."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rtdecode.kernels.jit import kernel

U1_MAX = 255


@kernel
def bin_events(
    time: NDArray[np.float64],
    channel: NDArray[np.uint16],
    origin_s: float,
    bin_width_s: float,
    counts: NDArray[np.uint8],
) -> None:
    """Add events to counts [T, n_channels].

    Bin k covers [origin_s + k·bin_width_s, origin_s + (k+1)·bin_width_s). The edges are those products and
    sums as float64 gives them, so an event stamped exactly on one belongs to the bin that starts there.
    Events outside the T bins are left out. `time` need not be sorted.
    """
    n_bins = counts.shape[0]
    for i in range(time.size):
        t = time[i]
        k = np.int64(np.floor((t - origin_s) / bin_width_s))
        # The division rounds: step to the bin whose computed edges really enclose the event.
        while t < origin_s + k * bin_width_s:
            k -= 1
        while t >= origin_s + (k + 1) * bin_width_s:
            k += 1
        if 0 <= k < n_bins and counts[k, channel[i]] < U1_MAX:
            counts[k, channel[i]] += 1


@kernel
def merge_rows(
    values: NDArray[np.uint8] | NDArray[np.uint16],
    bin_of_row: NDArray[np.int64],
    counts: NDArray[np.uint8],
) -> None:
    """Add row r of values [R, n_channels] to counts [T, n_channels] at bin_of_row[r], where that is a bin."""
    n_bins = counts.shape[0]
    for r in range(values.shape[0]):
        k = bin_of_row[r]
        if 0 <= k < n_bins:
            for c in range(values.shape[1]):
                total = np.int64(counts[k, c]) + np.int64(values[r, c])
                counts[k, c] = total if total < U1_MAX else U1_MAX
