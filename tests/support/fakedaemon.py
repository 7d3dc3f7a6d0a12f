"""A daemon's two sockets without the daemon: it says what a test tells it to."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

import msgpack
import zmq

from rtdecode.tools.loopback import free_endpoint

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

#: What an XPUB socket hears from a client.
SUBSCRIPTIONS = (b"\x01cursor", b"\x01status")

#: The fake daemon's clock has another zero than the client's.
CLOCK_ZERO_S = 12345.0


def cursor_map(seq: int, **changes: Any) -> dict[str, Any]:
    """A cursor published now."""
    return {**CURSOR, "seq": seq, "bin": seq, "t_pub": time.monotonic() + CLOCK_ZERO_S, **changes}


class FakePublisher:
    """The cursor socket. Attributes: endpoint."""

    def __init__(self, endpoint: str | None = None) -> None:
        self.endpoint = endpoint or free_endpoint()
        self._context = zmq.Context()
        # An XPUB publishes like a PUB and tells of its subscribers.
        self._socket = self._context.socket(zmq.XPUB)
        self._socket.setsockopt(zmq.XPUB_VERBOSE, 1)
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.bind(self.endpoint)
        self._playing = threading.Event()
        self._player: threading.Thread | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop and unbind."""
        self._playing.clear()
        if self._player is not None:
            self._player.join()
        self._socket.close()
        self._context.term()

    def await_subscriber(self, within_s: float = 20.0) -> Self:
        """Wait until one more client has subscribed to both topics."""
        wanted = set(SUBSCRIPTIONS)
        deadline = time.monotonic() + within_s
        while wanted:
            left_s = deadline - time.monotonic()
            assert left_s > 0, f"no subscription to {wanted} within {within_s} s"
            if self._socket.poll(int(left_s * 1000) + 1):
                wanted.discard(self._socket.recv())
        return self

    def send(self, *frames: bytes) -> None:
        """Publish any frames."""
        self._socket.send_multipart(list(frames))

    def cursor(self, seq: int, **changes: Any) -> None:
        """Publish a cursor."""
        self.send(b"cursor", msgpack.packb(cursor_map(seq, **changes)))

    def status(self, **changes: Any) -> None:
        """Publish a status."""
        self.send(b"status", msgpack.packb({**STATUS, **changes}))

    def spikes(self, payload: bytes) -> None:
        """Publish spikes."""
        self.send(b"spikes", payload)

    def play(self, n: int, period_s: float = 0.01, *, awaited: bool = True) -> Self:
        """Publish a status and then `n` cursors from another thread; `awaited`, from a subscription on."""

        def run() -> None:
            wanted = set(SUBSCRIPTIONS) if awaited else set()
            while wanted and self._playing.is_set():
                if self._socket.poll(20):
                    wanted.discard(self._socket.recv())
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
        """Wait until all of `play` is out."""
        assert self._player is not None
        self._player.join()


class FakeControl:
    """The control socket: a thread that answers each request with what `answer` makes of it.

    Args:
        answer: from the request's map to the reply's map, raw bytes, or None for no reply at all.

    Attributes:
        endpoint: where it is.
        requests: the maps that came.
    """

    def __init__(
        self, answer: Callable[[dict[str, Any]], dict[str, Any] | bytes | None], endpoint: str | None = None
    ) -> None:
        self.endpoint = endpoint or free_endpoint()
        self.requests: list[dict[str, Any]] = []
        self._answer = answer
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.ROUTER)
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.bind(self.endpoint)
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ending.set()
        self._thread.join()
        self._socket.close()
        self._context.term()

    def _run(self) -> None:
        while not self._ending.is_set():
            if not self._socket.poll(20):
                continue
            peer, empty, request = self._socket.recv_multipart()
            assert empty == b""
            self.requests.append(msgpack.unpackb(request))
            reply = self._answer(self.requests[-1])
            if reply is not None:
                data = reply if isinstance(reply, bytes) else msgpack.packb(reply)
                self._socket.send_multipart([peer, b"", data])


def obliging(request: dict[str, Any]) -> dict[str, Any]:
    """Answers like a daemon that does what it is asked."""
    return {"ok": True, **STATUS} if request["cmd"] == "status" else {"ok": True, "bin": 42}
