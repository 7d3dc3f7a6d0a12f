"""What neo finds in a recording, as a `Recording`: one mapping for every format."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtdecode.tools.files.recording import (
    F8,
    MarkerList,
    Recording,
    Rows,
    Series,
    SpikeTimes,
    TrialTable,
    UnitTable,
)
from rtdecode.tools.files.tables.labels import unit_number
from rtdecode.tools.files.vendor.inputs import is_input, role_of, thinned, why_voltage
from rtdecode.tools.files.vendor.neo.quiet import quiet
from rtdecode.tools.files.vendor.runs import Stretch, shifts, stretches

PIECE_SAMPLES = 1 << 20

#: Start and stop for neo, seconds; None for neo's own.
Window = tuple[float | None, float | None]
EVERYTHING: Window = (None, None)

_UNIT = re.compile(r"^(.+)#(\w+)$")


@dataclass(frozen=True)
class _Segment:
    """A stretch of the recording: its numbers in neo, and what is added to its times, seconds."""

    block: int
    number: int
    added: float


class _Stream:
    """Some channels of a stream of signals."""

    def __init__(self, raw: Any, index: int, channels: NDArray[np.intp]) -> None:
        header = raw.header["signal_channels"]
        mine = header[header["stream_id"] == raw.header["signal_streams"][index]["id"]]
        self._raw, self._index, self._channels = raw, index, channels
        self.names = tuple(str(each) for each in mine["name"][channels])
        self.units = tuple(str(each) for each in mine["units"][channels])
        self.rate = float(mine["sampling_rate"][0])
        self.step, self.note = thinned(self.rate)

    def n_samples(self, segments: Sequence[_Segment]) -> int:
        sizes = [self._raw.get_signal_size(each.block, each.number, self._index) for each in segments]
        return sum(-(-int(size) // self.step) for size in sizes)

    def read(self, segments: Sequence[_Segment]) -> tuple[F8, F8]:
        """Seconds and values of every `step`th sample, in the channels' units."""
        times, values = [np.zeros(0)], [np.empty((0, len(self._channels)))]
        at_once = PIECE_SAMPLES // self.step * self.step
        for each in segments:
            size = int(self._raw.get_signal_size(each.block, each.number, self._index))
            start = float(self._raw.get_signal_t_start(each.block, each.number, self._index)) + each.added
            times.append(start + np.arange(0, size, self.step) / self.rate)
            for first in range(0, size, at_once):
                last = min(first + at_once, size)
                place = {"stream_index": self._index, "channel_indexes": self._channels}
                piece = self._raw.get_analogsignal_chunk(each.block, each.number, first, last, **place)
                piece = piece[:: self.step]
                values.append(self._raw.rescale_signal_raw_to_float(piece, "float64", **place))
        return np.concatenate(times), np.concatenate(values)


def mapped(raw: Any, path: Path, name: str, window: Window = EVERYTHING) -> Recording:
    """What a reader of neo, whose header has been parsed, finds.

    Args:
        raw: a `BaseRawIO`.
        path: of the file or folder.
        name: of the format, for people.
        window: seconds between which spikes are asked for.

    Raises:
        RtdecodeError: the file is damaged.
    """
    with quiet(path):
        numbers = [
            (block, each) for block in range(raw.block_count()) for each in range(raw.segment_count(block))
        ]
        limits = [(float(raw.segment_t_start(*each)), float(raw.segment_t_stop(*each))) for each in numbers]
        runs = _runs(limits)
        added = shifts([runs])
        segments = [
            _Segment(*number, float(added[each.run])) for number, each in zip(numbers, runs, strict=True)
        ]
        series, others = _signals(raw, path, segments)
        observed = stretches(
            (a + each.added, b + each.added) for (a, b), each in zip(limits, segments, strict=True)
        )
        return Recording(
            path,
            name,
            (_spikes(raw, path, segments, window),) if len(raw.header["spike_channels"]) else (),
            series,
            tuple(_trials(raw, i, segments) for i in _events(raw, b"epoch")),
            tuple(_markers(raw, i, segments) for i in _events(raw, b"event")),
            np.array([[each.start, each.stop] for each in observed]) if len(segments) > 1 else None,
            notes=_notes(added),
            others=others,
        )


def _runs(limits: Sequence[tuple[float, float]]) -> list[Stretch]:
    """Each segment with its run: a clock that starts again begins a new one."""
    found: list[Stretch] = []
    for start, stop in limits:
        run = found[-1].run + (start < found[-1].stop) if found else 0
        found.append(Stretch(start, stop, run))
    return found


def _notes(added: F8) -> tuple[str, ...]:
    if len(added) == 1:
        return ()
    return (
        f"the clock starts again in {len(added) - 1} segments: each is put 1 s behind the one before, "
        "though the time between is not known",
    )


def _spikes(raw: Any, path: Path, segments: Sequence[_Segment], window: Window) -> SpikeTimes:
    names = [str(each) for each in raw.header["spike_channels"]["name"]]
    parts = [_UNIT.match(name) for name in names]
    numbers = [unit_number(part[2]) for part in parts if part]
    known = [number for number in numbers if number is not None]
    sorted_ = len(known) == len(names)
    ids = (
        tuple(names)
        if len(set(names)) == len(names)
        else tuple(f"{i} {each}" for i, each in enumerate(names))
    )
    electrodes = tuple(part[1] if part and sorted_ else name for part, name in zip(parts, names, strict=True))
    rows = range(len(names)) if window == EVERYTHING else ()
    n_spikes = sum(int(raw.spike_count(each.block, each.number, row)) for each in segments for row in rows)

    def read(rows: Rows) -> tuple[F8, NDArray[np.uint32]]:
        with quiet(path):
            times, row_of = [np.zeros(0)], [np.zeros(0, np.uint32)]
            for row in rows:
                for each in segments:
                    ticks = raw.get_spike_timestamps(each.block, each.number, int(row), *window)
                    times.append(raw.rescale_spike_timestamp(ticks, "float64") + each.added)
                    row_of.append(np.full(len(ticks), row, np.uint32))
            return np.concatenate(times), np.concatenate(row_of)

    table = UnitTable(ids, electrodes, np.array(known, np.int64) if sorted_ else None)
    return SpikeTimes("spikes", table, n_spikes if rows else None, read)


def _signals(
    raw: Any, path: Path, segments: Sequence[_Segment]
) -> tuple[tuple[Series, ...], tuple[tuple[str, str], ...]]:
    """Inputs as series, and what is left out: the voltage of electrodes."""
    series, others = [], []
    channels = raw.header["signal_channels"]
    for index, stream in enumerate(raw.header["signal_streams"]):
        mine = channels[channels["stream_id"] == stream["id"]]
        inputs = np.array([is_input(f"{each}") for each in mine["name"]])
        name = str(stream["name"]) or str(stream["id"])
        if not inputs.all():
            rate = float(mine["sampling_rate"][0])
            others.append((name, why_voltage(int((~inputs).sum()), rate)))
        if inputs.any():
            series.append(_series(_Stream(raw, index, np.flatnonzero(inputs)), path, name, segments))
    return tuple(series), tuple(others)


def _series(stream: _Stream, path: Path, name: str, segments: Sequence[_Segment]) -> Series:
    def read() -> tuple[F8, F8]:
        with quiet(path):
            return stream.read(segments)

    n, rate, role = stream.n_samples(segments), stream.rate / stream.step, role_of(name)
    return Series(name, stream.names, stream.units, n, rate, role, read, note=stream.note, clock=name)


def _events(raw: Any, kind: bytes) -> list[int]:
    """The channels of a kind that have an event."""
    found = []
    for i, each in enumerate(raw.header["event_channels"]):
        blocks = [(b, s) for b in range(raw.block_count()) for s in range(raw.segment_count(b))]
        if each["type"] == kind and sum(int(raw.event_count(*place, i)) for place in blocks):
            found.append(i)
    return found


def _read_events(raw: Any, index: int, segments: Sequence[_Segment]) -> tuple[F8, F8, list[str]]:
    """Seconds, durations (0 where there are none) and labels of the events of a channel."""
    times, durations, labels = [np.zeros(0)], [np.zeros(0)], []
    for each in segments:
        ticks, lasting, texts = raw.get_event_timestamps(each.block, each.number, index)
        times.append(raw.rescale_event_timestamp(ticks, "float64", index) + each.added)
        lasts = lasting is not None
        durations.append(
            raw.rescale_epoch_duration(lasting, "float64", index) if lasts else np.zeros(len(ticks))
        )
        labels += [str(text).strip("\0 ") for text in texts]
    return np.concatenate(times), np.concatenate(durations), labels


def _name(raw: Any, index: int) -> str:
    channel = raw.header["event_channels"][index]
    return str(channel["name"]) or str(channel["id"]) or f"events {index}"


def _markers(raw: Any, index: int, segments: Sequence[_Segment]) -> MarkerList:
    time, _, labels = _read_events(raw, index, segments)
    name = _name(raw, index)
    return MarkerList(name, time, tuple(label or name for label in labels))


def _trials(raw: Any, index: int, segments: Sequence[_Segment]) -> TrialTable:
    time, lasting, labels = _read_events(raw, index, segments)
    return TrialTable(_name(raw, index), time, time + lasting, {"label": np.array(labels, np.str_)})
