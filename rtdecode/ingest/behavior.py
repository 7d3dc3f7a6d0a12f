"""A behaviour stream, read beside the spikes so that it can be recorded with them."""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import Any

import numpy as np
import numpy.typing as npt

from rtdecode.errors import RtdecodeError
from rtdecode.ingest.inlet import MAX_PULL, Inlet, StreamLost
from rtdecode.ingest.layouts import NUMERIC_FORMATS, StreamDescription
from rtdecode.ingest.streams import StreamFinder

PULL_S = 0.1
SEARCH_EVERY_S = 0.05

Block = tuple[npt.NDArray[np.float64], npt.NDArray[np.float32]]


def column_names(stream: StreamDescription) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Names and units of the columns of a behaviour stream; b0, b1 … if it has no labels."""
    labelled = len(stream.labels) == stream.n_columns and len(set(stream.labels)) == stream.n_columns
    names = stream.labels if labelled and all(stream.labels) else None
    units = stream.units if len(stream.units) == stream.n_columns else None
    return (
        names or tuple(f"b{i}" for i in range(stream.n_columns)),
        units or ("",) * stream.n_columns,
    )


class BehaviorReader:
    """A thread that reads a behaviour stream and finds it again when it is gone.

    Args:
        name: of the stream.

    Attributes:
        found: set once its columns are found.
        names, units: of the columns, once found.
        blocks: samples, times f8[n] on our clock and values f4[n, d], oldest first.
        dropped: number of samples that were not finite or not later than the one before.
        failure: reason why the stream cannot be recorded, or None.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.found = threading.Event()
        self.names: tuple[str, ...] = ()
        self.units: tuple[str, ...] = ()
        self.blocks: deque[Block] = deque()
        self.dropped = 0
        self.failure: RtdecodeError | None = None
        self._last_s = -np.inf
        self._correction: dict[str, float] = {}  # of the last machine, by its name
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="rtdecode-behavior", daemon=True)

    def start(self) -> None:
        """Start to search for the stream."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread; samples that it has read stay in `blocks`."""
        self._stopping = True
        if self._thread.is_alive():
            self._thread.join(2 * PULL_S)

    def _run(self) -> None:
        finder = StreamFinder(self.name)
        while not self._stopping and self.failure is None:
            infos = finder.found()
            if not infos:
                time.sleep(SEARCH_EVERY_S)
                continue
            newest = max(infos, key=lambda info: float(info.created_at()))
            inlet = self._open(newest)
            if inlet is None:
                continue
            finder.pause()
            try:
                self._read(inlet)
            except StreamLost:
                finder.ignore(newest.uid())

    def _open(self, newest: Any) -> Inlet | None:
        """The stream, opened; None if it did not answer in time or cannot be recorded."""
        try:
            inlet = Inlet(newest, correction_s=self._correction.get(newest.hostname()))
        except StreamLost:
            return None
        if not self._fits(inlet.stream):
            return None
        self._correction = {newest.hostname(): inlet.correction_s}
        return inlet

    def _read(self, inlet: Inlet) -> None:
        while not self._stopping:
            n = inlet.pull(PULL_S)
            if n:
                self._keep(inlet, n)
            if n < MAX_PULL:
                correction_s = inlet.measure_correction()
                inlet.correction_s = inlet.correction_s if correction_s is None else correction_s

    def _fits(self, stream: StreamDescription) -> bool:
        names, units = column_names(stream)
        if stream.format not in NUMERIC_FORMATS:
            self.failure = RtdecodeError(
                f"its samples are {stream.format}, not numbers",
                where=f"behaviour stream {stream}",
                fix="name a numeric stream with --behavior",
            )
        elif self.found.is_set() and names != self.names:
            self.failure = RtdecodeError(
                f"it has returned with columns {', '.join(names)} instead of {', '.join(self.names)}",
                where=f"behaviour stream {stream}",
                fix="record again, with the columns unchanged until the end",
            )
        else:
            self.names, self.units = names, units
            self.found.set()
        return self.failure is None

    def _keep(self, inlet: Inlet, n: int) -> None:
        time = inlet.time[:n].copy()
        values = inlet.samples[:n].astype(np.float32)
        # A tracker that loses its marker sends NaN; a session file holds finite samples in order.
        latest = np.maximum.accumulate(np.concatenate(([self._last_s], time)))[:-1]
        good = np.isfinite(values).all(axis=1) & (time > latest)
        self.dropped += int(n - good.sum())
        if good.any():
            self._last_s = float(time[good][-1])
            self.blocks.append((time[good], values[good]))
