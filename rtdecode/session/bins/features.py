"""Features of a recorded session in bins.

A sample belongs to the bin that holds the middle of its interval. A bin takes the mean of its samples, of the
kind "count" their sum. A bin without one, beside a source as slow as the bins, takes the value before.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rtdecode.session.layout import Features

F8 = NDArray[np.float64]

WHOLE_BIN = 1e-6
"""Part of its width by which a complete bin may miss its end: 32 × 20 ms fit into 10 × 64 ms."""


def features_at(features: Features, edges: F8) -> F8:
    """Values of the features in bins.

    Args:
        features: sorted by time.
        edges: f8[T + 1], start of the first bin and end of each, seconds, increasing.

    Returns:
        f8[T, F], NaN where nothing is known.
    """
    n_bins = len(edges) - 1
    middle = features.time - 0.5 * features.period_s
    bin_of_sample = np.searchsorted(edges, middle, side="right") - 1
    return np.stack(
        [
            _column(features, column, edges, np.where(bin_of_sample < n_bins, bin_of_sample, -1))
            for column in range(features.values.shape[1])
        ],
        axis=1,
    )


def _column(features: Features, column: int, edges: F8, bin_of_sample: NDArray[np.int64]) -> F8:
    """One column's f8[T]; `bin_of_sample` is −1 for a sample of no bin."""
    n_bins = len(edges) - 1
    values = features.values[:, column].astype(np.float64)
    known = ~np.isnan(values)
    inside = known & (bin_of_sample >= 0)
    n = np.bincount(bin_of_sample[inside], minlength=n_bins)
    total = np.bincount(bin_of_sample[inside], weights=values[inside], minlength=n_bins)
    counted = features.kinds[column] == "count"
    out: F8 = np.full(n_bins, np.nan)
    out[n > 0] = total[n > 0] if counted else total[n > 0] / n[n > 0]
    time, before = features.time[known], values[known]
    last = np.searchsorted(time, edges[1:], side="right") - 1
    age_s = edges[1:] - time[np.maximum(last, 0)] if len(time) else np.full(n_bins, np.inf)
    # A sample without a value is unknown; only where there is none at all, one before may stand for it.
    empty = np.bincount(bin_of_sample[bin_of_sample >= 0], minlength=n_bins) == 0
    held = empty & (last >= 0) & (age_s < np.diff(edges) + 0.5 * features.period_s)
    out[held] = 0.0 if counted else before[last[held]]
    return out


def feature_edges(features: Features, bin_width_s: float) -> F8:
    """Edges of the bins of features that are recorded alone: a bin holds a fixed number of samples.

    Args:
        features: sorted by time.
        bin_width_s: Δ, of the announced period of the source.

    Returns:
        f8[T + 1], seconds.
    """
    if not len(features.time):
        return np.zeros(1)
    steps = np.maximum(np.rint(np.diff(features.time) / features.period_s), 1.0)
    number = np.concatenate(([0.0, 1.0], 1.0 + np.cumsum(steps)))
    ends = np.concatenate(([features.time[0] - features.period_s], features.time))
    ratio = features.nominal_period_s / bin_width_s
    n_bins = int(np.floor(number[-1] * ratio + WHOLE_BIN))
    return np.interp(np.arange(n_bins + 1) / ratio, number, ends)
