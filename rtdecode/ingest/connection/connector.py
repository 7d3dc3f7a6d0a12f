"""What keeps a stream attached, off the hot path: of LSL, by finding it, and finding it again."""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from rtdecode.errors import RtdecodeError
from rtdecode.helper_thread import HelperThread
from rtdecode.ingest.clock.keeper import ClockKeeper
from rtdecode.ingest.connection.choice import (
    Candidate,
    Classify,
    NeedsOption,
    ambiguous,
    are_one_source,
    candidates,
    unusable,
)
from rtdecode.ingest.connection.identity import named, same_source
from rtdecode.ingest.connection.inlet import Inlet, LslInlet, StreamLost
from rtdecode.ingest.connection.streams import FORGET_S, Descriptions, StreamFinder, describe
from rtdecode.ingest.signals.layouts import StreamDescription

L = TypeVar("L")
T = TypeVar("T", covariant=True)

SEARCH_EVERY_S = 0.02
REFUSED_S = 0.5
IDLE_S = 1.0

#: Two outlets of one source that both answer for this long are both alive.
BOTH_ALIVE_S = FORGET_S + 1.0

#: Before the first connection others of that name may answer so long after the first: what is not announced
#: as such, and a refusal, wait for them.
SETTLE_S = 1.5


class Connector(Protocol[T]):
    """A thread that keeps one stream attached.

    Attributes:
        name: of the stream.
        found: set once a stream of that name has answered.
        ready: set when `take()` has an inlet.
        failure: reason why there will be no first connection, however long one waits; who does raises it.
        refusal: reason why the stream found now is not attached, "" if it is or none is found.
    """

    name: str
    found: threading.Event
    ready: threading.Event
    failure: RtdecodeError | None
    refusal: str

    def start(self) -> None:
        """Start to search for the stream."""

    def problems(self) -> list[str]:
        """Why nothing, or not the right stream, is attached; and threads that failed."""
        ...

    def request(self, *, replacing: Inlet | None = None) -> None:
        """Search for the stream again.

        Args:
            replacing: an inlet that is silent but perhaps not dead; only another source replaces it.
        """

    def withdraw(self) -> None:
        """Stop the search for another inlet: the silent one sends again."""

    def dispose(self, inlet: Inlet) -> None:
        """Close a dead inlet on the connector's thread."""

    def take(self) -> tuple[Inlet, T] | None:
        """The inlet that is ready, None if there is none or it was taken."""
        ...

    def stop(self) -> None:
        """End the thread."""


class LslConnector(Generic[L]):
    """Keeps a stream of LSL attached; attributes as in `Connector`.

    After `request()` it searches until it finds the stream, opens it, and sets `ready`; the loop takes
    the inlet between two bins. A `ClockKeeper` keeps its clock correction up to date.

    Args:
        name: of the stream.
        classify: layout and rank of a stream of that name (`choice`).
        accept: called with an opened inlet and its layout; returns the layout by which it is read, or raises
            RtdecodeError to refuse it, such as for another number of channels. It is stored in `refusal`,
            and the search continues.
        source_id: the only source of that name that is accepted; None accepts any single one.
        option: of the command line that pins the source, for messages.
    """

    def __init__(
        self,
        name: str,
        classify: Classify[L],
        accept: Callable[[Inlet, L], L],
        source_id: str | None = None,
        option: str = "--source-id",
    ) -> None:
        self.name, self._classify, self._accept = name, classify, accept
        self._source_id, self._option = source_id, option
        self.found = threading.Event()
        self.ready = threading.Event()
        self.failure: RtdecodeError | None = None
        self.refusal = ""
        self._requested = threading.Event()
        self._wake = threading.Event()
        self._stopping = False
        self._replacing: str | None = None
        self._ready_inlet: tuple[LslInlet, L] | None = None
        self._several: tuple[float, frozenset[str]] = (math.nan, frozenset())
        self._answered_s = math.nan
        self._known: StreamDescription | None = None
        self._correction: dict[str, float] = {}  # of the last machine, by its name
        self._descriptions = Descriptions()
        self._refused: dict[str, RtdecodeError] = {}  # of outlets that were opened, by uid
        self._dead: deque[Inlet] = deque()
        self._clock_keeper = ClockKeeper()
        self._thread = HelperThread("connect", self._run)

    def start(self) -> None:
        """Start to search for the stream."""
        self._requested.set()
        self._clock_keeper.start()
        self._thread.start()

    def problems(self) -> list[str]:
        """Why nothing, or not the right stream, is attached; and threads that failed."""
        lines = [self.refusal, self._thread.fault, self._clock_keeper.thread.fault]
        return [line for line in lines if line]

    def request(self, *, replacing: Inlet | None = None) -> None:
        """Search for the stream again; only another outlet (another uid) takes the place of `replacing`."""
        if self._requested.is_set() and (replacing is not None) == (self._replacing is not None):
            return
        if replacing is None:
            self._clock_keeper.keep(None)
        self._replacing = replacing.stream.uid if replacing else None
        self._requested.set()
        self._wake.set()

    def withdraw(self) -> None:
        """Stop the search for another inlet: the silent one sends again."""
        if self._replacing is not None:
            self._replacing = None
            self.refusal = ""
            self._requested.clear()

    def dispose(self, inlet: Inlet) -> None:
        """Close a dead inlet on the connector's thread: liblsl waits for threads of its own meanwhile."""
        self._dead.append(inlet)

    def take(self) -> tuple[Inlet, L] | None:
        """The inlet that is ready, None if there is none or it was taken."""
        if not self.ready.is_set():
            return None
        self.ready.clear()
        taken, self._ready_inlet = self._ready_inlet, None
        return taken

    def stop(self) -> None:
        """End the thread at its next step; the daemon does not wait for it."""
        self._stopping = True
        self._clock_keeper.stop()
        self._wake.set()

    def _run(self) -> None:
        finder = StreamFinder(self.name)
        while not self._stopping:
            while self._dead:
                finder.ignore(self._dead.popleft().stream.uid)
            if self._requested.is_set() and not self.ready.is_set():
                self._connect(finder)
            else:
                finder.pause()
                self._pause(IDLE_S)

    def _connect(self, finder: StreamFinder) -> None:
        """Search once; make an inlet ready if there is a stream to open."""
        try:
            chosen = self._choose(finder)
            if chosen is None:
                self._pause(SEARCH_EVERY_S)
                return
            self.found.set()
            # The previous correction holds for an outlet on the same machine: measuring takes 0.6 s.
            correction_s = self._correction.get(chosen.stream.hostname)
            try:
                inlet = LslInlet(chosen.info, correction_s=correction_s)
            except StreamLost as lost:
                source = f"source {named(chosen.stream)}"
                self.refusal = f"stream {self.name}, {source}, answers, but cannot be opened: {lost}"
                self._pause(SEARCH_EVERY_S)
                return
            # While it was being opened, another outlet of that name may have answered.
            if self._known is None and not self._still(chosen, finder):
                return
            layout = self._try(inlet, chosen.layout)
        except RtdecodeError as error:
            self.refusal = str(error)
            if isinstance(error, NeedsOption) and self._known is None and self._settled():
                self.failure = error
            self._pause(REFUSED_S)
            return
        if self._requested.is_set():
            self._make_ready(inlet, layout)

    def _try(self, inlet: LslInlet, layout: L) -> L:
        try:
            return self._accept(inlet, layout)
        except RtdecodeError as error:
            refused = error.with_traceback(None)  # which holds the inlet, and so keeps it open
        # An outlet never changes: it is not opened again, and does not stand in the way of another.
        self._refused[inlet.stream.uid] = refused
        raise unusable([(inlet.stream, refused)])

    def _choose(self, finder: StreamFinder) -> Candidate[L] | None:
        """The outlet to be attached, None while there is none or it is not known which one is alive."""
        found = self._candidates(finder)
        if len(found) < 2:
            surely = found and (self._known is not None or found[0].rank == 0 or self._settled())
            return found[0] if surely else None
        since_s, outlets = self._several
        uids = frozenset(each.stream.uid for each in found)
        if uids != outlets:
            since_s = time.monotonic()
            self._several = since_s, uids
        if are_one_source(found) and time.monotonic() - since_s < BOTH_ALIVE_S:
            return None
        raise ambiguous(found, self._option)

    def _candidates(self, finder: StreamFinder) -> list[Candidate[L]]:
        """The streams of that name that may be attached: before the first, those of the source asked for."""
        infos = [info for info in finder.found() if info.uid() != self._replacing]
        if not infos:
            self._answered_s, self.refusal = math.nan, ""
        elif math.isnan(self._answered_s):
            self._answered_s = time.monotonic()
        allowed = [info for info in infos if self._may_attach(describe(info))]
        if infos and not allowed:
            others = ", ".join(sorted({named(describe(info)) for info in infos}))
            wanted = self._source_id or (named(self._known) if self._known else "")
            self.refusal = (
                f"stream {self.name}: source {wanted} does not answer, only {others}, which is not taken "
                f"in its place; to change to it, start again with {self._option}"
            )
        return candidates(allowed, self._qualify, self._descriptions.full)

    def _qualify(self, stream: StreamDescription) -> tuple[L, int]:
        if (refused := self._refused.get(stream.uid)) is not None:
            raise refused.with_traceback(None)
        return self._classify(stream)

    def _still(self, chosen: Candidate[L], finder: StreamFinder) -> bool:
        now = self._choose(finder)
        return now is not None and now.stream.uid == chosen.stream.uid

    def _settled(self) -> bool:
        return time.monotonic() - self._answered_s > SETTLE_S

    def _may_attach(self, stream: StreamDescription) -> bool:
        if self._source_id is not None and stream.source_id != self._source_id:
            return False
        return self._known is None or same_source(self._known, stream)

    def _make_ready(self, inlet: LslInlet, layout: L) -> None:
        self.refusal = ""
        self._known, self._correction = inlet.stream, {inlet.stream.hostname: inlet.correction_s}
        self._ready_inlet = (inlet, layout)
        # After the first time the correction in use is the previous one, so it is measured at once.
        self._clock_keeper.keep(inlet)
        self._replacing = None
        self._requested.clear()
        self.ready.set()

    def _pause(self, seconds: float) -> None:
        self._wake.wait(seconds)
        self._wake.clear()
