"""The PUB socket: cursor every bin, spikes and status at intervals (docs/messages.md). Never blocks."""

from __future__ import annotations

import math
from collections.abc import Callable

import msgspec
import zmq

from rtdecode.binning import ClosedBin
from rtdecode.errors import RtdecodeError
from rtdecode.messages import CURSOR_TOPIC, MESSAGE_VERSION, SPIKES_TOPIC, STATUS_TOPIC, Cursor

#: Otherwise the kernel would buffer minutes of cursors for a reader that has stalled.
SEND_BUFFER_BYTES = 8192

#: As integers: an enumeration takes microseconds to combine.
TOPIC_FLAGS, PAYLOAD_FLAGS = int(zmq.NOBLOCK | zmq.SNDMORE), int(zmq.NOBLOCK)


def bind(socket: zmq.Socket[bytes], flag: str, endpoint: str) -> str:
    """Bind a socket; close it if it cannot be bound.

    Args:
        socket: to bind.
        flag: option that gave the endpoint, for the error.
        endpoint: to bind to; "*" as port chooses a free one.

    Returns:
        The endpoint in use.

    Raises:
        RtdecodeError: the address is in use or does not belong to this machine.
    """
    try:
        socket.setsockopt(zmq.IPV6, int("://[" in endpoint))
        socket.bind(endpoint)
    except zmq.ZMQError as error:
        socket.close()
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
        context: of ZeroMQ.
        endpoint: to bind.
        bin_width_s: Δ, seconds; at most one second of bins is queued for a slow subscriber.
        clock: the LSL clock.

    Attributes:
        endpoint: that was bound.
        seq: number of the next cursor message.
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
        self.endpoint = bind(self._socket, "--bind", endpoint)
        self._encoder = msgspec.msgpack.Encoder()
        self._clock = clock
        self._message = Cursor(MESSAGE_VERSION, 0, 0, 0.0, 0.0, 0.0, [], 0, 0, 0, 0, "")
        self.seq = 0

    def cursor(
        self,
        closed: ClosedBin,
        *,
        t_bin: float,
        t_close: float,
        value: list[float],
        flags: int,
        model: str,
        out: list[float] | None,
    ) -> float:
        """Publish one bin.

        Args:
            closed: the bin that was decoded.
            t_bin, t_close: as in `Cursor`.
            value: decoded values.
            flags: of the bin.
            model: id of the model.
            out: cursor of the output stage, None without one.

        Returns:
            Time of publication on the LSL clock.
        """
        message = self._message
        message.seq = self.seq
        message.bin = closed.bin
        message.t_bin = t_bin
        message.t_close = t_close
        message.value = value
        message.n, message.late, message.lost = closed.spikes, closed.late, closed.lost
        message.flags, message.model = flags, model
        message.out = msgspec.UNSET if out is None else out
        message.t_pub = now = self._clock()
        self._send(CURSOR_TOPIC, self._encoder.encode(message))
        self.seq += 1
        return now

    def status(self, encoded: bytes) -> None:
        """Publish an encoded status map."""
        self._send(STATUS_TOPIC, encoded)

    def spikes(self, encoded: bytes) -> None:
        """Publish the encoded spikes of some bins."""
        self._send(SPIKES_TOPIC, encoded)

    def _send(self, topic: bytes, payload: bytes) -> None:
        # A PUB socket drops messages for slow subscribers and never blocks; NOBLOCK would show if it did.
        self._socket.send(topic, TOPIC_FLAGS)
        self._socket.send(payload, PAYLOAD_FLAGS)

    def close(self) -> None:
        """Send the last messages and close."""
        self._socket.close()
