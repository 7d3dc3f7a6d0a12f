"""Which samples of a regular stream are missing, by the rule of the live streams (docs/time.md)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from rtdecode.ingest.signals.timing import RegularTiming
from rtdecode.kernels import sequence
from rtdecode.kernels.arrays import F8, Mask
from rtdecode.tools.files.xdf.samples import Samples

#: Stamps further apart than so many periods are those of a hole, and stamps that are not are its samples.
HOLE_PERIODS = 1.5


class Runs(NamedTuple):
    """The times of a regular stream, and its stretches without a hole.

    Attributes:
        time: f8[n], end of each sample, seconds: its stamp; where stamps jitter so much that holes do not
            show in them, the time that is followed by the stamps, as it is live.
        jitters: whether they do.
        observed: f8[k, 2], start and stop of each stretch, seconds; None if there is but one.
        n_missing, n_holes: samples that are missing between them, and in how many places.
        period_s: of a sample, seconds: as announced, or by the stamps where these say something else.
        as_announced: which of both.
    """

    time: F8
    jitters: bool
    observed: F8 | None
    n_missing: int
    n_holes: int
    period_s: float
    as_announced: bool


def find_runs(samples: Samples, rate_hz: float) -> Runs:
    """The runs of a stream of that nominal rate."""
    interval_s = float(np.median(np.diff(samples.time))) if len(samples.time) > 1 else 1.0 / rate_hz
    as_announced = not interval_s > 0.0 or abs(interval_s * rate_hz - 1.0) <= sequence.MOST_OFF
    period_s = 1.0 / rate_hz if as_announced else interval_s
    followed, missing = np.zeros(len(samples.time)), np.zeros(len(samples.time), np.uint32)
    begins = np.zeros(len(samples.time), np.bool_)
    for first, last in samples.segments:
        part = slice(first, last + 1)
        followed[part], missing[part] = _followed(samples.time[part], period_s)
        begins[first] = True
    begins |= missing > 0
    jitters = _hides_holes(samples.time, begins, period_s)
    time = followed if jitters else samples.time
    starts = np.flatnonzero(begins)
    stops = np.concatenate((starts[1:], [len(time)])) - 1
    observed = np.stack((time[starts] - period_s, time[stops]), axis=1) if len(starts) > 1 else None
    return Runs(time, jitters, observed, int(missing.sum()), len(starts) - 1, period_s, as_announced)


def _hides_holes(time: F8, begins: Mask, period_s: float) -> bool:
    """Whether intervals between stamps do not tell holes from jitter."""
    interval = np.diff(time)
    return bool(np.any((interval > HOLE_PERIODS * period_s) != begins[1:]) or np.any(interval <= 0.0))


def _followed(time: F8, period_s: float) -> tuple[F8, np.ndarray[tuple[int], np.dtype[np.uint32]]]:
    """The end of each sample by the stamps so far, and how many are missing before it."""
    n, timing = len(time), RegularTiming(period_s)
    possible = np.isfinite(time).astype(np.uint8)
    end_s, missing = time.copy(), np.zeros(n, np.uint32)
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
            missing,
            end_s,
            np.zeros(sequence.N_SEQUENCE_COUNTERS, np.int64),
        )
    return end_s, missing
