"""One control request and its reply, for both control clients."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
import zmq

from rtdecode.client.checks import check_endpoint, check_seconds
from rtdecode.client.status import Status
from rtdecode.errors import RtdecodeError

#: Longer than the 2 s after which the daemon itself says that it is too busy.
REPLY_TIMEOUT_S = 3.0
MAX_TIMEOUT_S = 3600.0

#: A swap reads a file, and may have to compile for another kind of model.
SWAP_TIMEOUT_S = 60.0

MAX_REPLY_BYTES = 1 << 20


class Exchange:
    """What is said to one control endpoint, without the waiting.

    Args:
        endpoint: tcp://host:port or ipc://path.
        timeout_s: how long a reply may take.

    Raises:
        RtdecodeError: the endpoint is none, or the time-out does not lie above 0 and up to 3600 s.
    """

    def __init__(self, endpoint: str, timeout_s: float) -> None:
        self.endpoint = check_endpoint(endpoint)
        self.timeout_s = check_seconds("timeout_s", timeout_s, MAX_TIMEOUT_S)

    @contextmanager
    def sent(self, cmd: str, fields: dict[str, Any]) -> Iterator[zmq.Socket[bytes]]:
        """A REQ socket with the request on its way; closed at the end.

        Not kept for the next: a REQ socket whose reply never came can neither send nor be fixed, and what
        it holds back for a daemon that is gone must not reach the one that follows.

        Raises:
            RtdecodeError: ZeroMQ does not take the endpoint.
        """
        with zmq.Context() as context, context.socket(zmq.REQ) as socket:
            socket.setsockopt(zmq.LINGER, 0)
            socket.setsockopt(zmq.MAXMSGSIZE, MAX_REPLY_BYTES)
            socket.setsockopt(zmq.IPV6, int("[" in self.endpoint))
            try:
                socket.connect(self.endpoint)
            except zmq.ZMQError as error:
                raise RtdecodeError(f"cannot connect ({error})", where=self.endpoint) from None
            # Queued, connected or not: this cannot block.
            socket.send(msgspec.msgpack.encode({"cmd": cmd, **fields}), zmq.NOBLOCK)
            yield socket

    def read(self, cmd: str, data: bytes) -> dict[str, Any]:
        """The reply's map.

        Raises:
            RtdecodeError: the daemon says that it did not do it, or no daemon wrote this.
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
        """The first bin that a command applies to."""
        number = reply.get("bin")
        if not isinstance(number, int):
            raise self._foreign(cmd)
        return number

    def for_swaps(self) -> Exchange:
        """As this one, but a reply may take at least `SWAP_TIMEOUT_S`."""
        return Exchange(self.endpoint, max(self.timeout_s, SWAP_TIMEOUT_S))

    def status(self, reply: dict[str, Any]) -> Status:
        """The status in a reply."""
        try:
            return msgspec.convert(reply, Status)
        except msgspec.ValidationError as error:
            raise self._foreign(f"status ({error})") from None

    def silence(self, cmd: str) -> RtdecodeError:
        """Nobody answered in time."""
        return RtdecodeError(
            f"no answer to {cmd} within {self.timeout_s:g} s",
            where=self.endpoint,
            fix="check that `rtdecode serve` runs and that this is its --control endpoint",
        )

    def _foreign(self, cmd: str) -> RtdecodeError:
        return RtdecodeError(
            f"the answer to {cmd} is not that of `rtdecode serve`",
            where=self.endpoint,
            fix="check that this is its --control endpoint",
        )
