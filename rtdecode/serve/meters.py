"""Counters and latencies of the hot loop, which the reporting thread reads without a lock."""

from __future__ import annotations

import numpy as np

from rtdecode.console.history import LATENCY_WINDOW


class Meters:
    """Running totals and the latencies of the last 3,000 bins.

    Attributes:
        close_s, publish_s: t_close − t_bin and t_pub − t_bin of the last bins.
    """

    def __init__(self) -> None:
        self.bins = self.spikes = self.backlog_bins = self.backlog_spikes = 0
        self.stale = self.failsafe = self.catch_up = self.swaps = 0
        self.close_s = np.full(LATENCY_WINDOW, np.nan)
        self.publish_s = np.full(LATENCY_WINDOW, np.nan)
        self._at = 0

    def latency(self, close_s: float, publish_s: float) -> None:
        """Add the latencies of one bin."""
        self.close_s[self._at] = close_s
        self.publish_s[self._at] = publish_s
        self._at = (self._at + 1) % LATENCY_WINDOW
