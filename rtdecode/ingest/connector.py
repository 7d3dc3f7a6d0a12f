"""Finding a stream, opening it, and opening it again when it comes back, off the hot path."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Any

from rtdecode.errors import RtdecodeError
from rtdecode.ingest.inlet import Inlet, StreamLost
from rtdecode.ingest.layouts import Layout
from rtdecode.ingest.streams import choose_spike_stream, describe, find_streams

RESOLVE_S = 0.5
CORRECTION_EVERY_S = 5.0

Chosen = tuple[Any, Layout]


class Connector:
    """A thread that keeps one stream attached.

    Asked with `request()`, it looks for the stream until it is there, opens it, and leaves it in
    `ready`; the loop takes it from there between two bins. Once attached it refreshes the clock
    correction every five seconds.

    Args:
        name: of the stream.
        override: `--layout`.
        accept: called with an opened inlet and its layout; raises RtdecodeError to refuse it
            (another channel count, say). A refusal ends the first connection; afterwards it is
            kept in `refusal` and the search goes on.

    Attributes:
        found: set once a stream of that name has answered.
        ready: set when an inlet waits in `take()`.
        failure: why the first connection was refused.
        refusal: why the stream that is there now is not attached, "" if it is or none is.
    """

    def __init__(self, name: str, override: Layout | None, accept: Callable[[Inlet, Layout], None]) -> None:
        self.name, self._override, self._accept = name, override, accept
        self.found = threading.Event()
        self.ready = threading.Event()
        self.failure: RtdecodeError | None = None
        self.refusal = ""
        self._wanted = threading.Event()
        self._wake = threading.Event()
        self._stopping = False
        self._replacing: str | None = None
        self._attached: Inlet | None = None
        self._handover: tuple[Inlet, Layout] | None = None
        self._known: tuple[str, str, float] | None = None
        self._dead: deque[Inlet] = deque()
        self._thread = threading.Thread(target=self._run, name="rtdecode-connect", daemon=True)

    def start(self) -> None:
        """Begin to look for the stream."""
        self._wanted.set()
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
            self._attached = None
        self._replacing = replacing.stream.uid if replacing else None
        self._wanted.set()
        self._wake.set()

    def withdraw(self) -> None:
        """The silent inlet speaks again: stop looking for another."""
        if self._replacing is not None:
            self._replacing = None
            self._wanted.clear()

    def dispose(self, inlet: Inlet) -> None:
        """Close a dead inlet here: liblsl joins its threads, which can take a while."""
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
        self._wake.set()

    def _run(self) -> None:
        while not self._stopping:
            if self._wanted.is_set() and not self.ready.is_set():
                self._connect()
                if self._attached is not None:
                    self._dead.clear()
            else:
                self._wake.wait(CORRECTION_EVERY_S)
                self._wake.clear()
                self._refresh()

    def _refresh(self) -> None:
        inlet = self._attached
        if inlet is None or self._stopping or self._wanted.is_set():
            return
        correction_s = inlet.measure_correction()
        if correction_s is not None:
            inlet.correction_s = correction_s
            self._known = (inlet.stream.source_id, inlet.stream.hostname, correction_s)

    def _connect(self) -> None:
        infos = find_streams(self.name, RESOLVE_S)
        if not infos or self._stopping:
            return
        replacing = self._replacing
        try:
            info, layout = choose_spike_stream(infos, self._override, self._known[0] if self._known else None)
            if replacing is not None and info.uid() == replacing:
                self._wake.wait(RESOLVE_S)
                self._wake.clear()
                return
            self.found.set()
            inlet = Inlet(info, correction_s=self._known_correction(describe(info).hostname))
            self._accept(inlet, layout)
        except StreamLost:
            return
        except RtdecodeError as error:
            self.refusal = str(error)
            if self._known is None:
                self.failure = error
                self._stopping = True
            self._wake.wait(RESOLVE_S)
            return
        if not self._wanted.is_set():
            return
        self.refusal = ""
        first = self._known is None
        self._known = (inlet.stream.source_id, inlet.stream.hostname, inlet.correction_s)
        self._handover = (inlet, layout)
        self._attached = inlet
        self._replacing = None
        self._wanted.clear()
        self.ready.set()
        if not first:
            # The correction in use is the one from before; measure this outlet's own at once.
            self._wake.set()

    def _known_correction(self, hostname: str) -> float | None:
        """The last correction holds for an outlet on the same machine: measuring takes 0.6 s."""
        if self._known is not None and self._known[1] == hostname:
            return self._known[2]
        return None
