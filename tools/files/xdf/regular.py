"""Which samples of a regular stream are missing, by the rule of the live streams (docs/time.md)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from rtdecode.ingest.signals.timing import RegularTiming
from rtdecode.kernels import sequence
from rtdecode.kernels.arrays import F8
from rtdecode.tools.files.xdf.samples import Samples


class Runs(NamedTuple):
    """Stretches of a regular stream without a hole.

    Attributes:
        observed: f8[k, 2], start and stop of each, seconds; a sample covers the period before its stamp.
        n_missing: samples that are missing between them.
        period_s: of a sample, seconds: as announced, or by the stamps where these say something else.
        as_announced: which of both.
    """

    observed: F8
    n_missing: int
    period_s: float
    as_announced: bool


def find_runs(samples: Samples, rate_hz: float) -> Runs:
    """The runs of a stream of that nominal rate."""
    interval_s = float(np.median(np.diff(samples.time))) if len(samples.time) > 1 else 1.0 / rate_hz
    as_announced = not interval_s > 0.0 or abs(interval_s * rate_hz - 1.0) <= sequence.MOST_OFF
    period_s = 1.0 / rate_hz if as_announced else interval_s
    observed, n_missing = [], 0
    for first, last in samples.segments:
        time = samples.time[first : last + 1]
        lost_before = _lost_before(time, period_s)
        n_missing += int(lost_before.sum())
        starts = [0, *np.flatnonzero(lost_before).tolist()]
        stops = [*(start - 1 for start in starts[1:]), len(time) - 1]
        observed += [(time[a] - period_s, time[b]) for a, b in zip(starts, stops, strict=True)]
    return Runs(np.array(observed).reshape(-1, 2), n_missing, period_s, as_announced)


def _lost_before(time: F8, period_s: float) -> F8:
    n, timing = len(time), RegularTiming(period_s)
    possible = np.isfinite(time).astype(np.uint8)
    lost_before = np.zeros(n, np.uint32)
    if timing.begun(time, possible, n):
        sequence.check_counts(
            np.zeros((n, 0), np.int32),
            n,
            possible,
            timing.timing,
            timing.state,
            time,
            np.zeros((n, 0), np.uint8),
            np.zeros(n, np.int64),
            np.zeros(n, np.uint8),
            lost_before,
            np.zeros(n),
            np.zeros(sequence.N_SEQUENCE_COUNTERS, np.int64),
        )
    return lost_before.astype(np.float64)
