"""Sources in this process, sent in real time from a session, whose clocks and rates are the test's own."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
import pylsl

from rtdecode.session.layout import Session


class Source(Protocol):
    """Sends the part of a session up to `t`, seconds since its start, which is `begun_s` on the LSL clock."""

    def push_until(self, session: Session, t: float, begun_s: float) -> None: ...


class EventSource:
    """Single spikes in `events` layout, stamped `offset_s` off the LSL clock."""

    def __init__(self, name: str, n_channels: int, *, offset_s: float = 0.0, source_id: str = "rig") -> None:
        info = pylsl.StreamInfo(name, "Spikes", 3, 0.0, "int32", source_id)
        info.desc().append_child_value("n_channels", str(n_channels))
        self.outlet: pylsl.StreamOutlet | None = pylsl.StreamOutlet(info)
        self.offset_s, self._sent = offset_s, 0

    def push_until(self, session: Session, t: float, begun_s: float) -> None:
        events = session.events
        if events is None or self.outlet is None:
            return
        upto = int(np.searchsorted(events.time - session.start_s, t))
        for i in range(self._sent, upto):
            stamp = begun_s + float(events.time[i]) - session.start_s + self.offset_s
            self.outlet.push_sample([int(events.channel[i]), 0, i], stamp)
        self._sent = upto


class CountSource:
    """Counts announced at 50 Hz and sent at `rate_hz`, in which `scaled` makes something else of them."""

    def __init__(
        self,
        name: str,
        n_channels: int,
        *,
        rate_hz: float = 50.0,
        scaled: Callable[[np.ndarray], np.ndarray] | None = None,
    ) -> None:
        dtype = "int16" if scaled is None else "float32"
        self.outlet = pylsl.StreamOutlet(pylsl.StreamInfo(name, "Counts", n_channels, 50.0, dtype, "counts"))
        self._n_channels, self._rate_hz, self._scaled, self._sent = n_channels, rate_hz, scaled, 0

    def push_until(self, session: Session, t: float, begun_s: float) -> None:
        events = session.events
        if events is None:
            return
        while (self._sent + 1) / self._rate_hz <= t:
            edges = np.array([self._sent, self._sent + 1]) / self._rate_hz + session.start_s
            first, last = np.searchsorted(events.time, edges)
            row = np.bincount(events.channel[first:last], minlength=self._n_channels)
            self._sent += 1
            sent = row if self._scaled is None else self._scaled(row)
            self.outlet.push_sample(sent.tolist(), begun_s + self._sent / self._rate_hz)


class HandSource:
    """The session's behaviour, stamped on the LSL clock."""

    def __init__(self, name: str, session: Session) -> None:
        behavior = session.behavior
        assert behavior is not None
        info = pylsl.StreamInfo(name, "MoCap", len(behavior.names), 0.0, "float32", "tracker")
        channels = info.desc().append_child("channels")
        for label, unit in zip(behavior.names, behavior.units, strict=True):
            channel = channels.append_child("channel")
            channel.append_child_value("label", label)
            channel.append_child_value("unit", unit)
        self.outlet, self._sent = pylsl.StreamOutlet(info), 0

    def push_until(self, session: Session, t: float, begun_s: float) -> None:
        behavior = session.behavior
        if behavior is None:
            return
        upto = int(np.searchsorted(behavior.time - session.start_s, t))
        for i in range(self._sent, upto):
            stamp = begun_s + float(behavior.time[i]) - session.start_s
            self.outlet.push_sample(behavior.values[i].tolist(), stamp)
        self._sent = upto


class Playing:
    """Plays a session through sources, on a thread, while the context lasts."""

    def __init__(self, session: Session, sources: Sequence[Source]) -> None:
        self._session, self._sources = session, sources
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        begun_s = pylsl.local_clock()
        while not self._ended.is_set():
            t = pylsl.local_clock() - begun_s
            for source in self._sources:
                source.push_until(self._session, t, begun_s)
            time.sleep(0.004)

    def __enter__(self) -> Playing:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join(5.0)
