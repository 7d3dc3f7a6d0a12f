"""The hot loop: one turn after another; everything that may wait happens on other threads.

One turn waits for the next sample or until the open bin must close, whichever is first,
and then publishes every bin that has closed. Nothing here allocates per event, writes to disk,
logs, or waits for another thread.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from rtdecode.binning import BinRing
from rtdecode.detection.live import LiveDetection
from rtdecode.ingest.connection.connector import Connector
from rtdecode.ingest.signals.events import EventRules
from rtdecode.ingest.signals.layouts import Layout
from rtdecode.messages import Flag
from rtdecode.serve.commands import Command
from rtdecode.serve.loop.core import LoopCore
from rtdecode.serve.loop.decoding import Decoding
from rtdecode.serve.loop.events import CoreSettings
from rtdecode.serve.loop.pump import Pump
from rtdecode.serve.loop.states import Attaching, Judging, Outage, Waiting
from rtdecode.serve.settings import ServeSettings


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
        pump: between the core and LSL.
        decoding: as given.
        rules: which events are decoded.
        commands: from other threads, to be carried out between two bins.
        pending_status, pending_spikes: encoded maps to publish.
        stopping: set it to True to end `run`.
    """

    def __init__(
        self,
        settings: ServeSettings,
        decoding: Decoding,
        connector: Connector[Layout],
        clock: Callable[[], float],
    ) -> None:
        artifact = decoding.artifact
        self.ring = BinRing(artifact.n_channels, artifact.bin_width_s)
        self.core = LoopCore(CoreSettings(settings.grace_s, settings.failsafe_after_s), self.ring)
        self.decoding = decoding
        counters = decoding.meters.sequence
        units, detection = settings.drop_units or frozenset(), LiveDetection(settings.detection)
        self.rules = EventRules(settings.carry_late, units, settings.numbering, detection=detection)
        self.pump = Pump(self.core, decoding, connector, clock, rules=self.rules, counters=counters)
        self.commands: deque[Command] = deque()
        self.pending_status: bytes | None = None
        self.pending_spikes: bytes | None = None
        self.stopping = False

    @property
    def state(self) -> str:
        """One of waiting, running, paused, stale, failsafe and reconnecting."""
        match self.core.state:
            case Waiting() | Attaching():
                return "waiting"
            case Outage() | Judging():
                return "reconnecting"
        if self.core.closing.paused:
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
        self.pump.turn()

    def apply(self, command: Command) -> None:
        """Carry out a command before the next bin."""
        command.bin, decoding = self.core.next_bin, self.decoding
        if command.name == "stop":
            self.stopping = True
        elif command.name == "reset":
            decoding.reset(command.bin, "control")
            decoding.reset_cursor()
        elif command.name in ("pause", "resume"):
            self.pump.carry_out(self.core.pause(command.name == "pause"))
        elif command.name == "swap_refused":
            decoding.log("swap_refused", command.bin, command.about)
        elif command.candidate is not None:
            if command.name == "prepare":
                decoding.prepare(command.candidate)
            else:
                decoding.swap(command, command.candidate)
        command.done.set()
