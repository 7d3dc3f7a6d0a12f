"""When our own clock has leapt, or the machine slept."""

from __future__ import annotations

import math

from rtdecode.binning import Binning
from rtdecode.ingest.signals.feed import Feed

#: Further behind, nobody waits for thousands of empty bins.
LEAP_S = 10.0


def far_behind(edges: Binning, feed: Feed, n: int, now: float) -> bool:
    """Whether all `n` samples of a pull were stamped so long after the open bin that there was a leap."""
    end_s = edges.bin_end_s(edges.ring.open_bin)
    oldest_s = feed.first_bin_start(n, -math.inf, math.inf) if now - end_s > LEAP_S else None
    return oldest_s is not None and oldest_s - end_s > LEAP_S
