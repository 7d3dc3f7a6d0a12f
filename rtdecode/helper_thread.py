"""Threads beside the loop, whose end is noticed."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

RESTART_AFTER_S = 1.0


class HelperThread:
    """A thread that is started again when its work fails.

    Args:
        name: of the thread, for messages.
        work: runs until it is asked to end; may be run again after it has raised.
        restart_after_s: pause before it is run again.

    Attributes:
        fault: why the work failed last, "" if it never did.
    """

    def __init__(self, name: str, work: Callable[[], None], restart_after_s: float = RESTART_AFTER_S) -> None:
        self.fault = ""
        self._work, self._name, self._restart_after_s = work, name, restart_after_s
        self._thread = threading.Thread(target=self._run, name=f"rtdecode-{name}", daemon=True)

    def start(self) -> None:
        """Start the work."""
        self._thread.start()

    def join(self, timeout_s: float) -> bool:
        """Wait until the work, asked to end, has ended; whether it has."""
        if self._thread.is_alive():
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while True:
            try:
                self._work()
                return
            except Exception as error:  # noqa: BLE001 - whatever it is, it must not end in silence
                self.fault = (
                    f"thread {self._name} failed at {time.strftime('%H:%M:%S')} and was started again: "
                    f"{type(error).__name__}: {error}"
                )
            time.sleep(self._restart_after_s)
