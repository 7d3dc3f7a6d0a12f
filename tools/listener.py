"""Collects cursor messages the way any subscriber would, and when they came."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import msgspec
import zmq


@dataclass
class Heard:
    """Cursor maps in the order they came, and when each was received on the LSL clock."""

    cursors: list[dict[str, Any]] = field(default_factory=list)
    received_s: list[float] = field(default_factory=list)

    def gaps(self) -> int:
        """Messages missing between the first and the last."""
        seqs = [cursor["seq"] for cursor in self.cursors]
        return seqs[-1] - seqs[0] + 1 - len(seqs) if seqs else 0

    def in_order(self) -> bool:
        """Whether every bin came once, in order."""
        bins = [cursor["bin"] for cursor in self.cursors]
        return all(b - a == 1 for a, b in pairwise(bins))


class Listener:
    """A SUB socket on one endpoint.

    Args:
        endpoint: of the daemon's cursor.
        clock: the LSL clock.
    """

    def __init__(self, endpoint: str, clock: Callable[[], float]) -> None:
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._socket = self._context.socket(zmq.SUB)
        self._socket.setsockopt(zmq.SUBSCRIBE, b"cursor")
        self._socket.connect(endpoint)
        self._decoder = msgspec.msgpack.Decoder()
        self._clock = clock

    def listen(self, seconds: float, *, bins: int | None = None, idle_s: float = 2.0) -> Heard:
        """Listen for `seconds`, or until `bins` cursors came; silence of `idle_s` after the first ends it."""
        heard = Heard()
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and (bins is None or len(heard.cursors) < bins):
            if not self._socket.poll(int(idle_s * 1000)):
                if heard.cursors:
                    break
                continue
            payload = self._socket.recv_multipart()[1]
            heard.received_s.append(self._clock())
            heard.cursors.append(self._decoder.decode(payload))
        return heard

    def close(self) -> None:
        """Disconnect."""
        self._socket.close(linger=0)
        self._context.term()
