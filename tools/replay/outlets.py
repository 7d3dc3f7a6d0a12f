"""The streams of a replay: single spikes, counts, features and behaviour, their timestamps shifted to now."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pylsl

from rtdecode.ingest.signals.layouts import Layout
from rtdecode.kernels.arrays import F8
from rtdecode.serve.lsl_out import describe_columns
from rtdecode.session.layout import Behavior, Events, Features, Session
from rtdecode.session.observed import observed_bins
from rtdecode.tools.replay.schedule import Delivery

#: LSL's buffer of an outlet; × 100 samples for an irregular stream, so 300,000 events.
OUTLET_BUFFER = 3000
OUTLET_BUFFER_S = 60

#: Waveform of every spike of every unit: 48 samples at 30 kHz, in steps of 0.25 µV.
SNIPPET = np.round(
    -240 * np.exp(-(((np.arange(48) - 12) / 4.0) ** 2)) + 80 * np.exp(-(((np.arange(48) - 24) / 7.0) ** 2))
).astype(np.int16)

#: An interval whose end exceeds the session by less than this fraction of its length is complete.
WHOLE_INTERVAL = 1e-6

Column = npt.NDArray[Any]


class Round(NamedTuple):
    """One pass through the session: its number, from 0, and its start on the LSL clock."""

    number: int
    start_s: float


@dataclass(frozen=True)
class EventFormat:
    """The stream format of a layout of single spikes.

    Attributes:
        type, dtype, columns: of the stream.
        own_stamps: False if all samples of a push share one timestamp, the time it was due.
        rows: from channel, unit and sequence number, each [n], to the rows to push.
    """

    type: str
    dtype: str
    columns: tuple[str, ...]
    own_stamps: bool
    rows: Callable[[Column, Column, Column], npt.NDArray[Any]]


def _event_rows(channel: Column, unit: Column, seq: Column) -> npt.NDArray[Any]:
    # The sequence number is an int32 and wraps around.
    wrapped = (seq & 0xFFFFFFFF).astype(np.uint32).view(np.int32)
    return np.stack((channel.astype(np.int32), unit.astype(np.int32), wrapped), axis=1)


def _snippet_rows(channel: Column, unit: Column, seq: Column) -> npt.NDArray[Any]:
    rows = np.tile(np.concatenate(([0, 0], SNIPPET)).astype(np.int16), (len(channel), 1))
    rows[:, 0], rows[:, 1] = channel, unit
    return rows


def _channel_rows(channel: Column, unit: Column, seq: Column) -> npt.NDArray[Any]:
    return channel.astype(np.int32)[:, None]


EVENT_FORMATS: Mapping[Layout, EventFormat] = MappingProxyType(
    {
        Layout.EVENTS: EventFormat("Spikes", "int32", ("channel", "unit", "seq"), True, _event_rows),
        Layout.SNIPPETS: EventFormat(
            "SpikeEvents",
            "int16",
            ("channel", "unit", *(f"w{i}" for i in range(len(SNIPPET)))),
            False,
            _snippet_rows,
        ),
        Layout.CHANNEL: EventFormat("SpikeChannels", "int32", ("channel",), True, _channel_rows),
    }
)


def open_event_outlet(stream: str, layout: Layout, n_channels: int, source: str) -> Any:
    """An LSL outlet for single spikes, in a layout of `EVENT_FORMATS`; `source` is its source_id."""
    form = EVENT_FORMATS[layout]
    info = pylsl.StreamInfo(stream, form.type, len(form.columns), pylsl.IRREGULAR_RATE, form.dtype, source)
    info.desc().append_child_value("n_channels", str(n_channels))
    describe_columns(info, form.columns, ("",) * len(form.columns))
    return pylsl.StreamOutlet(info, max_buffered=OUTLET_BUFFER)


def open_behavior_outlet(stream: str, names: Sequence[str], units: Sequence[str], source: str) -> Any:
    """An LSL outlet for behaviour f4[n, d], with the names and units of its columns."""
    info = pylsl.StreamInfo(stream, "Behavior", len(names), pylsl.IRREGULAR_RATE, "float32", source)
    describe_columns(info, names, units)
    return pylsl.StreamOutlet(info, max_buffered=OUTLET_BUFFER)


@dataclass(frozen=True)
class ReplayOutlet:
    """One stream of a replay.

    Attributes:
        outlet: LSL's.
        times: of the samples, f8[n], seconds since the start of the round.
        chunk: rows [n, d] of a delivery, and their LSL timestamps, f8[n] or one for all.
    """

    outlet: Any
    times: F8
    chunk: Callable[[Delivery, Round], tuple[Column, F8 | float]]


class ArraySpikes(NamedTuple):
    """The spikes of one array.

    Attributes:
        stream: name of its stream.
        events: channels from 0.
        n_channels: of the array.
    """

    stream: str
    events: Events
    n_channels: int


def replay_events(spikes: ArraySpikes, session: Session, layout: Layout, speed: float) -> ReplayOutlet:
    """Single spikes in a layout of `EVENT_FORMATS`; the sequence number continues over rounds.

    `speed` is session seconds per second, here and below.
    """
    stream, events, n_channels = spikes
    form = EVENT_FORMATS[layout]
    times = (events.time - session.start_s) / speed
    units = events.unit if events.unit is not None else np.zeros(len(times), np.uint8)

    def chunk(delivery: Delivery, in_round: Round) -> tuple[Column, F8 | float]:
        due_s, first, last = delivery
        seq = in_round.number * len(times) + np.arange(first, last)
        rows = form.rows(events.channel[first:last], units[first:last], seq)
        own = times[first:last] if form.own_stamps else due_s
        return rows, in_round.start_s + own

    outlet = open_event_outlet(stream, layout, n_channels, source_id(stream, session))
    return ReplayOutlet(outlet, times, chunk)


def replay_counts(
    spikes: ArraySpikes, session: Session, period_s: float, speed: float, *, raster: bool = False
) -> ReplayOutlet:
    """Spikes as the `counts` layout: i2[n, channels], stamped at the end of each `period_s` of session.

    `raster` as the `raster` layout: 1 where a count is above 0.
    """
    stream, events, n_channels = spikes
    n_rows = int((session.end_s - session.start_s) / period_s + WHOLE_INTERVAL)
    every = session.start_s + np.arange(n_rows + 1, dtype=np.float64) * period_s
    # In a gap there are none.
    number = observed_bins(session.observed, every)
    times = np.asarray((number + 1.0) * (period_s / speed), np.float64)
    before, after = (np.searchsorted(events.time, every[number + end], side="left") for end in (0, 1))

    def chunk(delivery: Delivery, in_round: Round) -> tuple[Column, F8 | float]:
        _, first, last = delivery
        rows = np.zeros((last - first, n_channels), np.int16)
        low, n = before[first:last], after[first:last] - before[first:last]
        at = np.arange(n.sum()) + np.repeat(low - (np.cumsum(n) - n), n)
        np.add.at(rows, (np.repeat(np.arange(last - first), n), events.channel[at]), 1)
        if raster:
            np.minimum(rows, 1, out=rows)
        return rows, in_round.start_s + times[first:last]

    info = pylsl.StreamInfo(
        stream,
        "Raster" if raster else "SpikeCounts",
        n_channels,
        speed / period_s,
        "int16",
        source_id(stream, session),
    )
    return ReplayOutlet(pylsl.StreamOutlet(info, max_buffered=OUTLET_BUFFER_S), times, chunk)


def replay_behavior(
    stream: str, spikes: str, session: Session, behavior: Behavior, speed: float
) -> ReplayOutlet:
    """Behaviour samples at their own times, beside the stream `spikes`; none outside the session's extent."""
    first = int(np.searchsorted(behavior.time, session.start_s, side="left"))
    last = int(np.searchsorted(behavior.time, session.end_s, side="right"))
    times = (behavior.time[first:last] - session.start_s) / speed
    source = source_id(spikes, session) + ":behavior"
    outlet = open_behavior_outlet(stream, behavior.names, behavior.units, source)
    return _replay_samples(outlet, behavior.values[first:last], times)


def replay_features(
    stream: str, source: str, session: Session, features: Features, speed: float
) -> ReplayOutlet:
    """Features as a regular stream, each sample at the end of its interval; none outside the session.

    `source` is the outlet's source_id.
    """
    slack_s = WHOLE_INTERVAL * features.period_s
    first = int(np.searchsorted(features.time, session.start_s, side="right"))
    last = int(np.searchsorted(features.time, session.end_s + slack_s, side="right"))
    times = (features.time[first:last] - session.start_s) / speed
    rate_hz = speed / features.nominal_period_s
    info = pylsl.StreamInfo(stream, "Features", len(features.names), rate_hz, "float32", source)
    describe_columns(info, features.names, features.units, features.kinds)
    outlet = pylsl.StreamOutlet(info, max_buffered=OUTLET_BUFFER_S)
    return _replay_samples(outlet, features.values[first:last], times)


def _replay_samples(outlet: Any, values: npt.NDArray[np.float32], times: F8) -> ReplayOutlet:
    """Samples at their own times, in seconds since the start of the round."""

    def chunk(delivery: Delivery, in_round: Round) -> tuple[Column, F8 | float]:
        _, first, last = delivery
        return values[first:last], in_round.start_s + times[first:last]

    return ReplayOutlet(outlet, times, chunk)


def source_id(stream: str, session: Session) -> str:
    """The same id for every replay of a session under one name, so that a restart is recognised."""
    return f"rtdecode-replay:{stream}:{session.name}"
