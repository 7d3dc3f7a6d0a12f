"""Detect the spikes of a file of voltage, piece by piece, with the class that detects them live."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rtdecode.detection.detector import Found, SpikeDetector
from rtdecode.detection.power import PowerBins, ends_of, join_bins, power_name
from rtdecode.detection.recorded import recorded
from rtdecode.detection.settings import DetectionSettings, Measured, PowerSettings, listed
from rtdecode.detection.spikes import Crossings, concatenated
from rtdecode.errors import RtdecodeError, located
from rtdecode.session.layout import Events, Features, Session
from rtdecode.tools.detect.voltage import RawVoltage

#: Of voltage that is read at a time, bytes, and of an HDF5 chunk that is not read in parts.
PIECE_BYTES, CHUNK_BYTES = 8 << 20, 64 << 20

#: Periods from one stamp to the next above which samples are lost; below the second, stamps go back.
LOST, BACK = 1.5, 0.0


@dataclass(frozen=True, eq=False)
class Detected:
    """The spikes of a file.

    Attributes:
        session: events, /detection and the features of power, to be written.
        measured: noise and weights.
        n_lost: samples lost in gaps.
        n_gaps: of the stamps.
        n_unknown: i8[C], samples that were NaN, infinite or at the limit of their type.
        notes: what is odd, a sentence each.
    """

    session: Session
    measured: Measured
    n_lost: int
    n_gaps: int
    n_unknown: NDArray[np.int64]
    notes: tuple[str, ...]


def detect(
    raw: RawVoltage,
    settings: DetectionSettings,
    measured: Measured | None = None,
    power: PowerSettings | None = None,
    progress: Callable[[str, float], None] = lambda what, done: None,
    piece_bytes: int = PIECE_BYTES,
) -> Detected:
    """Detect the spikes of a file.

    Args:
        raw: the file.
        settings: of the detection.
        measured: noise and weights; None to measure them in the first seconds.
        power: spike-band power that becomes features; None for none.
        progress: called with the current step and the fraction done.
        piece_bytes: of voltage that is read at a time.

    Raises:
        RtdecodeError: as `SpikeDetector`, or the stamps go back.
    """
    with located(raw.where):
        detector = SpikeDetector(raw.n_channels, raw.rate_hz, settings, measured, power)
        found: list[Crossings] = []
        bins: list[PowerBins] = []

        def take(more: Found) -> None:
            found.append(more.crossings)
            bins.extend([] if more.power is None else [more.power])

        gaps: list[tuple[int, int]] = []
        rows, last_s = _piece_rows(raw, piece_bytes), None
        for begin in range(0, raw.n_samples, rows):
            piece = raw.read(begin, begin + rows)
            at = 0
            if raw.stamps is not None:
                stamps = np.asarray(raw.stamps[begin : begin + len(piece)], np.float64)
                for row, n_lost in _lost(stamps, last_s, begin, raw.rate_hz):
                    take(detector.process(piece[at:row]))
                    detector.skip(n_lost)
                    gaps.append((begin + row, n_lost))
                    at = row
                last_s = float(stamps[-1])
            take(detector.process(piece[at:]))
            done = begin + len(piece)
            total_s = raw.n_samples / raw.rate_hz
            progress(f"detecting spikes, {done / raw.rate_hz:.0f} of {total_s:.0f} s", done / raw.n_samples)
        take(detector.finish())
        crossings = concatenated(found)
        time = _times(raw, crossings.sample, gaps, rows)
        features = None if power is None else _features(raw, join_bins(bins, raw.n_channels), power, gaps)
    assert detector.measured is not None
    session = Session(
        raw.n_channels,
        events=Events(time, crossings.channel),
        features=features,
        detection=recorded(raw.rate_hz, settings, detector.measured, power),
        attrs={"source": raw.where},
    )
    unknown = detector.n_unknown
    notes = [*raw.notes, *_notes(detector.measured, unknown, raw.n_samples)]
    return Detected(session, detector.measured, sum(n for _, n in gaps), len(gaps), unknown, tuple(notes))


def _piece_rows(raw: RawVoltage, piece_bytes: int) -> int:
    """Rows of a piece: whole chunks of an HDF5 dataset, so that none is unpacked twice."""
    row_bytes: int = raw.n_channels * raw.array.dtype.itemsize
    rows = max(1, piece_bytes // row_bytes)
    chunks = getattr(raw.array, "chunks", None)
    chunk = int(chunks[1 if raw.channel_major else 0]) if chunks else 1
    return -(-rows // chunk) * chunk if chunk * row_bytes <= CHUNK_BYTES else rows


def _lost(
    stamps: NDArray[np.float64], last_s: float | None, begin: int, rate_hz: float
) -> list[tuple[int, int]]:
    """Rows of a piece before which samples are lost, and how many."""
    steps = np.diff(stamps, prepend=stamps[0] - 1.0 / rate_hz if last_s is None else last_s) * rate_hz
    back = ~(steps > BACK)
    if back.any():
        row = int(back.argmax())
        raise RtdecodeError(
            f"the stamp of sample {begin + row}, {stamps[row]:.6f} s, is not after the one before",
            fix="correct the timestamps, or export the recording again",
        )
    return [(int(row), round(steps[row]) - 1) for row in np.flatnonzero(steps > LOST)]


def _times(
    raw: RawVoltage, sample: NDArray[np.int64], gaps: list[tuple[int, int]], rows: int
) -> NDArray[np.float64]:
    """f8[n], time of each event: its stamp, of which `rows` are read at a time; else start + sample/rate."""
    if raw.stamps is None:
        return raw.start_s + sample / raw.rate_hz
    lost = np.cumsum([0, *(n for _, n in gaps)])
    # Sample numbers count lost samples, rows of the file do not.
    after = np.array([row for row, _ in gaps], np.int64) + lost[1:]
    row = sample - lost[np.searchsorted(after, sample, "right")]
    shift_s = raw.start_s - float(raw.stamps[0])
    time = np.empty(len(row))
    for begin in range(0, raw.n_samples, rows):
        stamps = np.asarray(raw.stamps[begin : begin + rows], np.float64)
        first, last = np.searchsorted(row, [begin, begin + len(stamps)])
        time[first:last] = stamps[row[first:last] - begin]
    return time + shift_s


def _features(
    raw: RawVoltage, bins: PowerBins, power: PowerSettings, gaps: list[tuple[int, int]]
) -> Features:
    """Spike-band power as features, each stamped with the end of its bin."""
    end = ends_of(bins, power, raw.rate_hz)
    time = raw.start_s + end / raw.rate_hz
    if raw.stamps is not None and raw.n_samples > 1:
        # Between losses the stamps are even; a clock that is not exactly that of `rate_hz` is followed.
        rows = np.array([0, *(row + k for row, _ in gaps for k in (-1, 0)), raw.n_samples - 1])
        lost = np.repeat(np.cumsum([0, *(n for _, n in gaps)]), 2)
        stamps = np.array([float(raw.stamps[int(row)]) for row in rows])
        number, first = np.unique(rows + lost, return_index=True)
        beyond_s = np.maximum(end - number[-1], 0.0) / raw.rate_hz
        time = raw.start_s - stamps[0] + np.interp(end, number, stamps[first]) + beyond_s
    names = tuple(map(power_name, range(raw.n_channels)))
    kinds, units = ("power",) * raw.n_channels, ("",) * raw.n_channels
    return Features(time, bins.values, names, kinds, units, power.bin_width_s)


def _notes(measured: Measured, unknown: NDArray[np.int64], n_samples: int) -> list[str]:
    notes = []
    dead = np.flatnonzero(measured.noise == 0)
    if dead.size:
        notes.append(f"no signal in the first seconds, so no spikes, on {listed(dead)}")
    some = np.flatnonzero((unknown > 0) & (unknown < n_samples))
    if some.size:
        notes.append(
            f"{int(unknown[some].sum())} samples are NaN, infinite or at the limit of the converter, on "
            f"{listed(some)}; there is no spike within a filter's settling after them"
        )
    return notes
