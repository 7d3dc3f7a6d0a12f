"""A running histogram of delivery delays and its quantiles."""

from __future__ import annotations

import numpy as np

from rtdecode.kernels.arrays import F8, I8, U1
from rtdecode.kernels.jit import kernel


@kernel
def observe_delays(
    time: F8, accepted: U1, n: int, now: float, step_s: float, limit: int, histogram: I8
) -> None:
    """Add `now - time` of the accepted events; halve everything once it holds `limit` events.

    Halving forgets: delays of a minute ago weigh little. The last bin of the histogram holds everything
    beyond it; stamps ahead of `now` count as no delay.
    """
    last = len(histogram) - 1
    for i in range(n):
        if accepted[i]:
            # Clipped before the conversion: an absurd stamp fits no integer.
            histogram[int(min(max(0.0, now - time[i]) / step_s, last))] += 1
    if histogram.sum() >= limit:
        # Half the running sum, not half of each entry: a single event in an entry would vanish.
        below = 0
        kept = 0
        for k in range(last + 1):
            below += histogram[k]
            histogram[k] = below // 2 - kept
            kept += histogram[k]


@kernel
def delay_quantile(histogram: I8, step_s: float, q: float) -> float:
    """The upper edge of the histogram bin that holds quantile `q`; NaN when it is empty."""
    total = histogram.sum()
    if total == 0:
        return np.nan
    need = q * total
    below = 0
    for k in range(len(histogram)):
        below += histogram[k]
        if below >= need:
            return (k + 1) * step_s
    return len(histogram) * step_s
