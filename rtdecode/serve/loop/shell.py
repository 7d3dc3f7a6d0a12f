"""The hot loop: pull, decide, publish; everything else happens on other threads.

One turn waits for the next sample or until the open bin must close, whichever is first,
and then publishes every bin that has closed. Nothing here allocates per event, writes to disk,
logs, or waits for another thread.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator

from rtdecode.binning import BinRing, Binning
from rtdecode.ingest.connector import Connector
from rtdecode.ingest.feed import Feed, make_feed
from rtdecode.ingest.inlet import MAX_PULL, Inlet, StreamLost
from rtdecode.ingest.layouts import Layout
from rtdecode.messages import Flag
from rtdecode.serve.commands import Command
from rtdecode.serve.loop.core import LoopCore, Pull
from rtdecode.serve.loop.decoding import Decoding
from rtdecode.serve.loop.instructions import (
    Dispose,
    Instruction,
    Log,
    Notice,
    NumberSamples,
    Publish,
    Record,
    ResetDecoder,
    Search,
    StopSearch,
    Warm,
)
from rtdecode.serve.loop.states import Attaching, Judging, Outage, Waiting, edges_of, link_of
from rtdecode.serve.settings import ServeSettings

#: Longest wait of a turn, so that commands and signals are answered.
MAX_WAIT_S = 0.02

#: A sleep ends late by a few tenths of a millisecond, so it is asked to end early and the rest is spent
#: polling: at most one or two per cent of a core at 50 bins/s.
WAKE_EARLY_S = 0.0003

#: Longest wait for the first sample of a counts stream, which sets the edges of its bins.
FIRST_SAMPLE_S = 0.25

#: A clock correction that moves by more is another clock; less is noise of the estimate.
CORRECTION_JUMP_S = 0.005

#: Arrivals are only measured when the loop was waiting for them.
ATTENTIVE_S = 0.002


class HotLoop:
    """Decodes one stream until it is stopped.

    Args:
        settings: of the daemon.
        decoding: the model in use, and what receives its bins.
        connector: started.
        clock: the LSL clock, seconds.

    Attributes:
        ring: the recent bins.
        core: the state of the stream, and its decisions.
        decoding: as given.
        commands: from other threads, to be carried out between two bins.
        notices: lines for the person at the rig, newest last.
        pending_status, pending_spikes: encoded maps to publish.
        stopping: set it to True to end `run`.
    """

    def __init__(
        self,
        settings: ServeSettings,
        decoding: Decoding,
        connector: Connector,
        clock: Callable[[], float],
    ) -> None:
        artifact = decoding.artifact
        self.ring = BinRing(artifact.n_channels, artifact.bin_width_s)
        self.core = LoopCore(settings, self.ring)
        self.decoding = decoding
        self.commands: deque[Command] = deque()
        self.notices: deque[str] = deque(maxlen=1000)
        self.pending_status: bytes | None = None
        self.pending_spikes: bytes | None = None
        self.stopping = False
        self._carry, self._connector, self._clock = settings.carry_late, connector, clock
        self._inlet: Inlet | None = None
        self._correction_s = 0.0
        self._turned_s = 0.0

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
    def state(self) -> str:
        """One of waiting, running, paused, stale, failsafe and reconnecting."""
        if isinstance(self.core.state, Waiting | Attaching):
            return "waiting"
        if isinstance(self.core.state, Outage | Judging):
            return "reconnecting"
        if self.core.paused:
            return "paused"
        flags = self.decoding.flags
        return "failsafe" if flags & Flag.FAILSAFE else "stale" if flags & Flag.STALE else "running"

    def run(self) -> None:
        """Run turns until `stopping`."""
        while not self.stopping:
            self.turn()

    def turn(self) -> None:
        """One round: commands, one pull, and all bins that have closed."""
        self.decoding.begin_turn()
        while self.commands:
            self.apply(self.commands.popleft())
        publisher = self.decoding.sinks.publisher
        if self.pending_status is not None:
            encoded, self.pending_status = self.pending_status, None
            publisher.status(encoded)
        if self.pending_spikes is not None:
            encoded, self.pending_spikes = self.pending_spikes, None
            publisher.spikes(encoded)
        if self._connector.ready.is_set() and (taken := self._connector.take()) is not None:
            self._attach(*taken)
        begun = self._clock()
        wait_s = min(max(self.core.due_s(begun) - begun - WAKE_EARLY_S, 0.0), MAX_WAIT_S)
        if self._inlet is None:
            self._connector.ready.wait(wait_s)
            self._carry_out(self.core.passed(self._clock()))
        else:
            self._pull(self._inlet, wait_s, begun)
        self._turned_s = self._clock()

    def _attach(self, inlet: Inlet, layout: Layout) -> None:
        feed = make_feed(layout, inlet, self.ring, carry=self._carry, counters=self.decoding.meters.sequence)
        first = isinstance(self.core.state, Waiting)
        self._carry_out(self.core.attached(feed, self._clock()))
        self._inlet, self._correction_s = inlet, inlet.correction_s
        self._turned_s = self._clock()
        if first:
            self._pull(inlet, FIRST_SAMPLE_S if layout is Layout.COUNTS else 0.0, self._turned_s)

    def _pull(self, inlet: Inlet, wait_s: float, begun: float) -> None:
        try:
            n = inlet.pull(wait_s)
        except StreamLost:
            self._inlet = None
            self._carry_out(self.core.lost("its outlet is gone", self._clock()))
            return
        now = self._clock()
        if abs(inlet.correction_s - self._correction_s) > CORRECTION_JUMP_S:
            self._carry_out(self.core.corrected(now))
            inlet.offset_s = 0.0
        self._correction_s = inlet.correction_s
        emptied = n < MAX_PULL
        attentive = emptied and begun - self._turned_s < ATTENTIVE_S
        held_up_s = now - self._turned_s - wait_s
        self._carry_out(self.core.pulled(Pull(n, now, emptied, attentive, held_up_s)))
        inlet.offset_s = self.core.offset_s

    def apply(self, command: Command) -> None:
        """Carry out a command before the next bin."""
        command.bin, decoding = self.core.next_bin, self.decoding
        if command.name == "stop":
            self.stopping = True
        elif command.name == "reset":
            decoding.reset(command.bin, "control")
            decoding.reset_cursor()
        elif command.name in ("pause", "resume"):
            self._carry_out(self.core.pause(command.name == "pause"))
        elif command.name == "swap_refused":
            decoding.log("swap_refused", command.bin, command.about)
        elif command.candidate is not None:
            if command.name == "prepare":
                decoding.prepare(command.candidate)
            elif line := decoding.swap(command, command.candidate):
                self.notices.append(line)
        command.done.set()

    def _carry_out(self, instructions: Iterator[Instruction]) -> None:
        decoding = self.decoding
        for instruction in instructions:
            match instruction:
                case Publish():
                    decoding.publish(instruction)
                case Record(feed, n, now):
                    decoding.record(feed, n, now)
                case Warm(closed):
                    decoding.warm(closed)
                case ResetDecoder(bin_number, reason):
                    decoding.reset(bin_number, reason)
                case NumberSamples(origin_s, period_s):
                    decoding.number_samples(origin_s, period_s)
                case Log("start", bin_number, data):
                    decoding.start(bin_number, data)
                case Log(kind, bin_number, data):
                    decoding.log(kind, bin_number, data)
                case Notice(text):
                    self.notices.append(text)
                case Search(replacing):
                    inlet = self._inlet if replacing else None
                    self._connector.request(replacing=inlet)
                case StopSearch():
                    self._connector.withdraw()
                case Dispose(feed):
                    self._connector.dispose(feed.inlet)
