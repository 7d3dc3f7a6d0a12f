"""Latencies of the last bins, and their distribution."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from rtdecode.console.history import LATENCY_WINDOW
from rtdecode.kernels.arrays import F8, I8

#: The histograms range from 10 µs to 100 ms, eight columns per decade.
LOWEST_MS, DECADES, PER_DECADE = 0.01, 4, 8
N_COLUMNS = DECADES * PER_DECADE

PERCENTILES = {"p50": 50.0, "p99": 99.0, "max": 100.0}


class Distribution(NamedTuple):
    """Histogram and percentiles of latencies.

    Attributes:
        histogram: i8[N_COLUMNS] over equal steps of log time; the outermost columns include outliers.
        figures: p50, p99 and max, ms; None without a measurement.
    """

    histogram: I8
    figures: dict[str, float | None]


class Latencies:
    """Two latencies of each of the last 3,000 bins, by the daemon's clock alone.

    `decode` is t_pub − t_close, from the bin's completion to its publication; `total` is t_pub − t_bin, from
    the end of the bin to its publication.
    """

    def __init__(self) -> None:
        self._seconds: F8 = np.zeros((LATENCY_WINDOW, 2))
        self._n = 0

    def __len__(self) -> int:
        return min(self._n, LATENCY_WINDOW)

    def add(self, t_bin: float, t_close: float, t_pub: float) -> None:
        """Add one bin's times, seconds."""
        self._seconds[self._n % LATENCY_WINDOW] = t_pub - t_close, t_pub - t_bin
        self._n += 1

    def decode(self) -> Distribution:
        """From the completion of a bin to its publication."""
        return distribution(self._seconds[: len(self), 0] * 1e3)

    def total(self) -> Distribution:
        """From the end of a bin to its publication."""
        return distribution(self._seconds[: len(self), 1] * 1e3)


def distribution(ms: F8) -> Distribution:
    """The histogram and percentiles of latencies in ms."""
    if not len(ms):
        return Distribution(np.zeros(N_COLUMNS, np.int64), dict.fromkeys(PERCENTILES))
    column = np.floor(np.log10(np.maximum(ms, LOWEST_MS) / LOWEST_MS) * PER_DECADE).astype(np.int64)
    histogram = np.bincount(np.minimum(column, N_COLUMNS - 1), minlength=N_COLUMNS)
    found = np.percentile(ms, list(PERCENTILES.values())).tolist()
    return Distribution(histogram, dict(zip(PERCENTILES, found, strict=True)))
