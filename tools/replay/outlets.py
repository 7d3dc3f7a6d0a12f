"""The streams a replay fills: single spikes, counts and behaviour, their stamps moved to now."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pylsl

from rtdecode.ingest.layouts import Layout
from rtdecode.serve.lsl_out import describe_columns
from rtdecode.session.layout import Behavior, Events, Session
from rtdecode.tools.replay.schedule import Delivery, IntervalTimes, SampleTimes

#: The outlet's own buffer: ×100 samples of an irregular stream, so 300,000 events.
OUTLET_BUFFER = 3000
OUTLET_BUFFER_S = 60

#: 48 samples of a spike at 30 kHz, in steps of 0.25 µV: the shape is the same for every unit.
SNIPPET = np.round(
    -240 * np.exp(-(((np.arange(48) - 12) / 4.0) ** 2)) + 80 * np.exp(-(((np.arange(48) - 24) / 7.0) ** 2))
).astype(np.int16)

#: An interval that misses the session's end by less than this part of its length is whole.
WHOLE_INTERVAL = 1e-6

Column = npt.NDArray[Any]
Kept = npt.NDArray[np.bool_]


class Round(NamedTuple):
    """One time through the session: its number, from 0, and its start on the LSL clock."""

    number: int
    start_s: float


@dataclass(frozen=True)
class EventFormat:
    """How one layout of single spikes lies in a stream.

    Attributes:
        type, dtype, columns: of the stream.
        own_stamps: False where all samples of a push share one stamp, the time it was due.
        rows: from channel, unit and running number, each [n], to the rows to push.
    """

    type: str
    dtype: str
    columns: tuple[str, ...]
    own_stamps: bool
    rows: Callable[[Column, Column, Column], npt.NDArray[Any]]


def _event_rows(channel: Column, unit: Column, seq: Column) -> npt.NDArray[Any]:
    # The running number is an int32 and wraps around like one.
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


class EventOutlet:
    """Single spikes, as `events`, `snippets` or `channel`.

    Args:
        stream: its name.
        session, events: what is replayed.
        layout: one of the three.
        speed: session seconds per second.

    Attributes:
        times: of the samples, seconds since the round's start.
        outlet: LSL's.
    """

    def __init__(self, stream: str, session: Session, events: Events, layout: Layout, speed: float) -> None:
        self._events, self._format = events, EVENT_FORMATS[layout]
        self.times = SampleTimes((events.time - session.start_s) / speed)
        columns = self._format.columns
        info = pylsl.StreamInfo(
            stream,
            self._format.type,
            len(columns),
            pylsl.IRREGULAR_RATE,
            self._format.dtype,
            source_id(stream, session),
        )
        info.desc().append_child_value("n_channels", str(session.n_channels))
        describe_columns(info, columns, ("",) * len(columns))
        self.outlet = pylsl.StreamOutlet(info, max_buffered=OUTLET_BUFFER)

    def push(self, delivery: Delivery, kept: Kept | None, in_round: Round) -> int:
        """Push events `delivery.first … last-1` in one chunk; the running number goes on over rounds.

        Args:
            delivery: which.
            kept: bool[last - first], which of them are not lost; None for all.
            in_round: of the replay.

        Returns:
            How many samples went out.
        """
        due_s, first, last = delivery
        index = np.arange(first, last) if kept is None else first + np.flatnonzero(kept)
        if not len(index):
            return 0
        events = self._events
        unit = events.unit[index] if events.unit is not None else np.zeros(len(index), np.uint8)
        rows = self._format.rows(events.channel[index], unit, in_round.number * len(self.times) + index)
        if self._format.own_stamps:
            self.outlet.push_chunk(rows, in_round.start_s + self.times.span(first, last)[index - first])
        else:
            self.outlet.push_chunk(rows, in_round.start_s + due_s)
        return len(index)


class CountOutlet:
    """Spikes as the `counts` layout: int16, one column per channel, stamped at each interval's end.

    Args and attributes as in `EventOutlet`; a sample is the row of one interval of `period_s`
    session seconds.
    """

    def __init__(self, stream: str, session: Session, events: Events, period_s: float, speed: float) -> None:
        self._events, self._period_s = events, period_s
        self._start_s, self._n_channels = session.start_s, session.n_channels
        n_rows = int((session.end_s - session.start_s) / period_s + WHOLE_INTERVAL)
        self.times = IntervalTimes(n_rows, period_s / speed)
        info = pylsl.StreamInfo(
            stream,
            "SpikeCounts",
            session.n_channels,
            speed / period_s,
            "int16",
            source_id(stream, session),
        )
        self.outlet = pylsl.StreamOutlet(info, max_buffered=OUTLET_BUFFER_S)

    def push(self, delivery: Delivery, kept: Kept | None, in_round: Round) -> int:
        """Push intervals `delivery.first … last-1` in one chunk, as `EventOutlet.push` does."""
        _, first, last = delivery
        n = last - first
        edges = self._start_s + np.arange(first, last + 1, dtype=np.float64) * self._period_s
        at = np.searchsorted(self._events.time, edges, side="left")
        rows = np.zeros((n, self._n_channels), np.int16)
        interval = np.repeat(np.arange(n), np.diff(at))
        np.add.at(rows, (interval, self._events.channel[at[0] : at[-1]]), 1)
        stamps = in_round.start_s + self.times.span(first, last)
        if kept is not None:
            rows, stamps = rows[kept], stamps[kept]
        if len(rows):
            self.outlet.push_chunk(rows, stamps)
        return len(rows)


class BehaviorOutlet:
    """Behaviour samples at their own times; what lies outside the session's extent is left out.

    Args and attributes as in `EventOutlet`; `spikes` is the spike stream's name.
    """

    def __init__(self, stream: str, spikes: str, session: Session, behavior: Behavior, speed: float) -> None:
        first = int(np.searchsorted(behavior.time, session.start_s, side="left"))
        last = int(np.searchsorted(behavior.time, session.end_s, side="right"))
        self._values = behavior.values[first:last]
        self.times = SampleTimes((behavior.time[first:last] - session.start_s) / speed)
        info = pylsl.StreamInfo(
            stream,
            "Behavior",
            len(behavior.names),
            pylsl.IRREGULAR_RATE,
            "float32",
            source_id(spikes, session) + ":behavior",
        )
        describe_columns(info, behavior.names, behavior.units)
        self.outlet = pylsl.StreamOutlet(info, max_buffered=OUTLET_BUFFER)

    def push(self, delivery: Delivery, kept: Kept | None, in_round: Round) -> int:
        """Push samples `delivery.first … last-1` in one chunk, as `EventOutlet.push` does."""
        _, first, last = delivery
        values, stamps = self._values[first:last], in_round.start_s + self.times.span(first, last)
        if kept is not None:
            values, stamps = values[kept], stamps[kept]
        if len(values):
            self.outlet.push_chunk(np.ascontiguousarray(values), stamps)
        return len(values)


Outlet = EventOutlet | CountOutlet | BehaviorOutlet


def source_id(stream: str, session: Session) -> str:
    """The same for every replay of a session under one name, so that a restart is recognised."""
    return f"rtdecode-replay:{stream}:{session.name}"
