"""Keeps every cursor of a daemon and when it came: `python -m rtdecode.tools.capture ENDPOINT OUT.npz`.

In a process of its own, so that nothing that draws or waits beside it shows in the times. Ctrl-C ends it, and
writes the file.
"""

from __future__ import annotations

import signal
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from rtdecode.tools.listener import Heard, Listener

#: How long it may take to notice that it is to end.
PORTION_S = 0.2

#: Said on stderr once the socket is there.
LISTENING = "listening"


@dataclass(frozen=True)
class Cursors:
    """What a daemon sent. Times are seconds on the LSL clock.

    Attributes:
        seq, bin: i8[n].
        t_bin, received_s: f8[n], the end of the bin, and when it came here.
        values: f4[n, d].
        flags: u4[n].
        models: <U8[n].
    """

    seq: NDArray[np.int64]
    bin: NDArray[np.int64]
    t_bin: NDArray[np.float64]
    received_s: NDArray[np.float64]
    values: NDArray[np.float32]
    flags: NDArray[np.uint32]
    models: NDArray[np.str_]

    @classmethod
    def of(cls, heard: Heard) -> Self:
        """From messages; all of one number of outputs."""
        cursors = heard.cursors
        return cls(
            seq=np.array([cursor["seq"] for cursor in cursors], np.int64),
            bin=np.array([cursor["bin"] for cursor in cursors], np.int64),
            t_bin=np.array([cursor["t_bin"] for cursor in cursors], np.float64),
            received_s=np.array(heard.received_s, np.float64),
            values=np.array([cursor["value"] for cursor in cursors] or np.zeros((0, 0)), np.float32),
            flags=np.array([cursor["flags"] for cursor in cursors], np.uint32),
            models=np.array([cursor["model"] for cursor in cursors], "U8"),
        )

    def save(self, path: Path) -> None:
        """Write an .npz."""
        np.savez(path, **vars(self))

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what `save` wrote."""
        with np.load(path) as kept:
            return cls(**{name: kept[name] for name in kept.files})

    def between(self, start_s: float, stop_s: float) -> Self:
        """Those whose bin ended in start_s < t ≤ stop_s."""
        chosen = (self.t_bin > start_s) & (self.t_bin <= stop_s)
        return type(self)(**{name: column[chosen] for name, column in vars(self).items()})

    def __len__(self) -> int:
        return len(self.seq)

    def missing(self) -> int:
        """Messages that did not come between the first and the last."""
        return int(self.seq[-1] - self.seq[0]) + 1 - len(self) if len(self) else 0


def main() -> None:
    """Listen until SIGINT or SIGTERM."""
    import pylsl

    endpoint, path = sys.argv[1], Path(sys.argv[2])
    stopping = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopping.set())
    listener, heard = Listener(endpoint, pylsl.local_clock), Heard()
    sys.stderr.write(f"{LISTENING}\n")
    sys.stderr.flush()
    while not stopping.is_set():
        portion = listener.listen(PORTION_S, idle_s=PORTION_S)
        heard.cursors += portion.cursors
        heard.received_s += portion.received_s
    listener.close()
    Cursors.of(heard).save(path)


if __name__ == "__main__":
    main()
