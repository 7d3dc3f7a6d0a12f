"""Read NS1 to NS6: samples of analog inputs and electrodes in blocks, of which each has its time."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from rtdecode.tools.files.recording import F8
from rtdecode.tools.files.vendor.binary import broken, date, records, text
from rtdecode.tools.files.vendor.inputs import thinned
from rtdecode.tools.files.vendor.runs import PAUSE_S, RESET_S, Stretch, stretches

IDS = (b"NEURALSG", b"NEURALCD", b"BRSMPGRP")
#: The period of a file counts these.
CLOCK_HZ = 30_000.0
PTP = 1_000_000_000
OLD = np.dtype([("id", "S8"), ("label", "S16"), ("period", "<u4"), ("n", "<u4")])
HEADER = np.dtype(
    [
        ("id", "S8"), ("major", "u1"), ("minor", "u1"), ("header_bytes", "<u4"), ("label", "S16"),
        ("comment", "S256"), ("period", "<u4"), ("resolution", "<u4"), ("date", "<u2", 8), ("n", "<u4"),
    ]
)  # fmt: skip
CHANNEL = np.dtype(
    [
        ("type", "S2"), ("electrode", "<u2"), ("label", "S16"), ("connector", "u1", 2), ("digital", "<i2", 2),
        ("analog", "<i2", 2), ("unit", "S16"), ("filters", "V20"),
    ]
)  # fmt: skip
MOST_CHANNELS = 10_000
PIECE_BYTES = 1 << 24


@dataclass(frozen=True)
class Channel:
    """A channel: `value = digital * gain + offset`, in `unit`."""

    electrode: int
    label: str
    unit: str
    gain: float
    offset: float

    @property
    def is_analog(self) -> bool:
        """Whether it is an input beside the electrodes: joystick, eye tracker, photodiode."""
        label = self.label.lower()
        if label.startswith(("ainp", "analog", "aud")):
            return True
        return 129 <= self.electrode <= 144 and not label.startswith(("chan", "elec"))


@dataclass(frozen=True)
class Block:
    """Samples one after the other: place of the first byte, number, and seconds of the first."""

    at: int
    n: int
    start_s: float


@dataclass(frozen=True)
class Signals:
    """What an NSx file holds.

    Attributes:
        path: of the file.
        rate_hz: samples a second.
        channels: in the order of a sample.
        blocks: in the order of the file; none of a PTP file.
        header_bytes: where the samples of a PTP file begin, of which each has its own time; else None.
        n_samples: of all blocks.
        timed: whether the file has times: version 2.1 has not.
        attrs, notes: as of `Recording`.
    """

    path: Path
    rate_hz: float
    channels: tuple[Channel, ...]
    blocks: tuple[Block, ...]
    header_bytes: int | None
    n_samples: int
    timed: bool
    attrs: dict[str, str]
    notes: tuple[str, ...]

    @property
    def step(self) -> int:
        """Of the inputs, every so manyth sample is read."""
        return thinned(self.rate_hz)[0]

    @property
    def n_read(self) -> int:
        """Samples that `times` and `values` give."""
        parts = [block.n for block in self.blocks] if self.header_bytes is None else [self.n_samples]
        return sum(-(-n // self.step) for n in parts)

    @property
    def ptp(self) -> np.dtype[Any]:
        """A sample of a PTP file."""
        return np.dtype(
            [("reserved", "u1"), ("time", "<u8"), ("n", "<u4"), ("samples", "<i2", len(self.channels))]
        )

    def stretches(self) -> list[Stretch]:
        """What was recorded; of a PTP file all stamps are read."""
        if self.header_bytes is None:
            return stretches((block.start_s, block.start_s + block.n / self.rate_hz) for block in self.blocks)
        time = self._ptp_columns([])[0]
        edges = np.flatnonzero(np.abs(np.diff(time)) > PAUSE_S)
        starts, stops = time[[0, *(edges + 1)]], time[[*edges, -1]] + 1 / self.rate_hz
        return stretches(zip(starts.tolist(), stops.tolist(), strict=True))

    def times(self, added: F8) -> F8:
        """f8[n_read], seconds, with what is added in each run of the clock."""
        if self.header_bytes is None:
            parts, stop, run = [np.zeros(0)], -np.inf, 0
            for block in self.blocks:
                run += block.start_s < stop - RESET_S
                stop = block.start_s + block.n / self.rate_hz
                parts.append(block.start_s + np.arange(0, block.n, self.step) / self.rate_hz + added[run])
            return np.concatenate(parts)
        time = self._ptp_columns([])[0]
        runs = np.cumsum(np.diff(time, prepend=time[0]) < -RESET_S)
        return time + added[np.minimum(runs, len(added) - 1)]

    def values(self, columns: list[int]) -> F8:
        """f8[n_read, n], some channels in their units."""
        if self.header_bytes is not None:
            raw = self._ptp_columns(columns)[1]
        else:
            with self.path.open("rb") as file:
                raw = np.concatenate([self._block(file, block, columns) for block in self.blocks])
        chosen = [self.channels[each] for each in columns]
        gains, offsets = ([getattr(each, name) for each in chosen] for name in ("gain", "offset"))
        values: F8 = raw * np.array(gains) + np.array(offsets)
        return values

    def _block(self, file: BinaryIO, block: Block, columns: list[int]) -> NDArray[np.int16]:
        file.seek(block.at)
        size = 2 * len(self.channels)
        at_once = max(1, PIECE_BYTES // size // self.step) * self.step
        pieces = [np.empty((0, len(columns)), np.int16)]
        for first in range(0, block.n, at_once):
            data = file.read(min(at_once, block.n - first) * size)
            pieces.append(np.frombuffer(data, "<i2").reshape(-1, len(self.channels))[:: self.step, columns])
        return np.concatenate(pieces)

    def _ptp_columns(self, columns: list[int]) -> tuple[F8, NDArray[np.int16]]:
        times, values = [np.zeros(0)], [np.empty((0, len(columns)), np.int16)]
        with self.path.open("rb") as file:
            file.seek(self.header_bytes or 0)
            size = self.ptp.itemsize
            at_once = max(1, PIECE_BYTES // size // self.step) * self.step * size
            while len(data := file.read(at_once)) >= size:
                packets = np.frombuffer(data, self.ptp, len(data) // size)[:: self.step]
                times.append(packets["time"].astype(np.float64) / PTP)
                values.append(packets["samples"].reshape(len(packets), -1)[:, columns])
        return np.concatenate(times), np.concatenate(values)


def read_nsx(path: Path) -> Signals:
    """The channels and blocks of a file, without their samples.

    Raises:
        RtdecodeError: it is damaged.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        if file.read(8) == IDS[0]:
            file.seek(0)
            return _old(path, file, size)
        file.seek(0)
        header = records(path, file, HEADER, 1)[0]
        n, start, period = (int(header[name]) for name in ("n", "header_bytes", "period"))
        if not (0 < n <= MOST_CHANNELS and period and header["resolution"]) or start < HEADER.itemsize:
            raise broken(path, f"its header announces {n} channels and a period of {period}")
        channels = tuple(map(_channel, records(path, file, CHANNEL, n)))
        signals = Signals(path, CLOCK_HZ / period, channels, (), start, 0, True, date(header["date"]), ())
        file.seek(start)
        first = file.read(signals.ptp.itemsize)
        each_timed = len(first) == signals.ptp.itemsize and np.frombuffer(first, signals.ptp)["n"][0] == 1
        if header["resolution"] == PTP and each_timed:
            n_samples = (size - start) // signals.ptp.itemsize
            return Signals(path, CLOCK_HZ / period, channels, (), start, n_samples, True, signals.attrs, ())
        wide = header["major"] >= 3
        blocks, notes = _blocks(path, file, start, n, (wide, float(header["resolution"])))
    total = sum(block.n for block in blocks)
    return Signals(path, CLOCK_HZ / period, channels, blocks, None, total, True, signals.attrs, notes)


def _blocks(
    path: Path, file: BinaryIO, at: int, n_channels: int, clock: tuple[bool, float]
) -> tuple[tuple[Block, ...], tuple[str, ...]]:
    """Every block, and what was cut; the clock's stamps are wide or not, and so many of them are a second."""
    wide, per_second = clock
    dtype = np.dtype([("flag", "u1"), ("time", "<u8" if wide else "<u4"), ("n", "<u4")])
    size, blocks, notes = path.stat().st_size, [], []
    while at + dtype.itemsize <= size:
        file.seek(at)
        header = np.frombuffer(file.read(dtype.itemsize), dtype)[0]
        if header["flag"] != 1:
            notes.append(
                f"{path.name}: the {size - at} bytes from {at} are no block of samples and are left out"
            )
            break
        at += dtype.itemsize
        there = (size - at) // (2 * n_channels)
        announced = int(header["n"])
        # A recorder that was killed leaves 0, where the next byte is no beginning of a block.
        n = there if not announced and there and file.read(1) != b"\1" else min(announced, there)
        if n != announced:
            notes.append(f"{path.name}: a block announces {announced} samples and has {n}")
        blocks.append(Block(at, n, float(header["time"]) / per_second))
        at += 2 * n_channels * n if n == announced else size
    return tuple(blocks), tuple(notes)


def _old(path: Path, file: BinaryIO, size: int) -> Signals:
    """Version 2.1: one block without a time, channels without gain."""
    header = records(path, file, OLD, 1)[0]
    n, period = int(header["n"]), int(header["period"])
    if not 0 < n <= MOST_CHANNELS or not period:
        raise broken(path, f"its header announces {n} channels and a period of {period}")
    ids = records(path, file, np.dtype("<u4"), n)
    start = file.tell()
    channels = tuple(
        Channel(int(each), f"ainp{each - 128}" if each > 128 else f"chan{each}", "", 1.0, 0.0) for each in ids
    )
    total = (size - start) // (2 * n)
    note = f"{path.name}: has no gains, so that its values are those of the converter"
    block = (Block(start, total, 0.0),)
    return Signals(path, CLOCK_HZ / period, channels, block, None, total, False, {}, (note,))


def _channel(header: Any) -> Channel:
    (least, most), (low, high) = header["digital"].astype(float), header["analog"].astype(float)
    gain = (high - low) / (most - least) if most != least else 1.0
    label = text(header["label"]) or str(header["electrode"])
    return Channel(
        int(header["electrode"]), label, text(header["unit"]), float(gain), float(low - least * gain)
    )
