"""What the two cursor clients share: the socket, and all that needs no waiting."""

from __future__ import annotations

import time
import weakref

import zmq

from rtdecode.client.checks import check_endpoint, check_seconds
from rtdecode.client.frames import read_frames
from rtdecode.client.status import Status
from rtdecode.client.tracker import CursorTracker, Link
from rtdecode.errors import RtdecodeError
from rtdecode.messages import CURSOR_TOPIC, STATUS_TOPIC, Cursor

#: Messages that libzmq keeps for a reader that is stuck, 1,000 at least: 20 s of 20-ms bins. Beyond
#: that the newest are lost.
RECEIVE_QUEUE = 2000

#: One read ends here even if a publisher sends faster than it is read.
MAX_READ = RECEIVE_QUEUE

#: What the kernel keeps on top of that, for a process that is stopped as a whole.
RECEIVE_BUFFER_BYTES = 16384

MAX_MESSAGE_BYTES = 1 << 20

#: A subscriber never sends, so TCP alone would not notice a machine that was switched off.
HEARTBEAT_MS = 1000
HEARTBEAT_TIMEOUT_MS = 2000
CONNECT_TIMEOUT_MS = 2000


class CursorFeed:
    """A subscription to a daemon's cursors, read without ever waiting.

    Connects in the background and for as long as it is open: the daemon may start later, end, and
    come back. For one thread.

    Args:
        endpoint: the daemon's `--bind`, tcp://host:port or ipc://path.
        stale_after_s: when a cursor is too old to be used; take several bin widths. inf for never.

    Raises:
        RtdecodeError: the endpoint is none, or `stale_after_s` is not above 0.
    """

    def __init__(self, endpoint: str, stale_after_s: float) -> None:
        self.endpoint = check_endpoint(endpoint)
        self._tracker = CursorTracker(check_seconds("stale_after_s", stale_after_s))
        context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._socket = context.socket(zmq.SUB)
        # Also for a client that nobody closes: collected in the wrong order, context before socket,
        # ZeroMQ would wait for ever.
        self._release = weakref.finalize(self, _release, context, self._socket)
        try:
            subscribe(self._socket, endpoint, CURSOR_TOPIC, STATUS_TOPIC)
        except zmq.ZMQError as error:
            self._release()
            raise RtdecodeError(f"cannot connect ({error})", where=endpoint) from None

    def close(self) -> None:
        """Disconnect. Closing twice does no harm."""
        self._release()

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._socket.closed

    def latest(self) -> Cursor | None:
        """The newest cursor, at once; None if nothing new has come since the last call.

        Those before it are dropped: what a loop with a frame rate of its own calls once a frame. One that
        is older than `stale_after_s`, left over from a time when this program was stuck, is never
        given.

        Raises:
            RtdecodeError: the client is closed.
        """
        self._read()
        return self._tracker.take_newest(time.monotonic())

    def _next(self) -> Cursor | None:
        self._read()
        return self._tracker.take(time.monotonic())

    def _read(self) -> None:
        """Take from the socket all that has come."""
        if self._socket.closed:
            raise RtdecodeError("the client is closed", where=self.endpoint)
        now_s = time.monotonic()
        for _ in range(MAX_READ):
            try:
                frames = self._socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return
            self._tracker.hear(read_frames(frames), now_s)

    @property
    def link(self) -> Link:
        """What the newest cursor is worth now; as of the last `latest` or `receive`."""
        return self._tracker.link(time.monotonic())

    @property
    def stale(self) -> bool:
        """Whether the newest cursor must not be used: the link is anything but LIVE."""
        return self.link is not Link.LIVE

    @property
    def age_s(self) -> float:
        """Seconds since the newest cursor was published, beyond the fastest delivery; inf without one."""
        return self._tracker.age_s(time.monotonic())

    @property
    def newest(self) -> Cursor | None:
        """The cursor that came last, whatever its age and whether or not it was handed out."""
        return self._tracker.newest

    @property
    def status(self) -> Status | None:
        """The newest status, which comes once a second; None before the first."""
        return self._tracker.status

    @property
    def missed(self) -> int:
        """Cursors that were published and never came: this program or the network was too slow."""
        return self._tracker.missed

    @property
    def skipped(self) -> int:
        """Cursors that came, but were older than `stale_after_s` before this program asked."""
        return self._tracker.skipped

    @property
    def duplicates(self) -> int:
        """Cursors that came twice in a row; the second is dropped."""
        return self._tracker.duplicates

    @property
    def restarts(self) -> int:
        """How often another daemon took the endpoint."""
        return self._tracker.restarts

    @property
    def malformed(self) -> int:
        """Messages that were skipped: a later version, or not from a daemon at all."""
        return self._tracker.malformed

    @property
    def problem(self) -> str:
        """Why the last of these was skipped; empty without one."""
        return self._tracker.problem

    def named(self, cursor: Cursor) -> dict[str, float] | None:
        """A cursor's `value` by the names of the model's outputs.

        Returns:
            Such as {"x": 12.5, "y": -3.0}, in the units of `status.units`; None while no status of this
            cursor's model has come (up to a second after the start and after a change of model).
        """
        status = self._tracker.status
        if status is None or status.model.get("id") != cursor.model or len(status.names) != len(cursor.value):
            return None
        return dict(zip(status.names, cursor.value, strict=True))


def subscribe(socket: zmq.Socket[bytes], endpoint: str, *topics: bytes) -> None:
    """Connect a SUB socket so that it finds out when the other side is gone, and hears these topics.

    Raises:
        zmq.ZMQError: ZeroMQ does not take the endpoint.
    """
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


def _release(context: zmq.Context[zmq.Socket[bytes]], socket: zmq.Socket[bytes]) -> None:
    socket.close(linger=0)
    context.term()
