"""Samples of features into bins whose edges they do not set, by the middle of their interval."""

from __future__ import annotations

import numpy as np

from rtdecode.kernels.arrays import F8, I8, U1, U4
from rtdecode.kernels.binning import DISCARDED, FUTURE, OPEN, bin_index, keep, open_up_to
from rtdecode.kernels.feature_bins import add_sample
from rtdecode.kernels.jit import kernel


@kernel
def bin_timed_features(
    time: F8,
    middle: F8,
    accepted: U1,
    lost_before: U4,
    first: int,
    n: int,
    latest: float,
    carry: bool,
    not_before: float,
    origin: float,
    bin_width_s: float,
    half_period_s: float,
    values: F8,
    features: tuple[U4, F8, U4, F8, F8],
    cursor: I8,
    ring: U1,
    spikes: U4,
    late: U4,
    lost: U4,
    fed_until: F8,
    counters: I8,
) -> int:
    """Put samples `first … n-1` into their bins; the first one past a bin's end closes it.

    Args:
        time: f8[>=n], stamp of each sample; middle: f8[>=n], of the interval that it covers, s.
        half_period_s: half of that interval.
        values: f8[>=n, n_features], NaN where unknown.
        features: the slots of `FeatureBins`.
        Everything else as in `bin_events`.

    Returns:
        As in `bin_events`.
    """
    n_samples, sums, known, newest, newest_end = features
    for i in range(first, n):
        if accepted[i]:
            if not time[i] <= latest:
                counters[FUTURE] += 1
            elif middle[i] < not_before:
                counters[DISCARDED] += 1
            else:
                b = bin_index(middle[i], origin, bin_width_s)
                if not open_up_to(b, cursor, ring, spikes, late, lost, fed_until):
                    return i
                if keep(b, np.int64(1), carry, cursor, late, counters):
                    slot = cursor[OPEN] % ring.shape[0]
                    # In bins, as its end is held against that of a bin.
                    end = (middle[i] + half_period_s - origin) / bin_width_s
                    add_sample(values[i], end, slot, n_samples, sums, known, newest, newest_end)
                    fed_until[slot] = max(fed_until[slot], time[i])
        lost[cursor[OPEN] % ring.shape[0]] += lost_before[i]
    return n
