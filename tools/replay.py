"""A recorded session as a fake LSL stream, with its stamps moved to now."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt
import pylsl

from rtdecode.errors import RtdecodeError
from rtdecode.ingest.layouts import MAX_COUNTS_RATE_HZ, Layout
from rtdecode.session.bins import events_of
from rtdecode.session.layout import Behavior, Events, Session

#: The outlet's own buffer: ×100 samples of an irregular stream, so 300,000 events.
OUTLET_BUFFER = 3000
OUTLET_BUFFER_S = 60

#: 48 samples of a spike at 30 kHz, in steps of 0.25 µV: the shape is the same for every unit.
SNIPPET = np.round(
    -240 * np.exp(-(((np.arange(48) - 12) / 4.0) ** 2)) + 80 * np.exp(-(((np.arange(48) - 24) / 7.0) ** 2))
).astype(np.int16)

#: What was pushed last must reach the inlets before the outlet goes.
LINGER_S = 0.5


Column = npt.NDArray[Any]
Stamp = Callable[[npt.NDArray[np.float64]], npt.NDArray[np.float64]]


@dataclass(frozen=True, kw_only=True)
class ReplaySettings:
    """How a session is replayed.

    Attributes:
        stream: name of the spike stream.
        behavior: name of a second stream with the behaviour, None for none.
        layout: what the spike stream carries.
        push_s: how often what is due is pushed.
        period_s: interval of one sample of a counts stream.
        speed: session seconds per second.
        seed: places counts that are coarser than events.
        loop: begin again at the end, for ever.
        wait_s: how long to wait for someone to listen before starting.

    Raises:
        RtdecodeError: a value is out of its range.
    """

    stream: str
    behavior: str | None = None
    layout: Layout = Layout.EVENTS
    push_s: float = 0.001
    period_s: float = 0.001
    speed: float = 1.0
    seed: int = 0
    loop: bool = False
    wait_s: float = 0.0

    def __post_init__(self) -> None:
        if not 0.0001 <= self.push_s <= 10:
            raise RtdecodeError("must lie between 0.1 and 10000 milliseconds", where="--push")
        if not 1 / MAX_COUNTS_RATE_HZ <= self.period_s <= 1:
            raise RtdecodeError("must lie between 1 and 1000 milliseconds", where="--period")
        if not 0 < self.speed <= 1000:
            raise RtdecodeError("must lie above 0 and up to 1000", where="--speed")
        if self.layout is Layout.COUNTS and self.speed / self.period_s > MAX_COUNTS_RATE_HZ:
            raise RtdecodeError(
                f"gives counts at {self.speed / self.period_s:g} Hz, and {MAX_COUNTS_RATE_HZ:g} is the most",
                where="--speed",
                mend=f"add --period {1e3 * self.speed / MAX_COUNTS_RATE_HZ:g}",
            )
        if self.behavior == self.stream:
            raise RtdecodeError("needs another name than the spike stream", where="--behavior")


class EventOutlet:
    """Single spikes, as `events`, `snippets` or `channel`."""

    def __init__(self, settings: ReplaySettings, session: Session, events: Events) -> None:
        self._events, self._start_s = events, session.start_s
        self._format = EVENT_FORMATS[settings.layout]
        self._at = 0
        self._seq = 0
        columns = self._format.columns
        info = pylsl.StreamInfo(
            settings.stream,
            self._format.type,
            len(columns),
            pylsl.IRREGULAR_RATE,
            self._format.dtype,
            source_id(settings, session),
        )
        info.desc().append_child_value("n_channels", str(session.n_channels))
        label_columns(info, columns, ("",) * len(columns))
        self.outlet = pylsl.StreamOutlet(info, max_buffered=OUTLET_BUFFER)

    def rewind(self) -> None:
        """Begin again with the first event; the running number goes on."""
        self._at = 0

    def push_until(self, session_s: float, stamp: Stamp) -> int:
        """Push all events up to `session_s` seconds after the session's start; returns how many."""
        events = self._events
        end = int(np.searchsorted(events.time, self._start_s + session_s, side="right"))
        first, self._at = self._at, max(self._at, end)
        n = self._at - first
        if n > 0:
            channel = events.channel[first : self._at]
            unit = events.unit[first : self._at] if events.unit is not None else np.zeros(n, np.uint8)
            rows = self._format.rows(channel, unit, np.arange(self._seq, self._seq + n))
            self._seq += n
            if self._format.own_stamps:
                self.outlet.push_chunk(rows, stamp(events.time[first : self._at] - self._start_s))
            else:
                self.outlet.push_chunk(rows)
        return n


@dataclass(frozen=True)
class EventFormat:
    """How one layout of single spikes lies in a stream.

    Attributes:
        type, dtype, columns: of the stream.
        own_stamps: False where all of a chunk share the time of its push.
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


class CountOutlet:
    """Spikes as the `counts` layout: int16, one column per channel, stamped at each interval's end."""

    def __init__(self, settings: ReplaySettings, session: Session, events: Events) -> None:
        self._events, self._period_s = events, settings.period_s
        self._start_s, self._n_channels = session.start_s, session.n_channels
        self._n_rows = int((session.end_s - session.start_s) / settings.period_s)
        self._row = 0
        info = pylsl.StreamInfo(
            settings.stream,
            "SpikeCounts",
            session.n_channels,
            settings.speed / settings.period_s,
            "int16",
            source_id(settings, session),
        )
        self.outlet = pylsl.StreamOutlet(info, max_buffered=OUTLET_BUFFER_S)

    def rewind(self) -> None:
        """Begin again with the first interval."""
        self._row = 0

    def push_until(self, session_s: float, stamp: Stamp) -> int:
        """Push all intervals that end by `session_s`; returns how many samples."""
        first = self._row
        self._row = max(first, min(int(session_s / self._period_s + 1e-9), self._n_rows))
        n = self._row - first
        if n > 0:
            edges = self._start_s + np.arange(first, self._row + 1, dtype=np.float64) * self._period_s
            at = np.searchsorted(self._events.time, edges, side="left")
            rows = np.zeros((n, self._n_channels), np.int16)
            interval = np.repeat(np.arange(n), np.diff(at))
            np.add.at(rows, (interval, self._events.channel[at[0] : at[-1]]), 1)
            self.outlet.push_chunk(rows, stamp(edges[1:] - self._start_s))
        return n


class BehaviorOutlet:
    """Behaviour samples at their own times."""

    def __init__(self, name: str, settings: ReplaySettings, session: Session, behavior: Behavior) -> None:
        self._behavior, self._start_s, self._at = behavior, session.start_s, 0
        info = pylsl.StreamInfo(
            name,
            "Behavior",
            len(behavior.names),
            pylsl.IRREGULAR_RATE,
            "float32",
            source_id(settings, session) + ":behavior",
        )
        label_columns(info, behavior.names, behavior.units)
        self.outlet = pylsl.StreamOutlet(info, max_buffered=OUTLET_BUFFER)

    def rewind(self) -> None:
        """Begin again with the first sample."""
        self._at = 0

    def push_until(self, session_s: float, stamp: Stamp) -> int:
        """Push all samples up to `session_s`; returns how many."""
        behavior = self._behavior
        end = int(np.searchsorted(behavior.time, self._start_s + session_s, side="right"))
        first, self._at = self._at, max(self._at, end)
        if self._at > first:
            stamps = stamp(behavior.time[first : self._at] - self._start_s)
            self.outlet.push_chunk(np.ascontiguousarray(behavior.values[first : self._at]), stamps)
        return self._at - first


Outlet = EventOutlet | CountOutlet | BehaviorOutlet


def source_id(settings: ReplaySettings, session: Session) -> str:
    """The same for every replay of a session under one name, so that a restart is recognised."""
    return f"rtdecode-replay:{settings.stream}:{session.name}"


def label_columns(info: pylsl.StreamInfo, labels: tuple[str, ...], units: tuple[str, ...]) -> None:
    """Write LSL's usual channel list into a stream's description."""
    channels = info.desc().append_child("channels")
    for label, unit in zip(labels, units, strict=True):
        channel = channels.append_child("channel")
        channel.append_child_value("label", label)
        channel.append_child_value("unit", unit)


class Replay:
    """Replays one session.

    Args:
        session: with spikes.
        settings: checked.

    Attributes:
        duration_s: session seconds in one round.
        n_events: spikes in it.
        synthetic_times: True where the events' times inside their recorded bins are made up.
        pushed: samples sent so far, over all outlets.

    Raises:
        RtdecodeError: no behaviour in the session although a stream of it is asked for.
    """

    def __init__(self, session: Session, settings: ReplaySettings) -> None:
        events, self.synthetic_times = events_of(session, settings.seed)
        self.duration_s = session.end_s - session.start_s
        self.n_events = len(events.time)
        self.pushed = 0
        self._settings = settings
        self._stopping = False
        self._outlets: list[Outlet] = []
        # Behaviour first: who finds the spikes finds the behaviour too.
        if settings.behavior is not None:
            if session.behavior is None:
                raise RtdecodeError(
                    "the session holds no behaviour",
                    where=str(session.path or session.name),
                    mend="leave --behavior out",
                )
            self._outlets.append(BehaviorOutlet(settings.behavior, settings, session, session.behavior))
        spikes = CountOutlet if settings.layout is Layout.COUNTS else EventOutlet
        self._outlets.append(spikes(settings, session, events))

    def stop(self) -> None:
        """End `run` at its next push."""
        self._stopping = True

    def run(self, progress: Callable[[float], None] | None = None) -> None:
        """Push until the session's end, or `stop`; with `loop` round after round.

        Args:
            progress: called once a second with the session seconds that have gone out.
        """
        if self._settings.wait_s:
            self._await_listener()
        start = pylsl.local_clock()
        while not self._stopping:
            self._round(start, progress)
            if not self._settings.loop:
                break
            start += self.duration_s / self._settings.speed
            for outlet in self._outlets:
                outlet.rewind()
        if not self._stopping:
            time.sleep(LINGER_S)

    def _await_listener(self) -> None:
        deadline = time.monotonic() + self._settings.wait_s
        while not self._stopping and time.monotonic() < deadline:
            if all(outlet.outlet.wait_for_consumers(0.05) for outlet in self._outlets):
                return

    def _round(self, start: float, progress: Callable[[float], None] | None) -> None:
        settings = self._settings
        told_s = 0.0
        due = pylsl.local_clock()

        def stamp(session_s: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
            return start + session_s / settings.speed

        while not self._stopping:
            now = pylsl.local_clock()
            session_s = min((now - start) * settings.speed, self.duration_s)
            for outlet in self._outlets:
                self.pushed += outlet.push_until(session_s, stamp)
            if session_s >= self.duration_s:
                return
            if progress is not None and session_s - told_s >= settings.speed:
                told_s = session_s
                progress(session_s)
            # Pushes lie on a grid of their own clock: a late one does not delay all that follow.
            due = max(due + settings.push_s, now)
            time.sleep(max(due - pylsl.local_clock(), 0.0))
