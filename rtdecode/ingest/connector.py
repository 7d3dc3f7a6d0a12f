"""Finding a stream, opening it, and opening it again when it comes back, off the hot path."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Any

from rtdecode.errors import RtdecodeError
from rtdecode.ingest.clock_keeper import ClockKeeper
from rtdecode.ingest.inlet import Inlet, StreamLost
from rtdecode.ingest.layouts import Layout
from rtdecode.ingest.streams import StreamFinder, choose_spike_stream, describe

LOOK_EVERY_S = 0.02
REFUSED_S = 0.5
IDLE_S = 1.0


class Connector:
    """A thread that keeps one stream attached.

    Asked with `request()`, it looks for the stream until it is there, opens it, and leaves it in
    `ready`; the loop takes it from there between two bins. A `ClockKeeper` keeps its clock
    correction fresh.

    Args:
        name: of the stream.
        override: `--layout`.
        source_id: `--source-id`: the only source of that name that is taken; None takes any, if there is one.
        accept: called with an opened inlet and its layout; raises RtdecodeError to refuse it
            (another channel count, say). A refusal ends the first connection; afterwards it is
            kept in `refusal` and the search goes on.

    Attributes:
        found: set once a stream of that name has answered.
        ready: set when an inlet waits in `take()`.
        failure: why the first connection was refused.
        refusal: why the stream that is there now is not attached, "" if it is or none is.
    """

    def __init__(
        self,
        name: str,
        override: Layout | None,
        accept: Callable[[Inlet, Layout], None],
        source_id: str | None = None,
    ) -> None:
        self.name, self._override, self._accept = name, override, accept
        self._source_id = source_id
        self.found = threading.Event()
        self.ready = threading.Event()
        self.failure: RtdecodeError | None = None
        self.refusal = ""
        self._wanted = threading.Event()
        self._wake = threading.Event()
        self._stopping = False
        self._replacing: str | None = None
        self._handover: tuple[Inlet, Layout] | None = None
        self._known: tuple[str, str, float] | None = None
        self._dead: deque[Inlet] = deque()
        self._clock_keeper = ClockKeeper()
        self._thread = threading.Thread(target=self._run, name="rtdecode-connect", daemon=True)

    def start(self) -> None:
        """Begin to look for the stream."""
        self._wanted.set()
        self._clock_keeper.start()
        self._thread.start()

    def request(self, *, replacing: Inlet | None = None) -> None:
        """Look for the stream again.

        Args:
            replacing: an inlet that is silent but not known to be dead; only another outlet
                (another uid) takes its place.
        """
        if self._wanted.is_set() and (replacing is not None) == (self._replacing is not None):
            return
        if replacing is None:
            self._clock_keeper.keep(None)
        self._replacing = replacing.stream.uid if replacing else None
        self._wanted.set()
        self._wake.set()

    def withdraw(self) -> None:
        """The silent inlet speaks again: stop looking for another."""
        if self._replacing is not None:
            self._replacing = None
            self._wanted.clear()

    def dispose(self, inlet: Inlet) -> None:
        """Close a dead inlet on this thread: liblsl joins its threads, which can take a while."""
        self._dead.append(inlet)

    def take(self) -> tuple[Inlet, Layout] | None:
        """The inlet that is ready, once."""
        if not self.ready.is_set():
            return None
        self.ready.clear()
        taken, self._handover = self._handover, None
        return taken

    def stop(self) -> None:
        """End the thread at its next step; it never holds up the daemon's end."""
        self._stopping = True
        self._clock_keeper.stop()
        self._wake.set()

    def _run(self) -> None:
        finder = StreamFinder(self.name)
        while not self._stopping:
            while self._dead:
                finder.bury(self._dead.popleft().stream.uid)
            if self._wanted.is_set() and not self.ready.is_set():
                self._connect(finder)
            else:
                finder.rest()
                self._pause(IDLE_S)

    def _connect(self, finder: StreamFinder) -> None:
        """One look; hands an inlet over if there is a stream to open."""
        infos = self._candidates(finder)
        if not infos:
            self._pause(LOOK_EVERY_S)
            return
        try:
            info, layout = choose_spike_stream(infos, self._override, self._known[0] if self._known else None)
            self.found.set()
            inlet = Inlet(info, correction_s=self._known_correction(describe(info).hostname))
            if self._known is None:
                # Opening took the time in which a second source of that name answers too.
                choose_spike_stream(self._candidates(finder), self._override)
            self._accept(inlet, layout)
        except StreamLost:
            self._pause(LOOK_EVERY_S)
            return
        except RtdecodeError as error:
            self.refusal = str(error)
            if self._known is None:
                self.failure = error
                self._stopping = True
            self._pause(REFUSED_S)
            return
        if self._wanted.is_set():
            self._hand_over(inlet, layout)

    def _candidates(self, finder: StreamFinder) -> list[Any]:
        """What answers to the name and may be taken."""
        infos = [info for info in finder.look() if info.uid() != self._replacing]
        if self._source_id is None:
            return infos
        wanted = [info for info in infos if info.source_id() == self._source_id]
        if infos and not wanted:
            others = ", ".join(sorted({info.source_id() or "unnamed" for info in infos}))
            self.refusal = f"stream {self.name}: source {self._source_id} does not answer, only {others}"
        return wanted

    def _hand_over(self, inlet: Inlet, layout: Layout) -> None:
        self.refusal = ""
        self._known = (inlet.stream.source_id, inlet.stream.hostname, inlet.correction_s)
        self._handover = (inlet, layout)
        # After the first time, the correction in use is the one from before: measured at once.
        self._clock_keeper.keep(inlet)
        self._replacing = None
        self._wanted.clear()
        self.ready.set()

    def _pause(self, seconds: float) -> None:
        self._wake.wait(seconds)
        self._wake.clear()

    def _known_correction(self, hostname: str) -> float | None:
        """The last correction holds for an outlet on the same machine: measuring takes 0.6 s."""
        if self._known is not None and self._known[1] == hostname:
            return self._known[2]
        return None
