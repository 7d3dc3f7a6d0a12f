"""One control request and its reply, for both control clients."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
import zmq

from rtdecode.client.checks import cannot_connect, check_seconds
from rtdecode.client.status import Status
from rtdecode.endpoints import check_connect
from rtdecode.errors import RtdecodeError

#: Longer than the 2 s after which the daemon itself answers that it is too busy.
REPLY_TIMEOUT_S = 3.0
MAX_TIMEOUT_S = 3600.0

#: A swap reads a file, and may compile for another kind of model.
SWAP_TIMEOUT_S = 60.0

MAX_REPLY_BYTES = 1 << 20


class Exchange:
    """Requests to one control endpoint and their replies; waiting is left to the client.

    Args:
        endpoint: tcp://host:port or ipc://path.
        timeout_s: how long a reply may take.

    Raises:
        RtdecodeError: an invalid endpoint, or a time-out that is not above 0 and at most 3600 s.
    """

    def __init__(self, endpoint: str, timeout_s: float) -> None:
        self.endpoint = check_connect(endpoint)
        self.timeout_s = check_seconds("timeout_s", timeout_s, MAX_TIMEOUT_S)

    @contextmanager
    def sent(self, cmd: str, fields: dict[str, Any]) -> Iterator[zmq.Socket[bytes]]:
        """A REQ socket that has sent the request; closed at the end.

        Never reused: a REQ socket without its reply cannot send again, and a request queued for a daemon
        that is gone must not reach the next one.

        Raises:
            RtdecodeError: ZeroMQ refuses the endpoint.
        """
        with zmq.Context() as context, context.socket(zmq.REQ) as socket:
            socket.setsockopt(zmq.LINGER, 0)
            socket.setsockopt(zmq.MAXMSGSIZE, MAX_REPLY_BYTES)
            socket.setsockopt(zmq.IPV6, int("[" in self.endpoint))
            try:
                socket.connect(self.endpoint)
            except zmq.ZMQError as error:
                raise cannot_connect(self.endpoint, error) from None
            # Queued even without a connection: this cannot block.
            socket.send(msgspec.msgpack.encode({"cmd": cmd, **fields}), zmq.NOBLOCK)
            yield socket

    def read(self, cmd: str, data: bytes) -> dict[str, Any]:
        """The reply's map.

        Raises:
            RtdecodeError: the daemon refused, or the reply is not from a daemon.
        """
        try:
            reply = msgspec.msgpack.decode(data)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            raise self._foreign(cmd) from None
        if not isinstance(reply, dict) or not isinstance(reply.get("ok"), bool):
            raise self._foreign(cmd)
        if not reply["ok"]:
            raise RtdecodeError(str(reply.get("error", "refused")), where=f"{cmd} at {self.endpoint}")
        return reply

    def first_bin(self, cmd: str, reply: dict[str, Any]) -> int:
        """The first bin that a command applies to, from its reply."""
        number = reply.get("bin")
        if not isinstance(number, int):
            raise self._foreign(cmd)
        return number

    def for_swaps(self) -> Exchange:
        """A copy with a time-out of at least `SWAP_TIMEOUT_S`."""
        return Exchange(self.endpoint, max(self.timeout_s, SWAP_TIMEOUT_S))

    def status(self, reply: dict[str, Any]) -> Status:
        """The status in a reply."""
        try:
            return msgspec.convert(reply, Status)
        except msgspec.ValidationError as error:
            raise self._foreign(f"status ({error})") from None

    def silence(self, cmd: str) -> RtdecodeError:
        """The error for a reply that did not arrive in time."""
        return RtdecodeError(
            f"did not answer {cmd} within {self.timeout_s:g} s",
            where=self.endpoint,
            fix="check that `rtdecode serve` runs and that this is its --control endpoint",
        )

    def _foreign(self, cmd: str) -> RtdecodeError:
        return RtdecodeError(
            f"the answer to {cmd} is not from `rtdecode serve`",
            where=self.endpoint,
            fix="check that this is its --control endpoint",
        )
