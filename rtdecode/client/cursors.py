"""The cursor clients, blocking and for asyncio."""

from __future__ import annotations

import math
import time
from typing import Self, overload

from rtdecode.client.checks import deadline_s
from rtdecode.client.feed import CursorFeed
from rtdecode.client.readable import Readable
from rtdecode.messages import CURSOR_ENDPOINT, Cursor

#: A longer wait is split, since ZeroMQ counts milliseconds in a C integer.
MAX_POLL_S = 3600.0


class CursorClient(CursorFeed):
    """Follows the cursors of `rtdecode serve`.

        from rtdecode.client import CursorClient, Link

        with CursorClient("tcp://127.0.0.1:5556") as client:
            while (cursor := client.receive(timeout_s=1.0)) is not None:
                if client.link is Link.LIVE:
                    print(cursor.bin, cursor.value)

    Iterating gives one `Cursor` after the other, in order, and waits for each; `receive` waits up to its
    time-out; `latest` never waits. The daemon may start later, end and restart: `link` is the state of the
    newest cursor, `missed`, `skipped` and `restarts` count interruptions. All of them skip cursors older
    than `stale_after_s`. For one thread; open one client in each.

    Args:
        endpoint: the daemon's `--bind`, tcp://host:port or ipc://path.
        stale_after_s: age from which a cursor is too old to be used; several bin widths. inf for never.

    Raises:
        RtdecodeError: an invalid endpoint, or a `stale_after_s` that is not above 0.
    """

    def __init__(self, endpoint: str = CURSOR_ENDPOINT, *, stale_after_s: float = 0.25) -> None:
        super().__init__(endpoint, stale_after_s)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Cursor:
        return self.receive()

    @overload
    def receive(self, timeout_s: None = None) -> Cursor: ...

    @overload
    def receive(self, timeout_s: float) -> Cursor | None: ...

    def receive(self, timeout_s: float | None = None) -> Cursor | None:
        """The next cursor.

        Args:
            timeout_s: the longest wait; None for no limit, 0 for no wait.

        Returns:
            None when the time is up.

        Raises:
            RtdecodeError: the client is closed, or the time-out is below 0.
        """
        end_s = deadline_s(time.monotonic(), timeout_s)
        while (cursor := self._next()) is None:
            left_s = end_s - time.monotonic()
            if left_s <= 0:
                return None
            self._socket.poll(math.ceil(min(left_s, MAX_POLL_S) * 1000))
        return cursor


class AsyncCursorClient(CursorFeed):
    """Follows the cursors of `rtdecode serve` in asyncio.

        import asyncio

        from rtdecode.client import AsyncCursorClient, Link

        async def follow() -> None:
            async with AsyncCursorClient("tcp://127.0.0.1:5556") as client:
                while (cursor := await client.receive(timeout_s=1.0)) is not None:
                    if client.link is Link.LIVE:
                        print(cursor.bin, cursor.value)

        asyncio.run(follow())

    The same as `CursorClient`, arguments and errors included, with `async for` and `await`; `latest` is an
    ordinary call. A cancelled `receive` loses no cursor. For one task; open one client in each. Needs an
    event loop with `add_reader`: asyncio's own on Linux and macOS, or uvloop.
    """

    def __init__(self, endpoint: str = CURSOR_ENDPOINT, *, stale_after_s: float = 0.25) -> None:
        super().__init__(endpoint, stale_after_s)
        self._readable = Readable(self._socket)

    def close(self) -> None:
        """Disconnect; a waiting task gets an RtdecodeError. Closing twice is allowed."""
        self._readable.interrupt()
        super().close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Cursor:
        return await self.receive()

    @overload
    async def receive(self, timeout_s: None = None) -> Cursor: ...

    @overload
    async def receive(self, timeout_s: float) -> Cursor | None: ...

    async def receive(self, timeout_s: float | None = None) -> Cursor | None:
        """The next cursor, as `CursorClient.receive`.

        Raises:
            RtdecodeError: as there, or another task is waiting for this client.
        """
        end_s = deadline_s(time.monotonic(), timeout_s)
        while (cursor := self._next()) is None:
            left_s = end_s - time.monotonic()
            if left_s <= 0:
                return None
            await self._readable.wait(left_s)
        return cursor
