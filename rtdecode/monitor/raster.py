"""The spikes of the last two seconds, by bin and channel."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import msgspec
import numpy as np

from rtdecode.kernels.arrays import F8, U1
from rtdecode.messages import MESSAGE_VERSION, Spikes

SPAN_S = 2.0

#: A limit for bins of less than a millisecond.
MAX_BINS = 2000

_DECODER = msgspec.msgpack.Decoder(Spikes)


class Counts(NamedTuple):
    """A `spikes` message, checked.

    Attributes:
        bin: number of the first row.
        rows: u1[n_bins, n_channels].
    """

    bin: int
    rows: U1


def read_spikes(payload: bytes) -> Counts | None:
    """The counts of a `spikes` message, or None for a message of another version or program."""
    try:
        spikes = _DECODER.decode(payload)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    sized = 0 < spikes.n_channels <= 1 << 16 and 0 < spikes.n_bins <= 256 and spikes.bin >= 0
    n = len(spikes.offset)
    if spikes.v != MESSAGE_VERSION or not sized or len(spikes.count) != n or len(spikes.channel) != 2 * n:
        return None
    offset, channel = np.frombuffer(spikes.offset, np.uint8), np.frombuffer(spikes.channel, "<u2")
    if n and (offset.max() >= spikes.n_bins or channel.max() >= spikes.n_channels):
        return None
    rows = np.zeros((spikes.n_bins, spikes.n_channels), np.uint8)
    rows[offset, channel] = np.frombuffer(spikes.count, np.uint8)
    return Counts(spikes.bin, rows)


class Raster:
    """A ring of the last 2 s of bins.

        raster = Raster(bin_width_s=0.02)
        raster.add(counts)
        raster.last()                              # u1[100, n_channels], the newest bin last

    Args:
        bin_width_s: Δ.

    Attributes:
        n_bins: bins of 2 s.
        n_channels: of the daemon's model; 0 before the first message.
        end: number of the bin after the newest.
        received: bins received since the start, at most `n_bins`.
    """

    def __init__(self, bin_width_s: float) -> None:
        self.bin_width_s = bin_width_s
        self.n_bins = min(max(1, round(SPAN_S / bin_width_s)), MAX_BINS)
        self.n_channels = self.end = self.received = 0
        self._ring: U1 = np.zeros((self.n_bins, 0), np.uint8)

    def add(self, counts: Counts) -> None:
        """Add a message. Missing bins stay empty; a restarted daemon clears everything."""
        rows, end = counts.rows[-self.n_bins :], counts.bin + len(counts.rows)
        if rows.shape[1] != self.n_channels or end <= self.end:
            self.n_channels, self.received = rows.shape[1], 0
            self.end = end - len(rows)
            self._ring = np.zeros((self.n_bins, self.n_channels), np.uint8)
        first = end - len(rows)
        missing = min(max(first - self.end, 0), self.n_bins)
        self._ring[np.arange(first - missing, first) % self.n_bins] = 0
        self._ring[np.arange(first, end) % self.n_bins] = rows
        self.received = min(self.received + end - self.end, self.n_bins)
        self.end = end

    def last(self) -> U1:
        """A copy, u1[n_bins, n_channels], the newest bin last; zeros before the first received."""
        return self._ring[np.arange(self.end, self.end + self.n_bins) % self.n_bins]

    def since(self, bin_number: int) -> Iterator[tuple[int, list[int]]]:
        """Number and [channel, count, channel, count, …] of each bin from `bin_number` on."""
        for b in range(max(bin_number, self.end - self.received), self.end):
            row = self._ring[b % self.n_bins]
            channel = np.flatnonzero(row)
            yield b, np.stack((channel, row[channel]), axis=1).ravel().tolist()

    def rates_hz(self) -> F8:
        """Rate of each channel over the received part of the 2 s, f8[n_channels]."""
        seconds = max(self.received, 1) * self.bin_width_s
        rates: F8 = self._ring.sum(axis=0, dtype=np.float64) / seconds
        return rates
