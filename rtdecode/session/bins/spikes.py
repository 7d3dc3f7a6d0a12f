"""Spikes and features of a recorded session in bins of any width."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from rtdecode.errors import RtdecodeError
from rtdecode.kernels.arrays import F8, I8
from rtdecode.kernels.sessions import bin_events, merge_rows
from rtdecode.session.bins.features import WHOLE_BIN, features_alone, features_at
from rtdecode.session.layout import Counts, Events, Session
from rtdecode.session.observed import observed_bins

SAME_WIDTH = 1e-6
"""Relative tolerance for equal bin widths: float32(0.064) in a file is 64 ms."""

MAX_CELLS = 2**34
"""Bins × channels; more than this means a wrong time stamp, such as one from another clock."""


@dataclass(frozen=True, eq=False)
class BinnedSession:
    """A session in bins; those that touch time in which the array was not recorded are left out.

    Attributes:
        counts: u1[T, n_channels], saturating at 255.
        t_bin: f8[T], end of each bin, seconds.
        origin_s: start of bin 0, seconds.
        bin_width_s: seconds.
        synthetic_times: True where events were placed at random inside coarser recorded bins.
        features: f8[T, F], NaN where nothing is known; None of a session without.
        starts: i8[S], row of the first bin of each stretch that was recorded without a gap, 0 first.
        number: i8[T], of each bin since the origin, those left out counted; None where none is left out.
    """

    counts: NDArray[np.uint8]
    t_bin: F8
    origin_s: float
    bin_width_s: float
    synthetic_times: bool
    features: F8 | None = None
    starts: I8 = field(default_factory=lambda: np.zeros(1, np.int64))
    number: I8 | None = None


def bin_session(session: Session, bin_width_s: float, seed: int = 0) -> BinnedSession:
    """Bin a session; only bins that are entirely inside it, and inside the time that was observed.

    Counts of exactly this width, announced or true, are used unchanged. Otherwise events are binned, if
    there are any; finer counts are summed (row n belongs to bin ⌊(n+½)·p/Δ⌋, p being the announced width; a
    last partial bin is dropped); coarser counts are placed by `spread_counts(counts, seed)` and then binned.
    The origin is the counts' t0, or the session's start. Features follow these bins; where a session holds
    nothing else, bins follow the features, by the number of the sample.

    Args:
        session: with events, counts or features.
        bin_width_s: Δ, seconds.
        seed: for counts coarser than Δ.

    Raises:
        RtdecodeError: no spikes, a bin width that is not positive, or times too far apart.
    """
    if not (math.isfinite(bin_width_s) and bin_width_s > 0):
        raise RtdecodeError(f"the bin width is {bin_width_s} s", fix="pass a positive number of seconds")
    features, values, synthetic = session.features, None, False
    if (alone := session.features_alone) is not None:
        values, edges = features_alone(alone, bin_width_s)
        number = observed_bins(session.observed, edges)
        counts = np.zeros((len(number), session.n_channels), np.uint8)
    else:
        number, counts, edges, synthetic = _bin_spikes(session, bin_width_s, seed)
        if features is not None:
            values = features_at(features, edges)
    binned = BinnedSession(counts, edges[1:], float(edges[0]), bin_width_s, synthetic, values)
    if session.observed is None:
        return binned
    return replace(
        binned,
        t_bin=binned.t_bin[number],
        features=None if values is None else values[number],
        starts=np.append(0, np.flatnonzero(np.diff(number) > 1) + 1),
        number=number,
    )


def _bin_spikes(session: Session, bin_width_s: float, seed: int) -> tuple[I8, NDArray[np.uint8], F8, bool]:
    """Numbers of the bins that are kept, their counts, the edges f8[N + 1] of all bins, whether synthetic."""
    counts = session.counts
    if counts is not None and any(
        math.isclose(width_s, bin_width_s, rel_tol=SAME_WIDTH)
        for width_s in (counts.nominal_width_s, counts.bin_width_s)
    ):
        edges, number = counts.edges, observed_bins(session.observed, counts.edges)
        values = counts.values if session.observed is None else counts.values[number]
        kept = np.minimum(values, np.iinfo(np.uint8).max).astype(np.uint8, copy=False)
        return number, kept, edges, False
    if counts is not None and session.events is None and counts.nominal_width_s < bin_width_s:
        n_bins, bin_of_row, edges = _merging(counts, bin_width_s)
        number = observed_bins(session.observed, edges)
        binned = np.zeros((len(number), session.n_channels), dtype=np.uint8)
        # The last rows may belong to a bin that is not whole.
        merge_rows(counts.values, _rows(number, n_bins + 1)[bin_of_row], binned)
        return number, binned, edges, False
    events, synthetic = events_of(session, seed)
    origin_s = session.start_s
    n_bins = _complete_bins(session, session.end_s - origin_s, bin_width_s)
    edges = origin_s + np.arange(n_bins + 1, dtype=np.float64) * bin_width_s
    number = observed_bins(session.observed, edges)
    binned = np.zeros((len(number), session.n_channels), dtype=np.uint8)
    bin_events(events.time, events.channel, origin_s, bin_width_s, _rows(number, n_bins), binned)
    return number, binned, edges, synthetic


def _rows(number: I8, n_bins: int) -> I8:
    """The row i8[n_bins] of each bin among those of these numbers; -1 of one that is left out."""
    rows = np.full(n_bins, -1, np.int64)
    rows[number] = np.arange(len(number))
    return rows


def events_of(session: Session, seed: int = 0) -> tuple[Events, bool]:
    """The session's events and False, or its counts placed as events and True.

    Raises:
        RtdecodeError: the session has neither.
    """
    if session.events is not None:
        return session.events, False
    if session.counts is not None:
        return spread_counts(session.counts, seed), True
    raise RtdecodeError(
        "holds no spikes: neither /events nor /counts"
        + (", only /decoded" if session.decoded is not None else ""),
        where=str(session.path or session.name),
        fix="use the recording it was decoded from, or add /events or /counts",
    )


def spread_counts(counts: Counts, seed: int = 0) -> Events:
    """Place each count's events uniformly at random inside its bin, by a fixed rule.

    With `rng = numpy.random.default_rng(seed)`: go through the cells in C order (row by row, channel by
    channel within a row), repeat each cell by its count, draw one `u = rng.random()` per event
    in that order, and set time = t0_s + (row + u)·bin_width_s, kept inside [t0_s + row·w, t0_s + (row+1)·w).
    Then sort by time, stable. The same counts and seed give the same events on every machine; binning them
    at the recorded width gives the counts back exactly.
    """
    rows, channels = np.nonzero(counts.values)
    repeats = counts.values[rows, channels]
    row = np.repeat(rows, repeats)
    channel = np.repeat(channels, repeats).astype(np.uint16)
    u = np.random.default_rng(seed).random(row.size)
    start, stop = counts.edges[row], counts.edges[row + 1]
    time = counts.t0_s + (row + u) * counts.bin_width_s if counts.end is None else start + u * (stop - start)
    time = np.clip(time, start, np.nextafter(stop, -np.inf))
    order = np.argsort(time, kind="stable")
    return Events(time[order], channel[order])


def _merging(counts: Counts, bin_width_s: float) -> tuple[int, I8, F8]:
    """Number of whole bins, the bin of each row, and the bins' edges, seconds."""
    n_rows = len(counts.values)
    ratio = counts.nominal_width_s / bin_width_s
    n_bins = math.floor(n_rows * ratio + WHOLE_BIN)
    bin_of_row = np.floor((np.arange(n_rows) + 0.5) * counts.nominal_width_s / bin_width_s).astype(np.int64)
    if counts.end is None:
        return n_bins, bin_of_row, counts.t0_s + np.arange(n_bins + 1, dtype=np.float64) * bin_width_s
    edges = counts.edges
    return n_bins, bin_of_row, np.interp(np.arange(n_bins + 1) / ratio, np.arange(len(edges)), edges)


def _complete_bins(session: Session, duration_s: float, bin_width_s: float) -> int:
    n_bins = math.floor(duration_s / bin_width_s + WHOLE_BIN)
    if n_bins * session.n_channels > MAX_CELLS:
        raise RtdecodeError(
            f"spans {duration_s:.0f} s, {n_bins} bins of {bin_width_s} s: more than fit in memory",
            where=str(session.path or session.name),
            fix="stamp spikes and behaviour by one clock, in seconds; see the notes of rtdecode info",
        )
    return n_bins
