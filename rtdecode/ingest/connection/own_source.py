"""A source in our own process as the loop sees any stream: opened, checked, opened again."""

from __future__ import annotations

import math
import socket
import threading
import traceback
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
import numpy.typing as npt
import pylsl

from rtdecode.errors import RtdecodeError
from rtdecode.helper_thread import HelperThread
from rtdecode.ingest.connection.choice import Classify, NeedsOption
from rtdecode.ingest.connection.connector import Connector, LslConnector
from rtdecode.ingest.connection.inlet import MAX_PULL, Inlet, StreamLost
from rtdecode.ingest.signals.layouts import NUMERIC_FORMATS
from rtdecode.ingest.source import OpenSource, Source, SourceLost

L = TypeVar("L")

#: Least time between two attempts to open a source.
RETRY_S = 0.5

#: Longest wait at the end for a source that is being opened or closed.
CLOSE_S = 2.0


class SourceInlet:
    """A source as an `Inlet`, whose attributes it has; what it gives is checked here.

    Args:
        name: of the stream, whatever the source calls it.
        source: that was opened.
        opened_s: when, on our clock, before its first row.

    Raises:
        RtdecodeError: its description has no numbers.
    """

    def __init__(self, name: str, source: Source, opened_s: float) -> None:
        stream = source.stream
        if stream.format not in NUMERIC_FORMATS or stream.n_columns < 1 or not 0 <= stream.rate_hz < math.inf:
            raise RtdecodeError(
                f"its rows are described as {stream}",
                where=f"stream {name}",
                fix=f"describe one column or more of {', '.join(NUMERIC_FORMATS)}, and 0 Hz or more",
            )
        self._source = source
        self.stream = replace(stream, name=name, hostname=stream.hostname or socket.gethostname())
        self.correction_s = self.offset_s = self.added_s = 0.0
        self.at_least = 1
        self.opened_s = opened_s
        dtype = "float64" if stream.format == "double64" else stream.format
        self.samples: npt.NDArray[Any] = np.zeros((MAX_PULL, stream.n_columns), dtype)
        self.time: npt.NDArray[np.float64] = np.zeros(MAX_PULL)

    def pull(self, timeout_s: float) -> int:
        """As `Inlet.pull`, but that a source waits for its first row alone."""
        # A row that the source does not stamp is noticed, rather than stamped as one of the pull before.
        self.time.fill(np.nan)
        try:
            n = self._source.pull(self.samples, self.time, timeout_s)
        except Exception as error:
            raise StreamLost(reason=f"its source is gone: {said_by(error)}") from error
        if not isinstance(n, int | np.integer) or not 0 <= n <= MAX_PULL:
            raise StreamLost(reason=f"its source says that it has pulled {n!r} rows, of at most {MAX_PULL}")
        stamps = self.time[:n]
        if not (finite := np.isfinite(stamps)).all():
            n_not = n - np.count_nonzero(finite)
            raise StreamLost(
                reason=f"its source has stamped {n_not} of {n} rows with no time (NaN or infinite)"
            )
        self.added_s = self.offset_s
        stamps += self.offset_s
        return int(n)


class SourceConnector(Generic[L]):
    """Keeps a source of one's own attached; attributes as in `Connector`.

    A silent source is left alone: it may have nothing to say, and few devices can be opened twice.

    Args:
        name: of the stream.
        open_source: opens the source, on the connector's thread.
        classify, accept: as in `LslConnector`; what they refuse is opened again too.
        retry_s: least time between two attempts to open it.
    """

    def __init__(
        self,
        name: str,
        open_source: OpenSource,
        classify: Classify[L],
        accept: Callable[[Inlet, L], L],
        retry_s: float = RETRY_S,
    ) -> None:
        self.name, self._open_source, self._classify, self._accept = name, open_source, classify, accept
        self.found = threading.Event()
        self.ready = threading.Event()
        self.failure: RtdecodeError | None = None
        self.refusal = f"stream {name}: its source is being opened"
        self._wanted = threading.Event()
        self._stopping = threading.Event()
        self._retry_s = retry_s
        self._source: Source | None = None
        self._ready_inlet: tuple[Inlet, L] | None = None
        self._thread = HelperThread(f"source {name}", self._run)

    def start(self) -> None:
        """Start to open the source."""
        self._wanted.set()
        self._thread.start()

    def problems(self) -> list[str]:
        """Why no source is attached; and whether its thread failed."""
        return [line for line in (self.refusal, self._thread.fault) if line]

    def request(self, *, replacing: Inlet | None = None) -> None:
        """Open the source again, unless it is only silent."""
        if replacing is None:
            self.refusal = f"stream {self.name}: its source is being opened again"
            self._wanted.set()

    def withdraw(self) -> None:
        """Nothing is to be withdrawn."""

    def dispose(self, inlet: Inlet) -> None:
        """Nothing: the source is closed before it is opened again."""

    def take(self) -> tuple[Inlet, L] | None:
        """The inlet that is ready, None if there is none or it was taken."""
        if not self.ready.is_set():
            return None
        self.ready.clear()
        taken, self._ready_inlet = self._ready_inlet, None
        return taken

    def stop(self) -> None:
        """Close the source and end the thread; nothing pulls any more."""
        self._stopping.set()
        self._wanted.set()
        self._thread.join(CLOSE_S)

    def _run(self) -> None:
        while self._wanted.wait() and not self._stopping.is_set():
            self._attempt()
            self._stopping.wait(self._retry_s)
        self._close()

    def _attempt(self) -> None:
        try:
            self._close()
            opened_s = pylsl.local_clock()
            self._source = self._open_source()
            self.found.set()
            inlet = SourceInlet(self.name, self._source, opened_s)
            layout = self._accept(inlet, self._classify(inlet.stream)[0])
        except RtdecodeError as error:
            self.refusal = str(error)
            if isinstance(error, NeedsOption):
                self.failure = error
        except Exception as error:  # noqa: BLE001 - whatever it is, the daemon goes on, and says it
            self.refusal = (
                f"stream {self.name}: its source cannot be opened, and is tried again: {said_by(error)}. "
                "Fix: connect the device, or correct the program that opens it"
            )
        else:
            self._ready_inlet = inlet, layout
            self.refusal = ""
            self._wanted.clear()
            self.ready.set()

    def _close(self) -> None:
        source, self._source = self._source, None
        if source is not None:
            source.close()


def said_by(error: Exception) -> str:
    """What a source says of its failure; of one that it does not name itself, where it was raised too."""
    if isinstance(error, SourceLost | RtdecodeError):
        return str(error) or "it says no reason"
    at = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__}: {error} ({Path(at.filename).name}, line {at.lineno})"


def connector_for(
    name: str,
    sources: Mapping[str, OpenSource],
    classify: Classify[L],
    accept: Callable[[Inlet, L], L],
    source_id: str | None,
    option: str = "--source-id",
) -> Connector[L]:
    """The connector of a stream: of the source of that name, else of LSL.

    Args:
        name: of the stream.
        sources: of one's own, by the name of their stream.
        classify, accept, source_id, option: as in `LslConnector`.
    """
    if (open_source := sources.get(name)) is not None:
        return SourceConnector(name, open_source, classify, accept)
    return LslConnector(name, classify, accept, source_id, option)


def check_sources(sources: Collection[str], streams: Collection[str]) -> None:
    """Check that each source of one's own is one of the streams.

    Raises:
        RtdecodeError: it is not.
    """
    for name in sources:
        if name not in streams:
            raise RtdecodeError(
                f"the program has a source {name!r} of its own, and the streams are {', '.join(streams)}",
                where="--stream",
                fix=f"give --stream {name}, or leave the source out",
            )
