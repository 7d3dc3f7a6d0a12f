"""Where bins begin: at the oldest event in the queue of the first source, or now."""

from __future__ import annotations

import numpy as np

from rtdecode.binning import Binning, BinRing
from rtdecode.ingest.signals.counts import SampleFeed
from rtdecode.ingest.signals.feed import Feed


def first_edges(
    feed: Feed, ring: BinRing, n: int, now: float, origin_s: float | None
) -> tuple[Binning, int] | None:
    """The edges of the bins and the number of the first that is published; those before it are backlog.

    Args:
        feed: of the first source; its stamps are trusted.
        ring: the bins.
        n: number of samples of its first pull.
        now: the time, s.
        origin_s: start of bin 0 where arrays share their bins, which have no backlog; else None.

    Returns:
        None while a source whose samples set the edges has sent none.
    """
    if origin_s is not None:
        return feed.anchor(origin_s, n), 0
    oldest_s = feed.first_bin_start(n, now - ring.n_bins * ring.bin_width_s, now)
    if isinstance(feed, SampleFeed):
        if oldest_s is None:
            return None
        edges = feed.anchor(oldest_s, n)
        return edges, max(0, edges.bin_at(now))
    backlog = 0 if oldest_s is None else int(np.ceil((now - oldest_s) / ring.bin_width_s))
    first = min(backlog, ring.n_bins)
    return feed.anchor(now - first * ring.bin_width_s, n), first
