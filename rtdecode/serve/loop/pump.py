"""Between the core of the loop and LSL: pulls, reports to the core, and carries out what it decides."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol

import numpy as np
import numpy.typing as npt

from rtdecode.binning import Binning, ClosedBin
from rtdecode.ingest.connection.connector import Connector
from rtdecode.ingest.connection.inlet import CORRECTION_JUMP_S, MAX_PULL, Inlet, StreamLost
from rtdecode.ingest.connection.source_log import SourceLog
from rtdecode.ingest.signals.counts import SampleFeed
from rtdecode.ingest.signals.events import EventFeed, EventRules
from rtdecode.ingest.signals.feed import Feed, MakeFeed, make_feed
from rtdecode.ingest.signals.layouts import Layout
from rtdecode.kernels.sequence import N_SEQUENCE_COUNTERS
from rtdecode.serve.loop.core import LoopCore
from rtdecode.serve.loop.events import Pull
from rtdecode.serve.loop.instructions import (
    BrokeOff,
    Dispose,
    Held,
    Instruction,
    NumberSamples,
    Publish,
    Record,
    Resumed,
    Search,
    Shifted,
    Started,
    StopSearch,
    Warm,
)
from rtdecode.serve.loop.states import Waiting, edges_of, link_of

#: Longest wait of a turn, so that commands and signals are answered.
MAX_WAIT_S = 0.02

#: A sleep ends late by a few tenths of a millisecond, so it is asked to end early and the rest is spent
#: polling: at most one or two per cent of a core at 50 bins/s.
WAKE_EARLY_S = 0.0003

#: Longest wait for the first sample of counts or features, which sets the edges of its bins.
FIRST_SAMPLE_S = 0.25

#: Arrivals are only measured when the loop was waiting for them.
ATTENTIVE_S = 0.002


class BinSink(Protocol):
    """Receives what becomes of a stream; `Decoding` has the meaning of each."""

    @property
    def source(self) -> SourceLog: ...
    def attached(self, feed: Feed) -> None: ...
    def warm(self, closed: ClosedBin) -> None: ...
    def publish(self, bin_: Publish) -> None: ...
    def record(self, feed: Feed, n: int, now: float) -> None: ...
    def number_samples(self, origin_s: float, period_s: float) -> None: ...
    def started(self, bin_number: int, origin_s: float) -> None: ...
    def broke_off(self, bin_number: int, reason: str) -> None: ...
    def resumed(self, bin_number: int, origin_s: float) -> None: ...
    def held(self, bin_number: int, paused: bool) -> None: ...
    def shifted(self, seconds: float) -> None: ...


class Pump:
    """Keeps one stream flowing from its inlet through the core into a sink.

    Args:
        core: decides.
        sink: receives bins and samples.
        connector: started; finds and opens the stream.
        clock: the LSL clock, seconds.
        rules: which events are decoded.
        make: makes the feed of a source.
        origin_s: start of bin 0 where arrays share their bins, by the time now; None for one stream.

    Attributes:
        core, connector, sink: as given.
        counters: i8[N_SEQUENCE_COUNTERS], of the samples of all sources so far.
        last_feed: the stream attached last, None before the first.
    """

    def __init__(
        self,
        core: LoopCore,
        sink: BinSink,
        connector: Connector[Layout],
        clock: Callable[[], float],
        *,
        rules: EventRules,
        make: MakeFeed = make_feed,
        origin_s: Callable[[float], float | None] = lambda _: None,
    ) -> None:
        self.core, self.sink, self.connector, self._clock = core, sink, connector, clock
        self._rules, self._make, self._origin_s = rules, make, origin_s
        self.counters: npt.NDArray[np.int64] = np.zeros(N_SEQUENCE_COUNTERS, np.int64)
        self._inlet: Inlet | None = None
        self.last_feed: Feed | None = None
        self._by_unit = np.zeros(256, np.int64)
        self._correction_s = 0.0
        self._turned_s = 0.0
        # What the queue of a new inlet holds was not waited for.
        self._fresh = False

    @property
    def feed(self) -> Feed | None:
        """The attached stream, None while there is none."""
        link = link_of(self.core.state)
        return None if link is None else link.feed

    @property
    def edges(self) -> Binning | None:
        """The edges of the bins, None before the first."""
        return edges_of(self.core.state)

    @property
    def by_unit(self) -> npt.NDArray[np.int64]:
        """i8[256], number of events of each sorted unit so far; zeros for counts."""
        feed = self.last_feed
        return self._by_unit + feed.by_unit if isinstance(feed, EventFeed) else self._by_unit

    def turn(self, longest_s: float = MAX_WAIT_S) -> None:
        """Attach what was found, pull once, and close the bins whose time has come.

        Args:
            longest_s: longest wait for samples, s.
        """
        if self.connector.ready.is_set() and (taken := self.connector.take()) is not None:
            self._attach(*taken)
        begun = self._clock()
        wait_s = min(max(self.core.due_s(begun) - begun - WAKE_EARLY_S, 0.0), longest_s)
        if self._inlet is None:
            self.connector.ready.wait(wait_s)
            self.carry_out(self.core.passed(self._clock()))
        else:
            self._pull(self._inlet, wait_s, begun)
        self._turned_s = self._clock()

    def _attach(self, inlet: Inlet, layout: Layout) -> None:
        feed = self._make(layout, inlet, self.core.ring, rules=self._rules, counters=self.counters)
        first = isinstance(self.core.state, Waiting)
        now = self._clock()
        self.carry_out(self.core.attached(feed, now, self._origin_s(now)))
        self.sink.attached(feed)
        self._by_unit = self.by_unit
        self.last_feed = feed
        self._inlet, self._correction_s, self._fresh = inlet, inlet.correction_s, True
        self._turned_s = self._clock()
        if first:
            self._pull(inlet, FIRST_SAMPLE_S if isinstance(feed, SampleFeed) else 0.0, self._turned_s)

    def _pull(self, inlet: Inlet, wait_s: float, begun: float) -> None:
        try:
            n = inlet.pull(wait_s)
        except StreamLost as lost:
            self._inlet = None
            self.carry_out(self.core.lost(lost.reason, self._clock()))
            return
        now = self._clock()
        if abs(inlet.correction_s - self._correction_s) > CORRECTION_JUMP_S:
            self.carry_out(self.core.corrected(now))
        self._correction_s = inlet.correction_s
        emptied = n < MAX_PULL
        attentive = emptied and not self._fresh and begun - self._turned_s < ATTENTIVE_S
        self._fresh = self._fresh and not emptied
        held_up_s = now - self._turned_s - wait_s
        self.carry_out(self.core.pulled(Pull(n, now, emptied, attentive, held_up_s)))
        inlet.offset_s = self.core.offset_s

    def carry_out(self, instructions: Iterator[Instruction]) -> None:
        """Carry out instructions of the core, each before it decides on the next."""
        sink = self.sink
        for instruction in instructions:
            match instruction:
                case Publish():
                    sink.publish(instruction)
                case Record(feed, n, now):
                    sink.record(feed, n, now)
                case Warm(closed):
                    sink.warm(closed)
                case NumberSamples(origin_s, period_s):
                    sink.number_samples(origin_s, period_s)
                case Started(bin_number, origin_s):
                    sink.started(bin_number, origin_s)
                case BrokeOff(bin_number, reason):
                    sink.broke_off(bin_number, reason)
                case Resumed(bin_number, origin_s):
                    sink.resumed(bin_number, origin_s)
                case Held(bin_number, paused):
                    sink.held(bin_number, paused)
                case Shifted(seconds):
                    sink.shifted(seconds)
                case Search(replacing):
                    self.connector.request(replacing=self._inlet if replacing else None)
                case StopSearch():
                    self.connector.withdraw()
                case Dispose(feed):
                    self.connector.dispose(feed.inlet)
