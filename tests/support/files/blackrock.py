"""Write small NEV and NSx files by Blackrock's published layout (LB-0023)."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np

DAY = struct.pack("<8H", 2026, 11, 1, 30, 9, 15, 0, 250)

#: Stamp in ticks, id of the electrode, unit.
Spike = tuple[int, int, int]


def spike(at: int, electrode: int, unit: int) -> tuple[int, bytes]:
    """A spike with a waveform of 24 samples."""
    return at, struct.pack("<HBB48s", electrode, unit, 0, bytes(range(1, 49)))


def digital(at: int, value: int, *, serial: bool = False) -> tuple[int, bytes]:
    """A word at the digital or the serial port."""
    return at, struct.pack("<HBBH46s", 0, 0x81 if serial else 1, 0, value, b"")


def comment(at: int, text: str, *, utf16: bool = False) -> tuple[int, bytes]:
    """A comment of the operator."""
    said = text.encode("utf-16-le" if utf16 else "latin-1")
    return at, struct.pack("<HBBI44s", 0xFFFF, int(utf16), 0, 0xFF, said)


def write_nev(
    path: Path,
    packets: Sequence[tuple[int, bytes]],
    electrodes: dict[int, str],
    version: tuple[int, int] = (2, 3),
    resolution: int = 30_000,
) -> None:
    """A NEV file of packets as of `spike`, `digital` and `comment`, in the order given."""
    waves = [
        struct.pack("<8sHBBHHhhBBH8s", b"NEUEVWAV", e, 1, 1, 250, 0, 0, -80, 0, 2, 24, b"")
        for e in electrodes
    ]
    labels = [struct.pack("<8sH16s6s", b"NEUEVLBL", e, name.encode(), b"") for e, name in electrodes.items()]
    stamp = "<Q" if version[0] >= 3 else "<I"
    data = [struct.pack(stamp, at) + rest for at, rest in packets]
    size = struct.calcsize(stamp) + 52
    extended = b"".join(waves + labels)
    header = struct.pack(
        "<8sBBHIIII",
        b"BREVENTS" if version[0] >= 3 else b"NEURALEV",
        *version,
        1,
        336 + len(extended),
        size,
        resolution,
        30_000,
    )
    header += DAY + struct.pack("<32s256sI", b"Central", b"", len(waves + labels))
    path.write_bytes(header + extended + b"".join(data))


def write_nsx(
    path: Path,
    blocks: Sequence[tuple[int, np.ndarray]],
    channels: dict[int, str],
    period: int = 30,
    *,
    ptp: bool = False,
) -> None:
    """An NSx file of blocks (stamp in ticks and i2[n, channels]), ±5000 mV over ±32764.

    Args:
        path: of the file.
        blocks: of a PTP file the stamp, in ns, of its first sample; the others follow at the period.
        channels: label of each, by its id.
        period: of samples, in 1/30,000 s.
        ptp: whether each sample has its own stamp.
    """
    described = b"".join(
        struct.pack(
            "<2sH16sBBhhhh16s20s", b"CC", e, name.encode(), 1, 1, -32764, 32764, -5000, 5000, b"mV", b""
        )
        for e, name in channels.items()
    )
    header = struct.pack(
        "<8sBBI16s256sII",
        b"BRSMPGRP" if ptp else b"NEURALCD",
        *((3, 0) if ptp else (2, 3)),
        314 + len(described),
        b"1 kS/s",
        b"",
        period,
        10**9 if ptp else 30_000,
    )
    header += DAY + struct.pack("<I", len(channels))
    data = b""
    for at, samples in blocks:
        if ptp:
            step = period * 10**9 / 30_000
            data += b"".join(
                struct.pack("<BQI", 0, at + round(i * step), 1) + row.astype("<i2").tobytes()
                for i, row in enumerate(samples)
            )
        else:
            data += struct.pack("<BII", 1, at, len(samples)) + samples.astype("<i2").tobytes()
    path.write_bytes(header + described + data)
