"""A thread that reads a stream beside the spikes so that it can be recorded with them."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import numpy.typing as npt

from rtdecode.helper_thread import HelperThread
from rtdecode.ingest.beside.fates import Fates
from rtdecode.ingest.clock.judge import ClockJudge
from rtdecode.ingest.connection.connector import Connector
from rtdecode.ingest.connection.identity import lsl_source
from rtdecode.ingest.connection.inlet import CORRECTION_JUMP_S, MAX_PULL, Inlet, StreamLost
from rtdecode.ingest.connection.source_log import SourceLog
from rtdecode.ingest.connection.streams import listed
from rtdecode.ingest.signals.layouts import StreamDescription
from rtdecode.kernels.arrays import F8
from rtdecode.session.layout import NO_BIN, LogEntry

B = TypeVar("B")
B_co = TypeVar("B_co", covariant=True)

PULL_S = 0.05

#: A pull that begins sooner after the one before has waited for its samples.
ATTENTIVE_S = 0.005

NOTHING = "nothing of it is recorded"

#: A shift of the stamps by more is a clock that has jumped; by less, it drifts.
REPORT_SHIFT_S = 0.005


class Samples(Protocol[B_co]):
    """Judges the samples of one connection; no input or output."""

    judge: ClockJudge
    last_s: float

    @property
    def fates(self) -> Fates:
        """What has become of them so far."""
        ...

    def problems(self) -> list[str]:
        """What is wrong with those that are kept, a sentence each."""
        ...

    def pulled(
        self, time: F8, values: npt.NDArray[Any], n: int, now: float, *, emptied: bool, attentive: bool
    ) -> B_co | None:
        """Judge the `n` >= 1 samples of a pull; what is kept. Arguments as of `ClockJudge.step`."""
        ...

    def finish(self) -> B_co | None:
        """What had waited and is kept, at the end of the connection."""
        ...


@dataclass(frozen=True)
class Patience:
    """With what a source may go on before something is done or said.

    Attributes:
        silent_s: after so long a silence another outlet of the source may take its place.
        report_silent_s: after so long it is reported.
        n_left_out, left_out: number and fraction of samples left out from which they are reported.
    """

    silent_s: float
    report_silent_s: float
    n_left_out: int
    left_out: float


class BesideReader(Generic[B]):
    """A thread that reads a stream and finds it again when it is gone.

    Args:
        what: it carries, for messages.
        connector: of the stream.
        samples: judges those of a connection; from its description, when its inlet was opened on our clock,
            and the time of the last sample kept before.
        patience: with the source.
        clock: the LSL clock, seconds.

    Attributes:
        blocks: what is kept, oldest first.
        notices: lines for the person at the rig.
        log: entries for /log about the source.
    """

    def __init__(
        self,
        what: str,
        connector: Connector[None],
        samples: Callable[[StreamDescription, float, float], Samples[B]],
        patience: Patience,
        clock: Callable[[], float],
    ) -> None:
        self.connector, self.name, self.where = connector, connector.name, f"{what} {connector.name}"
        self._samples, self._patience, self._clock = samples, patience, clock
        self.blocks: deque[B] = deque()
        self.notices: deque[str] = deque(maxlen=100)
        self.log: deque[LogEntry] = deque()
        self._source = SourceLog(self.where, self.notices.append, self._enter)
        self._connections: list[Samples[B]] = []
        self._fed_s = time.monotonic()
        self._attached = self._stopping = False
        self._thread = HelperThread(what, self._run)

    def start(self) -> None:
        """Start to search for the stream."""
        self.connector.start()
        self._thread.start()

    def stop(self) -> None:
        """End the thread; samples that it has read stay in `blocks`."""
        self._stopping = True
        self.connector.stop()
        self._thread.join(4 * PULL_S)

    @property
    def source(self) -> str:
        """The stream with the source attached last, for the attributes of a file."""
        stream = self._source.source
        return f"LSL stream {self.name}" if stream is None else lsl_source(stream)

    @property
    def fates(self) -> Fates:
        """What has become of the samples of all connections."""
        fates = [Fates(), *(each.fates for each in self._connections)]
        return Fates(*(sum(column) for column in zip(*fates, strict=True)))

    def problems(self) -> list[str]:
        """What makes the recording of it wrong or incomplete, a line each."""
        lines = [*self.connector.problems(), *([self._thread.fault] if self._thread.fault else [])]
        if not self._connections:
            return [*lines, f"{self.where}: it was not found yet; {NOTHING}"]
        fates, patience = self.fates, self._patience
        if fates.n_left_out > patience.n_left_out and fates.n_left_out > patience.left_out * fates.received:
            reasons = ", ".join(f"{n} {reason}" for reason, n in fates.left_out.items() if n)
            lines.append(f"{self.where}: {fates.kept} of {fates.received} samples kept; left out {reasons}")
        lines += [f"{self.where}: {problem}" for problem in self._connections[-1].problems()]
        if not self._attached:
            lines.append(f"{self.where}: its source {self._source.name} is gone; {NOTHING}")
        elif time.monotonic() - self._fed_s > patience.report_silent_s:
            lines.append(f"{self.where}: its source {self._source.name} sends nothing; {NOTHING}")
        elif not self._connections[-1].judge.trusted:
            stamps = f"the stamps of its source {self._source.name} do not fit our clock"
            lines.append(f"{self.where}: {stamps}; {NOTHING}")
        return lines

    def _run(self) -> None:
        inlet: Inlet | None = None
        if self._attached:
            # The thread had failed; what it read from is left to liblsl.
            self._attached = False
            self.connector.request()
        turned_s, correction_s = self._clock(), 0.0
        while not self._stopping:
            if inlet is None or self.connector.ready.is_set():
                self.connector.ready.wait(PULL_S)
                if (taken := self.connector.take()) is None:
                    continue
                inlet = self._attach(inlet, taken[0])
                correction_s = inlet.correction_s
            samples = self._connections[-1]
            begun_s = self._clock()
            try:
                n = inlet.pull(PULL_S)
            except StreamLost:
                self._keep(samples.finish())
                self._source.tell("detached", NO_BIN, "its outlet is gone")
                self.connector.dispose(inlet)
                self.connector.request()
                inlet, self._attached = None, False
                continue
            now = self._clock()
            if abs(inlet.correction_s - correction_s) > CORRECTION_JUMP_S:
                samples.judge.correct(now)
            correction_s = inlet.correction_s
            attentive = begun_s - turned_s < ATTENTIVE_S
            if n:
                self._fed_s = time.monotonic()
                self.connector.withdraw()
                emptied = n < MAX_PULL
                self._keep(
                    samples.pulled(inlet.time, inlet.samples, n, now, emptied=emptied, attentive=attentive)
                )
                moved_s = samples.judge.offset_s - inlet.offset_s
                if abs(moved_s) > REPORT_SHIFT_S:
                    shifted = f"its stamps are shifted by {moved_s:+.3f} s onto our clock"
                    self._source.tell("shifted", NO_BIN, shifted, seconds=moved_s)
                inlet.offset_s = samples.judge.offset_s
            elif time.monotonic() - self._fed_s > self._patience.silent_s:
                self.connector.request(replacing=inlet)
            turned_s = self._clock()
        if self._connections:
            self._keep(self._connections[-1].finish())

    def _attach(self, before: Inlet | None, inlet: Inlet) -> Inlet:
        if before is not None:
            self.connector.dispose(before)
            self._keep(self._connections[-1].finish())
            self._source.tell("detached", NO_BIN, "another outlet takes its place")
        last_s = self._connections[-1].last_s if self._connections else -float("inf")
        self._connections.append(self._samples(inlet.stream, inlet.opened_s, last_s))
        self._attached, self._fed_s = True, time.monotonic()
        self._source.attached(inlet.stream, NO_BIN)
        self.notices.append(f"{self.where}: attached {listed(inlet.stream)}")
        return inlet

    def _enter(self, kind: str, bin_number: int, data: Mapping[str, Any]) -> None:
        self.log.append(LogEntry(self._clock(), bin_number, kind, dict(data)))

    def _keep(self, block: B | None) -> None:
        if block is not None:
            self.blocks.append(block)
