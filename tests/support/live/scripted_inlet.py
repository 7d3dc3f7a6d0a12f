"""An inlet without LSL, and what a loop does with it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtdecode.ingest.connection.inlet import MAX_PULL
from rtdecode.ingest.signals.feed import Feed
from rtdecode.ingest.signals.layouts import StreamDescription


class ScriptedInlet:
    """Replaces an inlet: returns the samples that were sent, at most MAX_PULL at a time."""

    def __init__(self, n_columns: int, dtype: str = "int32", rate_hz: float = 0.0) -> None:
        self.stream = StreamDescription("M1", "Spikes", n_columns, rate_hz, dtype)
        self.samples = np.zeros((MAX_PULL, n_columns), dtype)
        self.time = np.zeros(MAX_PULL)
        self.correction_s = self.offset_s = self.added_s = self.opened_s = 0.0
        self._sent: tuple[NDArray[Any], NDArray[Any]] = self.time[:0], self.samples[:0]

    def send(self, time: Any, rows: Any) -> None:
        """Append samples [n, n_columns] of these times, or a single one."""
        self._sent = np.append(self._sent[0], time), np.concatenate((self._sent[1], np.atleast_2d(rows)))

    def pull(self, timeout_s: float) -> int:
        time, rows = self._sent
        n = min(len(time), MAX_PULL)
        self.time[:n], self.samples[:n] = time[:n], rows[:n]
        self._sent = time[n:], rows[n:]
        return n


def pull(feed: Feed) -> int:
    """Pull from the feed's inlet and read that, all finite stamps believed; returns the number of samples."""
    n = feed.inlet.pull(0.0)
    if n:
        feed.read(n, np.isfinite(feed.columns.time[:n]).astype(np.uint8))
        feed.tally(n)
    return n
