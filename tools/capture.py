"""Receive the cursor messages of a daemon, and note when each arrived.

    python -m rtdecode.tools.capture ENDPOINT OUT.npz

The command writes every cursor to a file once SIGINT (Ctrl-C) or SIGTERM ends it. It runs in a process of its
own, so that nothing that draws or waits beside it delays the arrival times.
"""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import msgspec
import numpy as np
import zmq
from numpy.typing import NDArray

from rtdecode.kernels.arrays import F4, F8, I8, U4

#: How often the command checks whether it has to end.
POLL_S = 0.2

#: The line that the command prints on stderr once it is subscribed.
SUBSCRIBED = "subscribed"


@dataclass
class Received:
    """Cursor messages in the order of arrival, and the arrival time of each on the LSL clock."""

    cursors: list[dict[str, Any]] = field(default_factory=list)
    received_s: list[float] = field(default_factory=list)


class CursorSubscriber:
    """A SUB socket on one endpoint.

    Args:
        endpoint: cursor endpoint of the daemon.
        clock: the LSL clock, seconds.
    """

    def __init__(self, endpoint: str, clock: Callable[[], float]) -> None:
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._socket = self._context.socket(zmq.SUB)
        self._socket.setsockopt(zmq.SUBSCRIBE, b"cursor")
        self._socket.connect(endpoint)
        self._decoder = msgspec.msgpack.Decoder()
        self._clock = clock

    def receive(self, seconds: float, *, bins: int | None = None, idle_s: float = 2.0) -> Received:
        """Receive for `seconds` or until `bins` cursors; silence of `idle_s` after the first also ends it."""
        received = Received()
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and (bins is None or len(received.cursors) < bins):
            if not self._socket.poll(int(idle_s * 1000)):
                if received.cursors:
                    break
                continue
            payload = self._socket.recv_multipart()[1]
            received.received_s.append(self._clock())
            received.cursors.append(self._decoder.decode(payload))
        return received

    def close(self) -> None:
        """Disconnect."""
        self._socket.close(linger=0)
        self._context.term()


@dataclass(frozen=True)
class Cursors:
    """Received cursors as arrays, one row per message. Times are seconds on the LSL clock.

    Attributes:
        seq, bin: i8[n].
        t_bin, received_s: f8[n], end of the bin and arrival time.
        values: f4[n, d].
        flags: u4[n].
        models: <U8[n], model_id.
    """

    seq: I8
    bin: I8
    t_bin: F8
    received_s: F8
    values: F4
    flags: U4
    models: NDArray[np.str_]

    @classmethod
    def of(cls, received: Received) -> Self:
        """Arrays of messages that all have the same number of outputs."""
        cursors = received.cursors
        return cls(
            seq=np.array([cursor["seq"] for cursor in cursors], np.int64),
            bin=np.array([cursor["bin"] for cursor in cursors], np.int64),
            t_bin=np.array([cursor["t_bin"] for cursor in cursors], np.float64),
            received_s=np.array(received.received_s, np.float64),
            values=np.array([cursor["value"] for cursor in cursors] or np.zeros((0, 0)), np.float32),
            flags=np.array([cursor["flags"] for cursor in cursors], np.uint32),
            models=np.array([cursor["model"] for cursor in cursors], "U8"),
        )

    def save(self, path: Path) -> None:
        """Write an .npz."""
        np.savez(path, **vars(self))

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a file that `save` wrote."""
        with np.load(path) as columns:
            return cls(**{name: columns[name] for name in columns.files})

    def between(self, start_s: float, stop_s: float) -> Self:
        """Cursors of the bins that ended in start_s < t ≤ stop_s."""
        chosen = (self.t_bin > start_s) & (self.t_bin <= stop_s)
        return type(self)(**{name: column[chosen] for name, column in vars(self).items()})

    def __len__(self) -> int:
        return len(self.seq)

    def missing(self) -> int:
        """Number of messages missing between the first and the last."""
        return int(self.seq[-1] - self.seq[0]) + 1 - len(self) if len(self) else 0


def main() -> None:
    """Receive until SIGINT or SIGTERM, then write the file."""
    import pylsl

    endpoint, path = sys.argv[1], Path(sys.argv[2])
    stopping = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopping.set())
    subscriber, received = CursorSubscriber(endpoint, pylsl.local_clock), Received()
    sys.stderr.write(f"{SUBSCRIBED}\n")
    sys.stderr.flush()
    while not stopping.is_set():
        part = subscriber.receive(POLL_S, idle_s=POLL_S)
        received.cursors += part.cursors
        received.received_s += part.received_s
    subscriber.close()
    Cursors.of(received).save(path)


if __name__ == "__main__":
    main()
