"""Wait for a ZeroMQ socket in asyncio, by its file descriptor."""

from __future__ import annotations

import asyncio
import math

import zmq

from rtdecode.errors import RtdecodeError


class Readable:
    """Waits until a socket has something to read, and reads nothing.

    A cancelled wait therefore loses nothing; a future that ends with the message itself could (pyzmq issue
    1925). The descriptor signals changes, not messages: `wait` may end early, so poll, and wait again.

    Args:
        socket: to be read by one task at a time.
    """

    def __init__(self, socket: zmq.Socket[bytes]) -> None:
        self._socket = socket
        self._waiting: tuple[asyncio.AbstractEventLoop, int, asyncio.Future[None]] | None = None

    async def wait(self, timeout_s: float) -> None:
        """Return when there may be something to read, after the time-out, or after `interrupt`.

        Raises:
            RtdecodeError: another task is waiting already.
        """
        if self._waiting is not None:
            raise RtdecodeError(
                "another task is waiting for this client already",
                fix="open a client of its own in each task",
            )
        if self._socket.poll(0):
            # With always more to read, other tasks must run too.
            await asyncio.sleep(0)
            return
        loop = asyncio.get_running_loop()
        # Only while a task waits: a descriptor that is not read would wake the event loop for ever.
        descriptor, changed = self._socket.fileno(), loop.create_future()
        self._waiting = loop, descriptor, changed
        loop.add_reader(descriptor, self.interrupt)
        try:
            await asyncio.wait({changed}, timeout=None if math.isinf(timeout_s) else timeout_s)
        finally:
            self.interrupt()

    def interrupt(self) -> None:
        """End the wait now, if there is one. Call it before the socket is closed."""
        if self._waiting is None:
            return
        loop, descriptor, changed = self._waiting
        self._waiting = None
        loop.remove_reader(descriptor)
        if not changed.done():
            changed.set_result(None)
