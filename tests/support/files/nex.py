"""Write small .nex and .nex5 files by NeuroExplorer's published layout."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

PER_SECOND = 40_000.0


@dataclass(frozen=True)
class Variable:
    """A variable: 0 neuron, 1 event, 2 interval, 3 waveforms, 5 signal, 6 marker.

    Attributes:
        kind, name: of it.
        time: seconds of its stamps; of a signal those of its stretches.
        stop: of intervals.
        texts: of a marker.
        first: of a signal, index of the first sample of each stretch.
        samples: of a signal, of which a step is .5 mV, and of waveforms.
        rate: of a signal.
    """

    kind: int
    name: str
    time: Sequence[float]
    stop: Sequence[float] = ()
    texts: Sequence[str] = ()
    first: Sequence[int] = ()
    samples: Sequence[int] = ()
    rate: float = 0.0

    def data(self, stamp: str) -> bytes:
        """Its data, with stamps of a type."""
        found = (np.array([*self.time, *self.stop]) * PER_SECOND).round().astype(stamp).tobytes()
        if self.texts:
            found += struct.pack("64s", b"DIO") + b"".join(
                struct.pack("8s", each.encode()) for each in self.texts
            )
        return found + np.array(self.first, "<u4").tobytes() + np.array(self.samples, "<i2").tobytes()


def write_nex(path: Path, variables: Sequence[Variable], *, new: bool = False) -> None:
    """A .nex file, or a .nex5 file with stamps of 64 bits."""
    data = [each.data("<i8" if new else "<i4") for each in variables]
    at = (356 + 244 * len(variables)) if new else (544 + 208 * len(variables))
    headers = []
    for each, part in zip(variables, data, strict=True):
        n, gain, points = len(each.time), 0.5, len(each.samples)
        fields = int(bool(each.texts))
        first = (each.kind, 500 if new else 101, each.name.encode(), at, n)
        if new:
            rest = (1, 0, each.rate, b"mV", gain, 0, points, 0, 0, fields, 8, 0, b"")
            headers.append(struct.pack("<ii64sQQiid32sddQdiiii60s", *first, *rest))
        else:
            rest = (*(0,) * 6, each.rate, gain, points, fields, 8, 0, 0, b"")
            headers.append(struct.pack("<ii64sIi4i2dddiiidd52s", *first, *rest))
        at += len(part)
    if new:
        head = struct.pack("<4si256sdqiQq56s", b"NEX5", 501, b"", PER_SECOND, 0, len(data), 0, 0, b"")
    else:
        head = struct.pack("<4si256sdiii260s", b"NEX1", 106, b"", PER_SECOND, 0, 0, len(data), b"")
    path.write_bytes(head + b"".join(headers) + b"".join(data))
