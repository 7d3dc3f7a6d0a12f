"""The sockets of a daemon without the daemon: a test publishes what it likes and chooses the answers.

with FakePublisher() as publisher, CursorClient(publisher.endpoint) as client:
    publisher.play(100)
    cursor = client.receive(timeout_s=1.0)
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, Self

import msgspec
import zmq

#: A cursor message and a status message as a daemon publishes them (docs/client.md).
CURSOR = {
    "v": 1,
    "seq": 0,
    "bin": 0,
    "t_bin": 0.0,
    "t_close": 0.0,
    "t_pub": 0.0,
    "value": [1.5, -2.5],
    "n": 3,
    "late": 0,
    "lost": 0,
    "flags": 0,
    "model": "0a1b2c3d",
}
STATUS = {
    "v": 1,
    "state": "running",
    "names": ["x", "y"],
    "units": ["mm", "mm"],
    "bin": 7,
    "bin_width_s": 0.02,
    "model": {"id": "0a1b2c3d", "kind": "wiener"},
    "counters": {"bins": 8},
    "warnings": [],
}

#: What an XPUB socket receives when a client subscribes.
SUBSCRIPTIONS = (b"\x01cursor", b"\x01status")

#: The fake daemon's clock minus the client's `time.monotonic()`, as between two machines.
CLOCK_ZERO_S = 12345.0

_ANY_PORT = "tcp://127.0.0.1:*"


def cursor_map(seq: int, **changes: Any) -> dict[str, Any]:
    """A cursor message of bin `seq`, published now; `changes` replace its fields."""
    return {**CURSOR, "seq": seq, "bin": seq, "t_pub": time.monotonic() + CLOCK_ZERO_S, **changes}


class _Socket:
    """A bound ZeroMQ socket with a context of its own."""

    def __init__(self, kind: int, endpoint: str | None) -> None:
        self._context = zmq.Context()
        self._socket = self._context.socket(kind)
        self._socket.setsockopt(zmq.LINGER, 0)
        if kind == zmq.XPUB:
            self._socket.setsockopt(zmq.XPUB_VERBOSE, 1)
        self._socket.bind(endpoint or _ANY_PORT)
        self.endpoint = self._socket.getsockopt_string(zmq.LAST_ENDPOINT)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Unbind."""
        self._socket.close()
        self._context.term()


class FakePublisher(_Socket):
    """The cursor socket.

    Args:
        endpoint: where to bind; None for a free loopback port.

    Attributes:
        endpoint: where it is bound.
    """

    def __init__(self, endpoint: str | None = None) -> None:
        # An XPUB publishes like a PUB, and also receives the subscriptions.
        super().__init__(zmq.XPUB, endpoint)
        self._playing = threading.Event()
        self._player: threading.Thread | None = None

    def close(self) -> None:
        """Stop and unbind."""
        self._playing.clear()
        if self._player is not None:
            self._player.join()
        super().close()

    def await_subscriber(self, within_s: float = 20.0) -> Self:
        """Wait until one more client has subscribed to cursor and status.

        Raises:
            AssertionError: none has within `within_s` seconds.
        """
        deadline = time.monotonic() + within_s
        if not self._subscribed(lambda: time.monotonic() < deadline):
            raise AssertionError(f"no client has subscribed to cursor and status within {within_s} s")
        return self

    def _subscribed(self, waiting: Callable[[], bool]) -> bool:
        """Whether one more client has subscribed while `waiting`."""
        missing = set(SUBSCRIPTIONS)
        while missing and waiting():
            if self._socket.poll(20):
                missing.discard(self._socket.recv())
        return not missing

    def send(self, *frames: bytes) -> None:
        """Publish any frames."""
        self._socket.send_multipart(list(frames))

    def cursor(self, seq: int, **changes: Any) -> None:
        """Publish a cursor message, see `cursor_map`."""
        self.send(b"cursor", msgspec.msgpack.encode(cursor_map(seq, **changes)))

    def status(self, **changes: Any) -> None:
        """Publish STATUS; `changes` replace its fields."""
        self.send(b"status", msgspec.msgpack.encode({**STATUS, **changes}))

    def spikes(self, payload: bytes) -> None:
        """Publish a message of spikes."""
        self.send(b"spikes", payload)

    def play(self, n: int, period_s: float = 0.01, *, awaited: bool = True) -> Self:
        """Publish a status and then `n` cursors from another thread.

        Args:
            n: number of cursors, of bins 0 to n − 1.
            period_s: time between two of them.
            awaited: whether to wait for a subscriber first.
        """

        def run() -> None:
            if awaited:
                self._subscribed(self._playing.is_set)
            self.status()
            for seq in range(n):
                if not self._playing.is_set():
                    return
                self.cursor(seq)
                time.sleep(period_s)

        self._playing.set()
        self._player = threading.Thread(target=run)
        self._player.start()
        return self

    def await_end(self) -> None:
        """Wait until all of `play` is published."""
        if self._player is not None:
            self._player.join()


class FakeControl(_Socket):
    """The control socket: a thread that answers each request.

    Args:
        answer: called with the request's map; returns the reply's map, raw bytes, or None for no reply.
        endpoint: where to bind; None for a free loopback port.

    Attributes:
        endpoint: where it is bound.
        requests: the maps received so far.
    """

    def __init__(
        self, answer: Callable[[dict[str, Any]], dict[str, Any] | bytes | None], endpoint: str | None = None
    ) -> None:
        super().__init__(zmq.ROUTER, endpoint)
        self.requests: list[dict[str, Any]] = []
        self._answer = answer
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def close(self) -> None:
        """Stop and unbind."""
        self._ending.set()
        self._thread.join()
        super().close()

    def _run(self) -> None:
        while not self._ending.is_set():
            if not self._socket.poll(20):
                continue
            peer, _, request = self._socket.recv_multipart()
            self.requests.append(msgspec.msgpack.decode(request))
            reply = self._answer(self.requests[-1])
            if reply is not None:
                data = reply if isinstance(reply, bytes) else msgspec.msgpack.encode(reply)
                self._socket.send_multipart([peer, b"", data])


def accept_all(request: dict[str, Any]) -> dict[str, Any]:
    """The answer of a daemon that carries out every request."""
    return {"ok": True, **STATUS} if request["cmd"] == "status" else {"ok": True, "bin": 42}
