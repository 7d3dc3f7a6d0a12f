"""What the emulators of acquisition systems share: a thread that is the system, as often as it is started."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod


class Emulator(ABC):
    """A system that `_run` plays in a thread, until `_stopping` is set."""

    def __init__(self) -> None:
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the system."""
        self._stopping.clear()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the system."""
        self._stopping.set()
        assert self._thread is not None
        self._thread.join()

    def started(self) -> bool:
        """Whether it has been started, and not ended since."""
        return self._thread is not None and self._thread.is_alive()

    def close(self) -> None:
        """End the system for good, if it has been started."""
        if self.started():
            self.stop()

    @abstractmethod
    def _run(self) -> None: ...
