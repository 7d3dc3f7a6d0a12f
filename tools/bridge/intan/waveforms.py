"""The waveform port of RHX: blocks of 128 samples, of which any cut gives the same blocks.

A block is a magic number, then for each sample its number (uint32) and a uint16 for each channel that is
enabled, little-endian. Without any it still has the numbers, which tell the time when no unit fires.
"""

from __future__ import annotations

import struct

import numpy as np

from rtdecode.tools.bridge.intan.counter import Counter32
from rtdecode.tools.bridge.items import Block, Tally, Tick

MAGIC = struct.pack("<I", 0x2EF07A08)
SAMPLES = 128

#: Value of 0 V.
ZERO = 32768


class WaveformBlocks:
    """Reads blocks; what is none is skipped up to the next one.

    A block is one by its magic number and by its 128 consecutive sample numbers.

    Args:
        n_channels: that are enabled.
        counter: of sample numbers.
        tally: where what is skipped, and samples that never came, are counted.
    """

    def __init__(self, n_channels: int, counter: Counter32, tally: Tally) -> None:
        self._dtype = np.dtype([("sample", "<u4"), ("values", "<u2", (n_channels,))])
        self._size = len(MAGIC) + SAMPLES * self._dtype.itemsize
        self._n_channels, self._counter, self._tally = n_channels, counter, tally
        self._waiting = bytearray()
        self._skipping = False
        self._next: int | None = None

    def feed(self, received: bytes) -> list[Block | Tick]:
        """What is complete with these bytes: blocks int16 [128, channels], or ticks without any channel."""
        self._waiting += received
        data, at, blocks = self._waiting, 0, []
        while len(data) - at >= self._size:
            rows = np.frombuffer(bytes(data[at + len(MAGIC) : at + self._size]), self._dtype)
            steps = np.diff(rows["sample"])
            if data.startswith(MAGIC, at) and (steps == 1).all():
                self._skipping = False
                blocks.append(self._block(rows))
                at += self._size
                continue
            if not self._skipping:
                self._skipping = True
                self._tally.garbled["no waveform block"] += 1
            found = data.find(MAGIC, at + 1)
            at = found if found >= 0 else len(data) - len(MAGIC) + 1
        del data[:at]
        return blocks

    def end(self) -> None:
        """The connection has ended: what waits for the rest of its block is counted."""
        if self._waiting:
            self._tally.garbled["connection ended within a block"] += 1
            self._waiting.clear()
        self._skipping = False

    def _block(self, rows: np.ndarray[tuple[int], np.dtype[np.void]]) -> Block | Tick:
        first = self._counter.extend(int(rows["sample"][0]))
        last = first + SAMPLES - 1
        if self._next is not None and first > self._next:
            self._tally.lost_samples += first - self._next
        self._next = last + 1
        if not self._n_channels:
            return Tick(last)
        return Block(last, (rows["values"].astype(np.int32) - ZERO).astype(np.int16))
