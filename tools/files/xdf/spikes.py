"""Streams of spikes in an XDF file, in the layouts that are decoded live and by their rules."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rtdecode.binning import EventColumns
from rtdecode.ingest.connection.inlet import MAX_PULL
from rtdecode.ingest.signals.layouts import Layout, StreamDescription, channel_labels
from rtdecode.ingest.signals.mapped_rows import rows_for
from rtdecode.ingest.signals.numbering import AS_DESCRIBED, columns_of
from rtdecode.kernels import sequence
from rtdecode.kernels.arrays import F8, I8
from rtdecode.tools.files.recording import BinnedSpikes, Rows, SpikeTimes, UnitTable
from rtdecode.tools.files.xdf.regular import Runs, find_runs
from rtdecode.tools.files.xdf.samples import Samples, StreamFile

#: Channels are below; what a file states is left to whoever chooses.
MOST_CHANNELS = 65_536

#: Numbers of units take so many bits; larger ones are read as the largest.
UNIT_BITS = 40


class Found(NamedTuple):
    """A source of spikes, and what is odd about it, a sentence each."""

    spikes: SpikeTimes | BinnedSpikes
    notes: list[str]


class _Events(NamedTuple):
    """Accepted spikes of a stream: time f8[n], channel i8[n], unit i8[n] or None without units."""

    time: F8
    channel: I8
    unit: I8 | None


def single_spikes(file: StreamFile, layout: Layout) -> Found:
    """A stream of `events`, `snippets` or `channel`."""
    stream = file.stream
    wide = layout is Layout.SNIPPETS
    samples = file.load(reduce=(lambda values: values[:, :2].copy()) if wide else None)
    counters: I8 = np.zeros(sequence.N_SEQUENCE_COUNTERS, np.int64)
    events = _read_events(file, layout, samples, counters)
    table, row = _unit_table(events, stream.n_channels)
    notes = [
        f"{stream.name}: {n:,} {what}"
        for n, what in (
            (counters[sequence.LOST], "spikes were lost before they were recorded, by their running numbers"),
            (counters[sequence.DUPLICATE], "spikes are repeated, by their running numbers, and left out"),
            (counters[sequence.OUT_OF_RANGE], "spikes are on no possible channel, and left out"),
            (
                counters[sequence.NOT_WHOLE],
                "spikes have a channel, unit or number with a fraction, and are left out",
            ),
        )
        if n > 0
    ]
    if stream.n_channels and (beyond := int((events.channel >= stream.n_channels).sum())):
        notes.append(
            f"{stream.name}: {beyond:,} spikes are on channels beyond the {stream.n_channels} it states"
        )
    observed = _segments(samples)
    read = _reader(events.time, row)
    return Found(SpikeTimes(stream.name, table, len(row), read, observed), notes)


def _read_events(file: StreamFile, layout: Layout, samples: Samples, counters: I8) -> _Events:
    """The spikes that `serve` would accept, whatever the number of channels."""
    stream, time, values = file.stream, samples.time, samples.values
    rows = rows_for(stream, layout, AS_DESCRIBED, MOST_CHANNELS, counters)
    unit_column = columns_of(stream, layout, AS_DESCRIBED).unit
    n = len(time)
    channel, accepted = np.zeros(n, np.int32), np.zeros(n, np.uint8)
    possible, clipped, lost_before = (
        np.isfinite(time).astype(np.uint8),
        np.zeros(n, np.uint8),
        np.zeros(n, np.uint32),
    )
    for first in range(0, n, MAX_PULL):
        part = slice(first, first + MAX_PULL)
        columns = EventColumns(time[part], channel[part], accepted[part], lost_before[part])
        rows.read(values[part], len(time[part]), possible[part], columns, clipped[part])
    kept = accepted != 0
    # Live, units beyond 255 are read as 255; here they keep their number.
    unit = None if unit_column is None else values[kept, unit_column].astype(np.int64)
    return _Events(time[kept], channel[kept].astype(np.int64), unit)


def _unit_table(events: _Events, n_channels: int | None) -> tuple[UnitTable, NDArray[np.uint32]]:
    """A row for each unit of a channel, and for each stated channel without spikes; the row of each spike."""
    # One number for channel and unit.
    unit = 0 if events.unit is None else np.clip(events.unit, 0, (1 << UNIT_BITS) - 1)
    keys = (events.channel << UNIT_BITS) + unit
    found = np.unique(keys)
    silent = np.setdiff1d(np.arange(n_channels or 0), found >> UNIT_BITS) << UNIT_BITS
    every = np.union1d(found, silent)
    channels, units = every >> UNIT_BITS, every & ((1 << UNIT_BITS) - 1)
    pairs = list(zip(channels.tolist(), units.tolist(), strict=True))
    are_sorted = bool(units.any())
    ids = tuple(f"{channel}.{number}" if are_sorted else str(channel) for channel, number in pairs)
    electrodes = tuple(str(channel) for channel, _ in pairs)
    table = UnitTable(ids, electrodes, units if are_sorted else None)
    return table, np.searchsorted(every, keys).astype(np.uint32)


def _reader(time: F8, row: NDArray[np.uint32]) -> Callable[[Rows], tuple[F8, NDArray[np.uint32]]]:
    def read(rows: Rows) -> tuple[F8, NDArray[np.uint32]]:
        kept = np.isin(row, rows)
        return time[kept], row[kept]

    return read


def _segments(samples: Samples) -> F8 | None:
    """The stretches between resets of the clock; None where there was none."""
    if len(samples.segments) < 2:
        return None
    return np.array([(samples.time[first], samples.time[last]) for first, last in samples.segments])


def raster(file: StreamFile) -> Found:
    """A stream of threshold crossings, sampled."""
    done = 0

    def crossings(values: NDArray[Any]) -> NDArray[Any]:
        """Sample and channel of each 1."""
        nonlocal done
        sample, channel = np.nonzero(values == 1)
        first, done = done, done + len(values)
        return np.stack((sample + first, channel), axis=1)

    # Crossings are no samples, whose number a footer states.
    samples = replace(file, chunks=replace(file.chunks, footer_n=None)).load(reduce=crossings)
    stream = file.stream
    runs = find_runs(samples, stream.rate_hz)
    labels = channel_labels(stream, Layout.RASTER) or tuple(str(i) for i in range(stream.n_columns))
    sample, channel = samples.values[:, 0], samples.values[:, 1].astype(np.uint32)
    read = _reader(runs.time[sample], channel)
    spikes = SpikeTimes(stream.name, UnitTable(labels, labels), len(sample), read, runs.observed)
    return Found(spikes, _notes(stream, runs))


def counts(file: StreamFile) -> Found:
    """A stream of counts, stamped at the end of each."""
    stream = file.stream

    # Their stamps alone: the values are read when they are asked for.
    runs = find_runs(file.load(reduce=lambda values: values[:, :0]), stream.rate_hz)
    labels = channel_labels(stream, Layout.COUNTS) or tuple(str(i) for i in range(stream.n_columns))

    def read(columns: Rows) -> tuple[F8, F8]:
        return runs.time, file.load(reduce=lambda values: values[:, columns]).values.astype(np.float64)

    units = {unit.strip() for unit in stream.units}
    spikes = BinnedSpikes(
        stream.name,
        UnitTable(labels, labels),
        len(runs.time),
        runs.period_s if runs.as_announced else None,
        "end",
        read,
        runs.observed,
        units.pop() if len(units) == 1 and units <= {"Hz", "spikes/s"} else "",
    )
    return Found(spikes, _notes(stream, runs))


def _notes(stream: StreamDescription, runs: Runs) -> list[str]:
    notes = []
    if runs.n_holes:
        notes.append(
            f"{stream.name}: {runs.n_missing:,} samples of {runs.period_s * 1e3:g} ms are missing in "
            f"{runs.n_holes} holes, which are not observed"
        )
    if runs.jitters:
        notes.append(
            f"{stream.name}: its stamps jitter or are out of order: times follow them, as they do live"
        )
    if not runs.as_announced:
        notes.append(
            f"{stream.name}: announces {stream.rate_hz:g} Hz, and its stamps say {1 / runs.period_s:g} Hz"
        )
    return notes
