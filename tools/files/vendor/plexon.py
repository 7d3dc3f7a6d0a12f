"""Read Plexon .plx: a block for each spike, event, and stretch of an analog signal."""

from __future__ import annotations

import struct
from array import array
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtdecode.errors import RtdecodeError
from rtdecode.tools.files.recording import F8, MarkerList, Recording, Series, SpikeTimes, UnitTable
from rtdecode.tools.files.tables.labels import spikes_of
from rtdecode.tools.files.vendor.binary import broken, first_bytes, records, text
from rtdecode.tools.files.vendor.inputs import RAW_HZ, is_input, why_voltage

MAGIC, MAGIC_PL2 = b"PLEX", b"PL2"
HEADER = np.dtype(
    [
        ("id", "S4"), ("version", "<i4"), ("comment", "S128"), ("per_second", "<i4"), ("n", "<i4", 3),
        ("wave", "<i4", 2), ("date", "<i4", 6), ("fast", "<i4", 2), ("last", "<f8"), ("trodes", "u1", 2),
        ("bits", "u1", 2), ("most_mv", "<u2", 2), ("preamp", "<u2"), ("rest", "V7294"),
    ]
)  # fmt: skip
SPIKES = np.dtype(
    {"names": ["name", "channel"], "formats": ["S32", "<i4"], "offsets": [0, 64], "itemsize": 1020}
)
EVENTS = np.dtype([("name", "S32"), ("channel", "<i4"), ("rest", "V260")])
SLOW = np.dtype(
    [
        ("name", "S32"), ("channel", "<i4"), ("rate", "<i4"), ("gain", "<i4"), ("enabled", "<i4"),
        ("preamp", "<i4"), ("rest", "V244"),
    ]
)  # fmt: skip
BLOCK = struct.Struct("<HHIHHHH")
SPIKE, EVENT, SAMPLES = 1, 4, 5
STROBED, START, STOP, PAUSE, RESUME = 257, 258, 259, 260, 261
PIECE_BYTES = 1 << 24
MOST_CHANNELS = 100_000


@dataclass
class _Blocks:
    """Where everything is: ticks, channel and unit of each spike; ticks and word of the events of each
    channel; ticks, place and number of samples of the blocks of each analog channel."""

    ticks: array[int] = field(default_factory=lambda: array("Q"))
    channel: array[int] = field(default_factory=lambda: array("H"))
    unit: array[int] = field(default_factory=lambda: array("H"))
    events: dict[int, list[tuple[int, int]]] = field(default_factory=dict)
    samples: dict[int, array[int]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def take(self, header: tuple[int, ...], at: int) -> bool:
        """Take a block by its header, whose data begin at `at`; False for one of an unknown kind."""
        kind, upper, lower, channel, unit, n_waves, n_words = header
        ticks = upper << 32 | lower
        if kind == SPIKE:
            self.ticks.append(ticks)
            self.channel.append(channel)
            self.unit.append(unit)
        elif kind == EVENT:
            self.events.setdefault(channel, []).append((ticks, unit))
        elif kind == SAMPLES:
            self.samples.setdefault(channel, array("Q")).extend((ticks, at, n_waves * n_words))
        else:
            return False
        return True


def is_plexon(path: Path) -> bool:
    """Whether a file is .plx or .pl2."""
    return first_bytes(path, 4) == MAGIC or (path.suffix.lower() == ".pl2" and path.is_file())


def open_plexon(path: Path) -> Recording:
    """What a .plx file holds.

    Raises:
        RtdecodeError: it is damaged, or .pl2.
    """
    if first_bytes(path, 4) != MAGIC:
        raise RtdecodeError(
            "is a Plexon .pl2 file, which only Plexon's own library for Windows reads",
            where=str(path),
            fix="save it as .plx or .nex in PlexUtil or Offline Sorter",
        )
    with path.open("rb") as file:
        header = records(path, file, HEADER, 1)[0]
        counts = [int(each) for each in header["n"]]
        if not all(0 <= n <= MOST_CHANNELS for n in counts) or header["per_second"] <= 0:
            raise broken(path, f"its header announces {counts} channels")
        spikes, events, slow = (
            records(path, file, d, n) for d, n in zip((SPIKES, EVENTS, SLOW), counts, strict=True)
        )
        start = file.tell()
    blocks = _walk(path, start)
    per_second = float(header["per_second"])
    names = {int(each["channel"]): text(each["name"]) for each in events}
    year, month, day = (int(each) for each in header["date"][:3])
    signals = _Signals(path, header, slow, blocks)
    return Recording(
        path,
        f"Plexon PLX {header['version']}",
        (_spikes(blocks, {int(each["channel"]): text(each["name"]) for each in spikes}, per_second),),
        tuple(signals.series()),
        markers=tuple(
            _markers(names.get(channel, str(channel)), channel, found, per_second)
            for channel, found in sorted(blocks.events.items())
        ),
        observed=_observed(blocks, per_second),
        attrs={"date": f"{year:04}-{month:02}-{day:02}"} if year > 1990 else {},
        notes=tuple(blocks.notes),
        others=tuple(signals.others()),
    )


def _walk(path: Path, at: int) -> _Blocks:
    blocks, size = _Blocks(), path.stat().st_size
    with path.open("rb") as file:
        while at < size:
            file.seek(at)
            piece = file.read(PIECE_BYTES)
            here = 0
            while here + BLOCK.size <= len(piece):
                header = BLOCK.unpack_from(piece, here)
                end = here + BLOCK.size + 2 * header[5] * header[6]
                if at + end > size:
                    break
                if not blocks.take(header, at + here + BLOCK.size):
                    raise broken(path, f"there is no block of data at byte {at + here}")
                here = end
            if not here:
                blocks.notes.append(
                    f"{path.name}: ends within a block, of which {size - at} bytes are left out"
                )
                break
            at += here
    return blocks


def _spikes(blocks: _Blocks, names: dict[int, str], per_second: float) -> SpikeTimes:
    """A row for each unit of each channel, and one for each channel without a spike."""
    key = np.array(blocks.channel, np.int64) << 16 | np.array(blocks.unit, np.int64)
    silent = sorted(names.keys() - set(blocks.channel))
    every = np.unique(np.concatenate((key, np.array(silent, np.int64) << 16)))
    channels, numbers = every >> 16, every & 0xFFFF
    unique = len(set(names.values())) == len(names)
    labels = tuple((unique and names.get(each)) or str(each) for each in channels.tolist())
    ids = tuple(f"{label}/{number}" for label, number in zip(labels, numbers.tolist(), strict=True))
    time = np.array(blocks.ticks, np.float64) / per_second
    return spikes_of(
        "spikes", UnitTable(ids, labels, numbers), time, np.searchsorted(every, key).astype(np.uint32)
    )


def _markers(name: str, channel: int, found: list[tuple[int, int]], per_second: float) -> MarkerList:
    """Strobed words are their number; other events have but their channel's name."""
    texts = tuple(str(word) if channel == STROBED else name for _, word in found)
    return MarkerList(name, np.array([ticks for ticks, _ in found], np.float64) / per_second, texts)


def _observed(blocks: _Blocks, per_second: float) -> F8 | None:
    """Intervals between the pauses of the recorder."""
    at = {channel: [ticks / per_second for ticks, _ in found] for channel, found in blocks.events.items()}
    starts, stops = (sorted(at.get(a, []) + at.get(b, [])) for a, b in ((START, RESUME), (PAUSE, STOP)))
    if (
        not at.get(PAUSE)
        or len(starts) != len(stops)
        or any(a > b for a, b in zip(starts, stops, strict=True))
    ):
        return None
    return np.stack((starts, stops), axis=1)


@dataclass(frozen=True)
class _Signals:
    path: Path
    header: Any
    slow: NDArray[Any]
    blocks: _Blocks

    def series(self) -> list[Series]:
        """Inputs beside the electrodes; those that were sampled together are one series."""
        groups: dict[tuple[float, bytes], list[Any]] = {}
        for each in self._with_samples():
            if is_input(text(each["name"])) and each["rate"] < RAW_HZ:
                ticks, n = self._table(each)[:, 0], self._table(each)[:, 2]
                groups.setdefault((float(each["rate"]), np.stack((ticks, n)).tobytes()), []).append(each)
        return [self._series(members) for members in groups.values()]

    def others(self) -> list[tuple[str, str]]:
        """Voltage of the electrodes."""
        rates: dict[float, list[str]] = {}
        for each in self._with_samples():
            if not is_input(text(each["name"])) or each["rate"] >= RAW_HZ:
                rates.setdefault(float(each["rate"]), []).append(text(each["name"]))
        return [(f"{names[0]} …", why_voltage(len(names), rate)) for rate, names in rates.items()]

    def _with_samples(self) -> list[Any]:
        return [
            each for each in self.slow if int(each["channel"]) in self.blocks.samples and each["rate"] > 0
        ]

    def _table(self, channel: Any) -> NDArray[np.uint64]:
        return np.array(self.blocks.samples[int(channel["channel"])], np.uint64).reshape(-1, 3)

    def _series(self, members: list[Any]) -> Series:
        names, rate = tuple(text(each["name"]) for each in members), float(members[0]["rate"])
        table = self._table(members[0])

        def read() -> tuple[F8, F8]:
            per_second = float(self.header["per_second"])
            times = [np.zeros(0), *(ticks / per_second + np.arange(int(n)) / rate for ticks, _, n in table)]
            return np.concatenate(times), np.stack([self._values(each) for each in members], axis=1)

        return Series(
            names[0] if len(names) == 1 else f"{names[0]}-{names[-1]}",
            names,
            ("mV",) * len(names),
            int(table[:, 2].sum()),
            rate,
            "behavior",
            read,
        )

    def _values(self, channel: Any) -> F8:
        pieces = [np.zeros(0, np.int16)]
        with self.path.open("rb") as file:
            for _, at, n in self._table(channel).tolist():
                file.seek(at)
                pieces.append(np.frombuffer(file.read(2 * n), "<i2"))
        return np.concatenate(pieces).astype(np.float64) * self._gain(channel)

    def _gain(self, channel: Any) -> float:
        """mV of one step of the converter, by the version of the file."""
        version, gain = int(self.header["version"]), float(channel["gain"]) or 1.0
        preamp = float(channel["preamp"]) or 1.0
        if version < 103:
            return 5000.0 / (2048 * gain * (1000.0 if version < 102 else preamp))
        return float(self.header["most_mv"][1]) / (0.5 * 2.0 ** int(self.header["bits"][1]) * gain * preamp)
