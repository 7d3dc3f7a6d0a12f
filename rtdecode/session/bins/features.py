"""Features of a recorded session in bins.

A sample belongs to the bin that holds the middle of its interval. A bin takes the mean of its samples, of the
kind "count" their sum. A bin without one, beside a source as slow as the bins, takes the value before.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rtdecode.kernels.binning import place_samples
from rtdecode.kernels.feature_bins import FeatureBins, fill_bins, reach_of
from rtdecode.session.layout import Features
from rtdecode.session.samples import sample_numbers

F8 = NDArray[np.float64]

WHOLE_BIN = 1e-6
"""Part of its width by which a complete bin may miss its end: 32 × 20 ms fit into 10 × 64 ms."""


def features_at(features: Features, edges: F8) -> F8:
    """Values of features in the bins of something else.

    Args:
        features: sorted by time.
        edges: f8[T + 1], start of the first bin and end of each, seconds, increasing.

    Returns:
        f8[T, F], NaN where nothing is known.
    """
    middle = features.time - 0.5 * features.period_s
    bins = np.searchsorted(edges, middle, side="right") - 1
    reach = reach_of(features.period_s, edges[1:] - edges[:-1])
    return _filled(features, bins, features.time, edges[1:], reach)


def features_alone(features: Features, bin_width_s: float) -> tuple[F8, F8]:
    """Values and edges of the bins of features that are recorded alone: a bin holds samples by their number.

    Args:
        features: sorted by time.
        bin_width_s: Δ, of the announced period of the source.

    Returns:
        f8[T, F], NaN where nothing is known, and f8[T + 1], start of the first bin and end of each, seconds.
    """
    if not len(features.time):
        return np.zeros((0, len(features.names))), np.zeros(1)
    number = sample_numbers(features.time, features.period_s)
    period_s = features.nominal_period_s
    ratio = period_s / bin_width_s
    n_bins = int(np.floor((number[-1] + 1.0) * ratio + WHOLE_BIN))
    bins, end = np.zeros(len(number), np.int64), np.zeros(len(number))
    place_samples(number, period_s, bin_width_s, bins, end)
    values = _filled(features, bins, end, np.arange(1.0, n_bins + 1.0), np.full(n_bins, reach_of(ratio, 1.0)))
    ends_s = np.concatenate(([features.time[0] - features.period_s], features.time))
    edges = np.interp(np.arange(n_bins + 1) / ratio, np.concatenate(([0.0], number + 1.0)), ends_s)
    return values, edges


def _filled(features: Features, bins: NDArray[np.int64], end: F8, bin_end: F8, reach: F8) -> F8:
    """The values f8[T, F] of bins that end at `bin_end`; arguments as of `fill_bins`."""
    n_features = len(features.names)
    out = np.full((len(bin_end), n_features), np.nan)
    if len(out):
        ring = FeatureBins(1, n_features)
        ring.counted[:] = [kind == "count" for kind in features.kinds]
        values = features.values.astype(np.float64)
        fill_bins(values, bins, end, bin_end, reach, ring.counted, *ring.slots, *ring.held, out)
    return out
