"""The hot loop: one turn after another; everything that may wait happens on other threads.

One turn waits for the next sample or until the open bin must close, whichever is first,
and then publishes every bin that has closed. Nothing here allocates per event, writes to disk,
logs, or waits for another thread.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import NamedTuple

from rtdecode.binning import BinRing
from rtdecode.ingest.connection.connector import Connector
from rtdecode.ingest.signals.events import EventRules
from rtdecode.ingest.signals.feed import make_array_feed
from rtdecode.ingest.signals.layouts import Layout
from rtdecode.messages import Flag
from rtdecode.serve.commands import Command
from rtdecode.serve.loop.array_sink import ArraySink
from rtdecode.serve.loop.core import LoopCore
from rtdecode.serve.loop.decoding import Decoding
from rtdecode.serve.loop.events import CoreSettings
from rtdecode.serve.loop.joint import Joint
from rtdecode.serve.loop.pump import Pump
from rtdecode.serve.loop.states import Attaching, Judging, Outage, Waiting
from rtdecode.serve.settings import ServeSettings

#: With several streams one is waited for at a time, so long; shorter once the bin has ended, which waits for
#: the last of them.
SLICE_S, LAST_SLICE_S = 0.001, 0.00025


class ArrayInput(NamedTuple):
    """The stream of one array.

    Attributes:
        asked: how it was asked for, such as "--stream M1".
        connector: started; finds and opens it.
        rules: which of its events are decoded.
        grace_s: how long its bins wait for samples, None for the delivery delay of its source.
        n_channels: of the array; 0 for features.
    """

    asked: str
    connector: Connector[Layout]
    rules: EventRules
    grace_s: float | None
    n_channels: int


class HotLoop:
    """Decodes one stream, or several arrays, until it is stopped.

    Args:
        settings: of the daemon.
        decoding: the model in use, and what receives its bins.
        inputs: of the stream, or of each array, in the order of their channels.
        clock: the LSL clock, seconds.

    Attributes:
        ring: the recent bins.
        pumps: between the core of each array and LSL; the core has the state of its stream.
        decoding: as given.
        commands: from other threads, to be carried out between two bins.
        pending_status, pending_spikes: encoded maps to publish.
        stopping: set it to True to end `run`.
    """

    def __init__(
        self,
        settings: ServeSettings,
        decoding: Decoding,
        inputs: Sequence[ArrayInput],
        clock: Callable[[], float],
    ) -> None:
        self.decoding, self._clock, self._allow_partial = decoding, clock, settings.allow_partial
        self._joint: Joint | None = None
        self.pumps: tuple[Pump, ...]
        if len(inputs) == 1:
            self.pumps = (_pump_of_one(settings, decoding, inputs[0], clock),)
            self.ring = self.pumps[0].core.ring
        else:
            self._joint = Joint(
                [each.n_channels for each in inputs],
                decoding.artifact.bin_width_s,
                allow_partial=settings.allow_partial,
                n_features=len(decoding.artifact.features),
            )
            self.pumps = _pumps_of_arrays(settings, decoding, inputs, clock, self._joint)
            self.ring = self._joint.ring
        self.commands: deque[Command] = deque()
        self.pending_status: bytes | None = None
        self.pending_spikes: bytes | None = None
        self.stopping = False

    @property
    def state(self) -> str:
        """One of waiting, running, paused, stale, failsafe and reconnecting."""
        states = [pump.core.state for pump in self.pumps]
        if all(isinstance(state, (Waiting, Attaching)) for state in states):
            return "waiting"
        away = [isinstance(state, (Waiting, Attaching, Outage, Judging)) for state in states]
        if all(away) or (any(away) and not self._allow_partial):
            return "reconnecting"
        if self.paused:
            return "paused"
        flags = self.decoding.flags
        return "failsafe" if flags & Flag.FAILSAFE else "stale" if flags & Flag.STALE else "running"

    @property
    def paused(self) -> bool:
        """Whether values are held on request."""
        return self.pumps[0].core.closing.paused

    @property
    def next_bin(self) -> int:
        """Number of the bin that is published next."""
        return min(pump.core.next_bin for pump in self.pumps)

    @property
    def bin_end_s(self) -> Callable[[int], float] | None:
        """The end of a bin by its number, None before the first."""
        edges = next((pump.edges for pump in self.pumps if pump.edges is not None), None)
        return None if edges is None else edges.bin_end_s

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
        if self._joint is None:
            self.pumps[0].turn()
            return
        end_s = self._joint.end_s
        for pump in self.pumps:
            now = self._clock()
            # Samples that come before the end of the bin need not be taken at once.
            slice_s = LAST_SLICE_S if now >= end_s else min(SLICE_S, end_s - now)
            due_s = min(each.core.due_s(now) for each in self.pumps)
            pump.turn(min(slice_s, max(due_s - now, 0.0)))
            self._follow_leap(pump, self._joint)

    def _follow_leap(self, pump: Pump, joint: Joint) -> None:
        """If the bins of an array have moved because our clock has leapt, those of all do."""
        edges = pump.edges
        if edges is None or edges.origin_s == joint.origin_s:
            return
        joint.origin_s = edges.origin_s
        for other in self.pumps:
            if other is not pump:
                other.carry_out(other.core.leapt(edges.origin_s, self._clock()))

    def apply(self, command: Command) -> None:
        """Carry out a command before the next bin."""
        command.bin, decoding = self.next_bin, self.decoding
        if command.name == "stop":
            self.stopping = True
        elif command.name == "reset":
            decoding.reset(command.bin, "control")
            decoding.reset_cursor()
        elif command.name in ("pause", "resume"):
            for pump in self.pumps:
                pump.carry_out(pump.core.pause(command.name == "pause"))
        elif command.name == "swap_refused":
            decoding.log("swap_refused", command.bin, command.about)
        elif command.candidate is not None:
            if command.name == "prepare":
                decoding.prepare(command.candidate)
            else:
                decoding.swap(command, command.candidate)
        command.done.set()


def _ring_of(of: ArrayInput, bin_width_s: float) -> BinRing:
    return BinRing(of.n_channels, bin_width_s, n_features=len(of.rules.features))


def _pump_of_one(
    settings: ServeSettings, decoding: Decoding, of: ArrayInput, clock: Callable[[], float]
) -> Pump:
    ring = _ring_of(of, decoding.artifact.bin_width_s)
    core = LoopCore(CoreSettings(of.grace_s, settings.failsafe_after_s), ring)
    return Pump(core, decoding, of.connector, clock, rules=of.rules)


def _pumps_of_arrays(
    settings: ServeSettings,
    decoding: Decoding,
    inputs: Sequence[ArrayInput],
    clock: Callable[[], float],
    joint: Joint,
) -> tuple[Pump, ...]:
    pumps = []
    for i, of in enumerate(inputs):
        ring = _ring_of(of, decoding.artifact.bin_width_s)
        core = LoopCore(CoreSettings(of.grace_s, settings.failsafe_after_s), ring)
        sink = ArraySink(of.connector.name, i, joint, decoding)
        make, origin_s = make_array_feed, joint.origin
        pumps.append(Pump(core, sink, of.connector, clock, rules=of.rules, make=make, origin_s=origin_s))
    return tuple(pumps)
