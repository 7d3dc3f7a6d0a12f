"""The PUB socket: cursor every bin, spikes and status now and then. Never blocks (DESIGN §10)."""

from __future__ import annotations

import math
from collections.abc import Callable

import msgspec
import zmq

from rtdecode.errors import RtdecodeError
from rtdecode.messages import CURSOR_TOPIC, MESSAGE_VERSION, SPIKES_TOPIC, STATUS_TOPIC, Cursor

#: The kernel would otherwise keep minutes of cursors for a reader that has stalled.
SEND_BUFFER_BYTES = 8192


def bind(socket: zmq.Socket[bytes], flag: str, endpoint: str) -> str:
    """Bind and return the endpoint really used ("*" gives a free port).

    Raises:
        RtdecodeError: the address is taken or is not this machine's.
    """
    try:
        socket.setsockopt(zmq.IPV6, int("://[" in endpoint))
        socket.bind(endpoint)
    except zmq.ZMQError as error:
        taken = error.errno == zmq.EADDRINUSE
        raise RtdecodeError(
            f"{endpoint} is in use" if taken else f"{endpoint} cannot be bound ({error})",
            where=flag,
            fix="stop the other daemon, or choose another port" if taken else "check the address",
        ) from None
    return str(socket.getsockopt_string(zmq.LAST_ENDPOINT))


class CursorPublisher:
    """Publishes on one endpoint; used from the hot loop only.

    Args:
        context: ZeroMQ's.
        endpoint: to bind.
        bin_width_s: Δ; a slow subscriber is left at most one second of bins behind.
        clock: the LSL clock.

    Attributes:
        endpoint: what was bound.
        seq: the number of the next cursor message.
    """

    def __init__(
        self,
        context: zmq.Context[zmq.Socket[bytes]],
        endpoint: str,
        bin_width_s: float,
        clock: Callable[[], float],
    ) -> None:
        self._socket = context.socket(zmq.PUB)
        self._socket.setsockopt(zmq.SNDHWM, math.ceil(1.0 / bin_width_s))
        self._socket.setsockopt(zmq.SNDBUF, SEND_BUFFER_BYTES)
        self._socket.setsockopt(zmq.LINGER, 100)
        try:
            self.endpoint = bind(self._socket, "--bind", endpoint)
        except RtdecodeError:
            self._socket.close()
            raise
        self._encoder = msgspec.msgpack.Encoder()
        self._clock = clock
        self._message = Cursor(MESSAGE_VERSION, 0, 0, 0.0, 0.0, 0.0, [], 0, 0, 0, 0, "")
        self.seq = 0

    def cursor(
        self,
        *,
        bin_number: int,
        t_bin: float,
        t_close: float,
        value: list[float],
        n: int,
        late: int,
        lost: int,
        flags: int,
        model: str,
        out: list[float] | None,
    ) -> float:
        """Publish one bin; returns when, on the LSL clock."""
        message = self._message
        message.seq = self.seq
        message.bin = bin_number
        message.t_bin = t_bin
        message.t_close = t_close
        message.value = value
        message.n, message.late, message.lost = n, late, lost
        message.flags, message.model = flags, model
        message.out = msgspec.UNSET if out is None else out
        message.t_pub = now = self._clock()
        self._send(CURSOR_TOPIC, self._encoder.encode(message))
        self.seq += 1
        return now

    def status(self, encoded: bytes) -> None:
        """Publish a status map that is encoded already."""
        self._send(STATUS_TOPIC, encoded)

    def spikes(self, encoded: bytes) -> None:
        """Publish the spikes of some bins, encoded already."""
        self._send(SPIKES_TOPIC, encoded)

    def _send(self, topic: bytes, payload: bytes) -> None:
        # A PUB socket drops for the slow and never blocks; NOBLOCK says so should that ever change.
        self._socket.send(topic, zmq.NOBLOCK | zmq.SNDMORE)
        self._socket.send(payload, zmq.NOBLOCK)

    def close(self) -> None:
        """Let the last messages out and close."""
        self._socket.close()
