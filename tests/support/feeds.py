"""Feeds without LSL."""

from __future__ import annotations

import numpy as np

from rtdecode.ingest.feed import Feed


def pull(feed: Feed) -> int:
    """Pull from the feed's inlet and read that, all stamps believed; returns the number of samples."""
    n = feed.inlet.pull(0.0)
    if n:
        feed.read(n, np.isfinite(feed.columns.time[:n]).astype(np.uint8))
    return n
