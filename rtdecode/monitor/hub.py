"""Sends the newest frame to each open page, and never an older one.

A page acknowledges each frame it has drawn (with any text), and until then is sent one more at most. A
stalled page therefore delays no other, fills no queue, and shows the present as soon as it continues.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import msgspec

from rtdecode.monitor.frame import frame, next_bin
from rtdecode.monitor.state import MonitorState

#: Frames sent to one page and not acknowledged.
MAX_UNSEEN = 2


class Hub:
    """The newest frame.

    Args:
        state: of the monitor; changed only between `publish` and the next await.
        about: further keys of every frame.

    Attributes:
        number: of the newest frame; 0 before the first.
    """

    def __init__(self, state: MonitorState, about: dict[str, object]) -> None:
        self._state, self._about = state, about
        self._now_s = 0.0
        self._made: dict[int, str] = {}
        self._changed = asyncio.Event()
        self.number = 0

    def publish(self, now_s: float) -> None:
        """Make the state as it is now the newest frame."""
        self._now_s = now_s
        self._made.clear()
        self.number += 1
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    async def newer(self, number: int) -> None:
        """Wait for a frame later than this one."""
        while self.number <= number:
            await self._changed.wait()

    def encoded(self, since_bin: int) -> tuple[str, int]:
        """The newest frame for a page that lacks all bins from `since_bin` on, and its next `since_bin`.

        Pages that keep up share one encoding.
        """
        reached = next_bin(self._state)
        # A restarted daemon counts from 0 again.
        since_bin = since_bin if since_bin <= reached else 0
        if since_bin not in self._made:
            content = {**self._about, "number": self.number, **frame(self._state, self._now_s, since_bin)}
            self._made[since_bin] = msgspec.json.encode(content).decode()
        return self._made[since_bin], reached


class Page:
    """One open page.

    Args:
        hub: where frames come from.
        send: sends text; may wait for the page without a limit.
    """

    def __init__(self, hub: Hub, send: Callable[[str], Awaitable[None]]) -> None:
        self._hub, self._send = hub, send
        self._room = asyncio.Semaphore(MAX_UNSEEN)
        self._unseen = 0

    def seen(self) -> None:
        """The page has drawn a frame; ignored without an unacknowledged frame."""
        if self._unseen:
            self._unseen -= 1
            self._room.release()

    async def run(self) -> None:
        """Send frames until cancelled."""
        number = since_bin = 0
        while True:
            await self._room.acquire()
            await self._hub.newer(number)
            number = self._hub.number
            text, since_bin = self._hub.encoded(since_bin)
            self._unseen += 1
            await self._send(text)
