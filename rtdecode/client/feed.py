"""The common part of the two cursor clients: the socket, and everything that does not wait."""

from __future__ import annotations

import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import suppress

import zmq

from rtdecode.client.checks import cannot_connect, check_seconds
from rtdecode.client.frames import read_frames
from rtdecode.client.status import Status
from rtdecode.client.tracker import CursorTracker, Link
from rtdecode.endpoints import check_connect
from rtdecode.errors import RtdecodeError
from rtdecode.messages import CURSOR_TOPIC, STATUS_TOPIC, Cursor

#: Messages that libzmq keeps for a stalled reader, at least 1,000: 20 s of 20-ms bins. Beyond that the newest
#: are lost.
RECEIVE_QUEUE = 2000

#: One read ends here even if a publisher sends faster than it is read.
MAX_READ = RECEIVE_QUEUE

#: What the kernel keeps in addition, for a stopped process.
RECEIVE_BUFFER_BYTES = 16384

MAX_MESSAGE_BYTES = 1 << 20

#: A subscriber never sends, so TCP alone would not notice a machine that was switched off.
HEARTBEAT_MS = 1000
HEARTBEAT_TIMEOUT_MS = 2000
CONNECT_TIMEOUT_MS = 2000


class CursorFeed:
    """A subscription to a daemon's cursors, read without waiting.

    Connects in the background for as long as it is open: the daemon may start later, end and restart. For
    one thread. Arguments and errors are those of `CursorClient`.
    """

    def __init__(self, endpoint: str, stale_after_s: float) -> None:
        self.endpoint = endpoint
        self._tracker = CursorTracker(check_seconds("stale_after_s", stale_after_s))
        self._socket, self._release = subscribe(self, endpoint, CURSOR_TOPIC, STATUS_TOPIC)

    def close(self) -> None:
        """Disconnect. Closing twice is allowed."""
        self._release()

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._socket.closed

    def latest(self) -> Cursor | None:
        """The newest cursor, without waiting; None if there is no new one since the last call.

        Earlier ones are dropped: for a loop with a frame rate of its own. A cursor older than
        `stale_after_s`, received while this program was stalled, is never returned.

        Raises:
            RtdecodeError: the client is closed.
        """
        self._read()
        return self._tracker.take_newest(time.monotonic())

    def _next(self) -> Cursor | None:
        self._read()
        return self._tracker.take(time.monotonic())

    def _read(self) -> None:
        """Read all messages that have arrived."""
        if self._socket.closed:
            raise RtdecodeError("the client is closed", where=self.endpoint, fix="open a new client")
        now_s = time.monotonic()
        for frames in arrived(self._socket):
            self._tracker.add(read_frames(frames), now_s)

    @property
    def link(self) -> Link:
        """The state of the newest cursor now; as of the last `latest` or `receive`."""
        return self._tracker.link(time.monotonic())

    @property
    def stale(self) -> bool:
        """Whether the newest cursor must not be used: the link is anything but LIVE."""
        return self.link is not Link.LIVE

    @property
    def age_s(self) -> float:
        """Seconds since the newest cursor was published, minus the fastest delivery; inf without one."""
        return self._tracker.age_s(time.monotonic())

    @property
    def newest(self) -> Cursor | None:
        """The cursor received last, of any age, returned before or not."""
        return self._tracker.newest

    @property
    def status(self) -> Status | None:
        """The newest status, published once a second; None before the first."""
        return self._tracker.status

    @property
    def missed(self) -> int:
        """Cursors that were published and not received: this program or the network was too slow."""
        return self._tracker.missed

    @property
    def skipped(self) -> int:
        """Cursors that were received, but older than `stale_after_s` when this program read them."""
        return self._tracker.skipped

    @property
    def duplicates(self) -> int:
        """Cursors received twice in a row; the second is dropped."""
        return self._tracker.duplicates

    @property
    def restarts(self) -> int:
        """How often another daemon started at the endpoint."""
        return self._tracker.restarts

    @property
    def malformed(self) -> int:
        """Messages that were skipped: of a later version, or not from a daemon."""
        return self._tracker.malformed

    @property
    def problem(self) -> str:
        """Why the last malformed message was skipped; empty without one."""
        return self._tracker.problem

    def named(self, cursor: Cursor) -> dict[str, float] | None:
        """A cursor's `value` by the names of the model's outputs.

        Returns:
            Such as {"x": 12.5, "y": -3.0}, in the units of `status.units`; None while no status of this
            cursor's model was received (up to a second after the start and after a change of model).
        """
        status = self._tracker.status
        if status is None or status.model.get("id") != cursor.model or len(status.names) != len(cursor.value):
            return None
        return dict(zip(status.names, cursor.value, strict=True))


def subscribe(owner: object, endpoint: str, *topics: bytes) -> tuple[zmq.Socket[bytes], Callable[[], object]]:
    """A SUB socket for these topics that notices when the other side is gone, and a function that closes it.

    It is also closed with its owner: collected in the wrong order, context before socket, ZeroMQ would wait
    for ever.

    Raises:
        RtdecodeError: an invalid endpoint.
    """
    check_connect(endpoint)
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    socket = context.socket(zmq.SUB)
    release = weakref.finalize(owner, _release, context, socket)
    try:
        socket.setsockopt(zmq.LINGER, 0)
        socket.setsockopt(zmq.RCVHWM, RECEIVE_QUEUE)
        socket.setsockopt(zmq.RCVBUF, RECEIVE_BUFFER_BYTES)
        socket.setsockopt(zmq.MAXMSGSIZE, MAX_MESSAGE_BYTES)
        socket.setsockopt(zmq.HEARTBEAT_IVL, HEARTBEAT_MS)
        socket.setsockopt(zmq.HEARTBEAT_TIMEOUT, HEARTBEAT_TIMEOUT_MS)
        socket.setsockopt(zmq.CONNECT_TIMEOUT, CONNECT_TIMEOUT_MS)
        socket.setsockopt(zmq.IPV6, int("[" in endpoint))
        for topic in topics:
            socket.setsockopt(zmq.SUBSCRIBE, topic)
        socket.connect(endpoint)
    except zmq.ZMQError as error:
        release()
        raise cannot_connect(endpoint, error) from None
    return socket, release


def arrived(socket: zmq.Socket[bytes]) -> Iterator[list[bytes]]:
    """The messages that have arrived, without waiting."""
    with suppress(zmq.Again):
        for _ in range(MAX_READ):
            yield socket.recv_multipart(zmq.NOBLOCK)


def _release(context: zmq.Context[zmq.Socket[bytes]], socket: zmq.Socket[bytes]) -> None:
    socket.close(linger=0)
    context.term()
