"""Write small .plx files by Plexon's published layout (Plexon.h)."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np


def block(kind: int, ticks: int, channel: int, unit: int = 0, samples: Sequence[int] = ()) -> bytes:
    """A block: 1 for a spike with its waveform, 4 for an event, 5 for samples."""
    data = np.array(samples, "<i2").tobytes()
    return (
        struct.pack(
            "<HHIHHHH", kind, ticks >> 32, ticks & 0xFFFFFFFF, channel, unit, int(bool(data)), len(samples)
        )
        + data
    )


def write_plx(
    path: Path,
    blocks: Sequence[bytes],
    channels: int,
    events: dict[int, str],
    slow: dict[int, tuple[str, int]],
) -> None:
    """A .plx file of version 106 with 40,000 ticks a second and gains of 1: 2.5 V are 2,048 steps.

    Args:
        path: of the file.
        blocks: as of `block`.
        channels: for spikes, sig001 and so on.
        events: name of each channel of events.
        slow: name and rate of each analog channel.
    """
    n = (channels, len(events), len(slow))
    header = struct.pack("<4si128s", b"PLEX", 106, b"")
    header += struct.pack("<14i", 40_000, *n, 32, 8, 2026, 11, 30, 9, 0, 0, 0, 40_000)
    header += struct.pack("<d4B3H46s", 0.0, 1, 1, 12, 12, 3000, 2500, 1, b"") + bytes(4 * (650 + 650 + 512))
    spikes = b"".join(
        struct.pack("<32s32si952s", b"sig%03d" % c, b"", c, b"") for c in range(1, channels + 1)
    )
    named = b"".join(struct.pack("<32si260s", name.encode(), c, b"") for c, name in events.items())
    signals = b"".join(
        struct.pack("<32s5i244s", name.encode(), c, rate, 1, 1, 1, b"") for c, (name, rate) in slow.items()
    )
    path.write_bytes(header + spikes + named + signals + b"".join(blocks))
