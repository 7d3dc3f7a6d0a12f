"""Read NEV: a packet of fixed length for each spike, digital input and comment."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtdecode.tools.files.recording import F8
from rtdecode.tools.files.vendor.binary import broken, date, records, text
from rtdecode.tools.files.vendor.runs import RESET_S, Stretch

IDS = (b"NEURALEV", b"BREVENTS")
HEADER = np.dtype(
    [
        ("id", "S8"), ("major", "u1"), ("minor", "u1"), ("flags", "<u2"), ("header_bytes", "<u4"),
        ("packet_bytes", "<u4"), ("resolution", "<u4"), ("sample_resolution", "<u4"), ("date", "<u2", 8),
        ("application", "S32"), ("comment", "S256"), ("n_extended", "<u4"),
    ]
)  # fmt: skip
EXTENDED = np.dtype([("id", "S8"), ("electrode", "<u2"), ("text", "S16"), ("rest", "S6")])
SPIKE = np.dtype([("time", "f8"), ("id", "u2"), ("unit", "u1"), ("run", "u2")])
PIECE_BYTES = 1 << 24

DIGITAL, COMMENT = 0, 0xFFFF
LAST_ELECTRODE = 10_240
SERIAL = 0x80
UTF16 = 1

Marked = tuple[str, float, str, int]


@dataclass(frozen=True)
class Events:
    """The packets of a NEV file, in its order.

    Attributes:
        version: such as "2.3".
        labels: of each electrode that the file names, by its id; "" where it has none.
        time: f8[n], of each spike, seconds of the file's clock.
        electrode: u2[n], id of its electrode.
        unit: u1[n], 0 for unsorted, 255 for noise.
        run: u2[n], the run of the clock that it belongs to, from 0.
        marked: each event: name of its list ("digital", "serial", "comments"), seconds, text and run.
        stretches: of the spikes and events, one a run.
        attrs: as of `Recording`.
        notes: likewise.
    """

    version: str
    labels: dict[int, str]
    time: F8
    electrode: NDArray[np.uint16]
    unit: NDArray[np.uint8]
    run: NDArray[np.uint16]
    marked: list[Marked]
    stretches: list[Stretch]
    attrs: dict[str, str]
    notes: tuple[str, ...]


def read_nev(path: Path) -> Events:
    """All spikes, without their waveforms, and all events of a file.

    Raises:
        RtdecodeError: it is damaged.
    """
    with path.open("rb") as file:
        header = records(path, file, HEADER, 1)[0]
        extended = records(path, file, EXTENDED, min(int(header["n_extended"]), 100_000))
        size, start = int(header["packet_bytes"]), int(header["header_bytes"])
        packet = _packet(int(header["major"]), size)
        if packet is None or start < HEADER.itemsize or not header["resolution"]:
            raise broken(path, f"its header announces packets of {size} bytes after {start}")
        file.seek(start)
        per_second = float(header["resolution"])
        # The hour of a large array has more spikes than may be held twice.
        found, n_spikes = np.empty(max(0, path.stat().st_size - start) // size, SPIKE), 0
        marked: list[Marked] = []
        clock, rest = _Clock(per_second), 0
        while data := file.read(PIECE_BYTES // size * size):
            n, rest = divmod(len(data), size)
            packets = np.frombuffer(data, packet, n)
            packets = packets[(packets["id"] <= LAST_ELECTRODE) | (packets["id"] == COMMENT)]
            time, run = clock.read(packets["time"])
            spikes = np.flatnonzero((packets["id"] != DIGITAL) & (packets["id"] != COMMENT))
            here = found[n_spikes : n_spikes + len(spikes)]
            here["time"], here["run"] = time[spikes], run[spikes]
            here["id"], here["unit"] = packets["id"][spikes], packets["unit"][spikes]
            n_spikes += len(spikes)
            marked += _marked(packets, time, run)
    found = found[:n_spikes]
    return Events(
        f"{header['major']}.{header['minor']}",
        _labels(extended),
        found["time"],
        found["id"],
        found["unit"],
        found["run"],
        marked,
        [Stretch(start, stop, run) for run, (start, stop) in sorted(clock.extent.items())],
        date(header["date"]),
        (f"{path.name}: ends within a packet, of which {rest} bytes are left out",) if rest else (),
    )


def _packet(major: int, size: int) -> np.dtype[Any] | None:
    """The parts of a packet that are read; None where it is too short for them."""
    wide = 4 if major >= 3 else 0
    if size < 16 + wide or size > PIECE_BYTES:
        return None
    formats = ["<u8" if wide else "<u4", "<u2", "u1", "u1", "<u2", f"S{size - 12 - wide}"]
    offsets = [0, *(each + wide for each in (4, 6, 7, 8, 12))]
    names = ["time", "id", "unit", "second", "value", "comment"]
    described: Any = {"names": names, "formats": formats, "offsets": offsets, "itemsize": size}
    packet: np.dtype[Any] = np.dtype(described)
    return packet


class _Clock:
    """The seconds and the run of each packet, in the order of the file.

    Attributes:
        extent: first and last second of each run.
    """

    def __init__(self, per_second: float) -> None:
        self._per_second = per_second
        self._last: F8 = np.zeros(0)
        self.extent: dict[int, tuple[float, float]] = {}

    def read(self, ticks: NDArray[Any]) -> tuple[F8, NDArray[np.int64]]:
        time = ticks.astype(np.float64) / self._per_second
        set_back = np.diff(time, prepend=self._last if len(self._last) else time[:1]) < -RESET_S
        run = max(self.extent, default=0) + np.cumsum(set_back)
        for each in np.unique(run).tolist():
            here = time[run == each]
            start, stop = self.extent.get(each, (np.inf, -np.inf))
            self.extent[each] = (min(start, float(here.min())), max(stop, float(here.max())))
        self._last = time[-1:] if len(time) else self._last
        return time, run


def _marked(packets: NDArray[Any], time: F8, run: NDArray[np.int64]) -> list[Marked]:
    """Digital inputs (the port's value) and comments."""
    found = []
    for i in np.flatnonzero((packets["id"] == DIGITAL) & (packets["unit"] & 1 > 0)):
        name = "serial" if packets["unit"][i] & SERIAL else "digital"
        found.append((name, float(time[i]), str(packets["value"][i]), int(run[i])))
    for i in np.flatnonzero(packets["id"] == COMMENT):
        # NumPy ends a text where only zeros follow: in UTF-16 also the half of its last letter.
        said = bytes(packets["comment"][i])
        wide = said + b"\0" * (len(said) % 2)
        read = wide.decode("utf-16-le", "replace") if packets["unit"][i] == UTF16 else said.decode("latin-1")
        found.append(("comments", float(time[i]), read.split("\0", 1)[0].strip(), int(run[i])))
    return found


def _labels(extended: NDArray[Any]) -> dict[int, str]:
    extended = extended[extended["electrode"] <= LAST_ELECTRODE]
    labels = {int(each["electrode"]): "" for each in extended if each["id"] == b"NEUEVWAV"}
    labels |= {int(each["electrode"]): text(each["text"]) for each in extended if each["id"] == b"NEUEVLBL"}
    return labels
