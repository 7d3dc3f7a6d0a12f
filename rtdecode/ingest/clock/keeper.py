"""Keeps the clock correction of an inlet up to date, on a thread that may wait."""

from __future__ import annotations

import threading

from rtdecode.helper_thread import HelperThread
from rtdecode.ingest.connection.inlet import LslInlet

REFRESH_EVERY_S = 5.0


class ClockKeeper:
    """Measures the clock correction of one inlet at a time, at once and then every five seconds.

    A first measurement takes 0.6 s, and one of a stream that has just died 2 s; hence a thread of
    its own, for which neither the loop nor the search for the stream waits.

    Attributes:
        thread: that measures.
    """

    def __init__(self) -> None:
        self._inlet: LslInlet | None = None
        self._wake = threading.Event()
        self._stopping = False
        self.thread = HelperThread("clock", self._run)

    def start(self) -> None:
        """Start to measure."""
        self.thread.start()

    def keep(self, inlet: LslInlet | None) -> None:
        """Measure this inlet from now on, or none."""
        self._inlet = inlet
        self._wake.set()

    def stop(self) -> None:
        """End the thread at its next step."""
        self._stopping = True
        self._wake.set()

    def _run(self) -> None:
        while not self._stopping:
            inlet = self._inlet
            if inlet is not None:
                correction_s = inlet.measure_correction()
                if correction_s is not None:
                    inlet.correction_s = correction_s
            # A new inlet has set the event: it is measured at once.
            self._wake.wait(REFRESH_EVERY_S)
            self._wake.clear()
