"""A behaviour stream, read beside the spikes so that it can be recorded with them."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

import pylsl

from rtdecode.errors import RtdecodeError
from rtdecode.helper_thread import HelperThread
from rtdecode.ingest.behavior_samples import BehaviorSamples, Block, Fates
from rtdecode.ingest.choice import behavior_stream
from rtdecode.ingest.connector import Connector
from rtdecode.ingest.inlet import CORRECTION_JUMP_S, MAX_PULL, Inlet, StreamLost
from rtdecode.ingest.layouts import StreamDescription

PULL_S = 0.05

#: A pull that begins sooner after the one before has waited for its samples.
ATTENTIVE_S = 0.005

#: A source that is silent for longer is perhaps dead: another outlet of it may take its place.
SILENT_S = 1.0

#: A column, or the whole stream, without a value for so many samples or seconds is reported.
REPORT_NAN = 50
REPORT_SILENT_S = 3.0


def column_names(stream: StreamDescription) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Names and units of the columns of a behaviour stream; b0, b1 … if it has no labels."""
    labelled = len(stream.labels) == stream.n_columns and len(set(stream.labels)) == stream.n_columns
    names = stream.labels if labelled and all(stream.labels) else None
    units = stream.units if len(stream.units) == stream.n_columns else None
    return (
        names or tuple(f"b{i}" for i in range(stream.n_columns)),
        units or ("",) * stream.n_columns,
    )


class BehaviorReader:
    """A thread that reads a behaviour stream and finds it again when it is gone.

    Args:
        name: of the stream.
        source_id: `--behavior-source-id`, the only source of that name that is read, None for any single one.
        clock: the LSL clock, seconds.

    Attributes:
        names, units: of the columns, once found.
        blocks: samples, oldest first.
    """

    def __init__(
        self, name: str, source_id: str | None = None, clock: Callable[[], float] = pylsl.local_clock
    ) -> None:
        self.name, self._clock = name, clock
        self.connector = Connector(name, behavior_stream, self._accept, source_id, "--behavior-source-id")
        self.names: tuple[str, ...] = ()
        self.units: tuple[str, ...] = ()
        self.blocks: deque[Block] = deque()
        self._connections: list[BehaviorSamples] = []
        self._fed_s = time.monotonic()
        self._attached = self._stopping = False
        self._thread = HelperThread("behavior", self._run)

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
    def fates(self) -> Fates:
        """What has become of the samples of all connections."""
        fates = [Fates(0, 0, 0, 0, 0, 0, 0, 0, 0), *(each.fates for each in self._connections)]
        return Fates(*(sum(column) for column in zip(*fates, strict=True)))

    def problems(self) -> list[str]:
        """What makes the recorded behaviour wrong or incomplete, a line each."""
        lines = [*self.connector.problems(), *([self._thread.fault] if self._thread.fault else [])]
        if not self._connections:
            return lines
        where, fates, last = f"behaviour {self.name}", self.fates, self._connections[-1]
        left_out = fates.received - fates.kept - fates.waiting
        if left_out > REPORT_NAN and left_out > 0.01 * fates.received:
            lines.append(
                f"{where}: {fates.kept} of {fates.received} samples kept; left out "
                f"{fates.judging} while their clock was judged, {fates.ahead} stamped ahead of now, "
                f"{fates.behind} long ago, {fates.not_finite} NaN or infinite, {fates.disordered} not later "
                f"than the one before, {fates.empty} without any value"
            )
        for column, n_nan in zip(self.names, last.nan.tolist(), strict=True):
            if n_nan > REPORT_NAN and n_nan > 0.05 * last.kept:
                lines.append(f"{where}: column {column} is NaN in {100 * n_nan / last.kept:.0f} % of samples")
        if not self._attached:
            lines.append(f"{where}: its source is gone; nothing of it is recorded")
        elif time.monotonic() - self._fed_s > REPORT_SILENT_S:
            lines.append(f"{where}: its source sends nothing; nothing of it is recorded")
        elif not last.judge.trusted:
            lines.append(f"{where}: its stamps do not fit our clock; nothing of it is recorded")
        return lines

    def _accept(self, inlet: Inlet, layout: None) -> None:
        names, units = column_names(inlet.stream)
        if self.names and names != self.names:
            raise RtdecodeError(
                f"it has returned with columns {', '.join(names)} instead of {', '.join(self.names)}",
                where=f"behaviour stream {inlet.stream}",
                fix="send the columns of before, or record again",
            )
        self.names, self.units = names, units

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
                inlet.offset_s = samples.judge.offset_s
            elif time.monotonic() - self._fed_s > SILENT_S:
                self.connector.request(replacing=inlet)
            turned_s = self._clock()
        if self._connections:
            self._keep(self._connections[-1].finish())

    def _attach(self, before: Inlet | None, inlet: Inlet) -> Inlet:
        if before is not None:
            self.connector.dispose(before)
        last_s = self._connections[-1].last_s if self._connections else -float("inf")
        self._connections.append(BehaviorSamples(inlet.stream, inlet.opened_s, last_s))
        self._attached, self._fed_s = True, time.monotonic()
        return inlet

    def _keep(self, block: Block | None) -> None:
        if block is not None:
            self.blocks.append(block)
