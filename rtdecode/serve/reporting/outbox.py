"""Lines and status maps for whoever reads them; what publishes does not depend on that."""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")

#: Most items that wait; of more, the oldest are dropped.
MOST_WAITING = 1000

#: A reader that takes nothing for so long is reported.
STUCK_S = 3.0


class Outbox(Generic[T]):
    """Writes items on a thread of its own: a closed, full or unread output stops nothing else.

    Args:
        name: of the output, for messages.
        write: writes one item to the output; may wait, and may raise OSError or ValueError.
        descriptor: of the output; once that cannot be written, /dev/null takes its place, so that nothing
            else fails on it.
    """

    def __init__(self, name: str, write: Callable[[T], None], descriptor: int) -> None:
        self._name, self._write, self._descriptor = name, write, descriptor
        self._waiting: deque[T] = deque(maxlen=MOST_WAITING)
        self._wake = threading.Event()
        self._begun_s: float | None = None
        self._closed = ""
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name=f"rtdecode-{name}", daemon=True)

    def start(self) -> None:
        """Start to write."""
        self._thread.start()

    def put(self, item: T) -> None:
        """Write an item soon, after those before it."""
        if not self._closed:
            self._waiting.append(item)
            self._wake.set()

    @property
    def stuck(self) -> bool:
        """Whether an item is being written for longer than a reader needs."""
        return self._begun_s is not None and time.monotonic() - self._begun_s > STUCK_S

    @property
    def problem(self) -> str:
        """Why nothing more is written, "" if all is."""
        if self._closed:
            return f"{self._name} cannot be written ({self._closed}); decoding and messages go on without it"
        if self.stuck:
            return f"{self._name} is not read by anybody; decoding and messages go on without it"
        return ""

    def close(self, timeout_s: float) -> bool:
        """Write what waits, within `timeout_s`; returns whether that was possible."""
        self._stopping = True
        self._wake.set()
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while not self._closed:
            while self._waiting:
                self._write_one(self._waiting.popleft())
            if self._stopping:
                return
            self._wake.wait()
            self._wake.clear()

    def _write_one(self, item: T) -> None:
        self._begun_s = time.monotonic()
        try:
            self._write(item)
        except (OSError, ValueError) as error:
            self._closed = str(error)
            self._waiting.clear()
            with open(os.devnull, "w") as nowhere:
                os.dup2(nowhere.fileno(), self._descriptor)
        self._begun_s = None
