"""Read NeuroExplorer .nex and .nex5: a variable for each unit, event, interval and signal."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from rtdecode.tools.files.recording import (
    F8,
    MarkerList,
    Recording,
    Rows,
    Series,
    SpikeTimes,
    TrialTable,
    UnitTable,
)
from rtdecode.tools.files.tables.labels import unit_number
from rtdecode.tools.files.tables.names import Column, grouped
from rtdecode.tools.files.vendor.binary import broken, first_bytes, records, text
from rtdecode.tools.files.vendor.inputs import RAW_HZ, is_input, why_voltage

NEX, NEX5 = b"NEX1", b"NEX5"
HEADERS = {
    NEX: np.dtype(
        [
            ("id", "S4"),
            ("version", "<i4"),
            ("comment", "S256"),
            ("per_second", "<f8"),
            ("extent", "<i4", 2),
            ("n", "<i4"),
            ("rest", "V260"),
        ]
    ),
    NEX5: np.dtype(
        [
            ("id", "S4"),
            ("version", "<i4"),
            ("comment", "S256"),
            ("per_second", "<f8"),
            ("start", "<i8"),
            ("n", "<i4"),
            ("meta", "<u8"),
            ("end", "<i8"),
            ("rest", "V56"),
        ]
    ),
}
VARIABLES = {
    NEX: np.dtype(
        [
            ("type", "<i4"), ("version", "<i4"), ("name", "S64"), ("at", "<u4"), ("n", "<i4"),
            ("site", "<i4", 4), ("position", "<f8", 2), ("rate", "<f8"), ("gain", "<f8"), ("points", "<i4"),
            ("fields", "<i4"), ("length", "<i4"), ("offset", "<f8"), ("before", "<f8"), ("rest", "V52"),
        ]
    ),
    NEX5: np.dtype(
        [
            ("type", "<i4"), ("version", "<i4"), ("name", "S64"), ("at", "<u8"), ("n", "<u8"),
            ("wide", "<i4"), ("float", "<i4"), ("rate", "<f8"), ("unit", "S32"), ("gain", "<f8"),
            ("offset", "<f8"), ("points", "<u8"), ("before", "<f8"), ("numbers", "<i4"), ("fields", "<i4"),
            ("length", "<i4"), ("wide_index", "<i4"), ("rest", "V60"),
        ]
    ),
}  # fmt: skip
NEURON, EVENT, INTERVAL, WAVEFORM, SIGNAL, MARKER = 0, 1, 2, 3, 5, 6
#: The interval that NeuroExplorer adds to every file.
WHOLE = "AllFile"

_UNIT = re.compile(r"^(.*\d)_?([a-zA-Z])$")


def is_nex(path: Path) -> bool:
    """Whether a file is .nex or .nex5, by its first bytes."""
    return first_bytes(path, 4) in HEADERS


def open_nex(path: Path) -> Recording:
    """What a NeuroExplorer file holds.

    Raises:
        RtdecodeError: it is damaged.
    """
    with path.open("rb") as file:
        kind = first_bytes(path, 4)
        header = records(path, file, HEADERS[kind], 1)[0]
        if not header["per_second"] > 0 or not 0 <= header["n"] < 1_000_000:
            raise broken(path, f"its header announces {header['n']} variables")
        variables = [
            _Variable(path, float(header["per_second"]), each)
            for each in records(path, file, VARIABLES[kind], int(header["n"]))
        ]
    neurons = [each for each in variables if each.type == NEURON]
    waves = [each for each in variables if each.type == WAVEFORM]
    # The waveforms of a unit repeat its spikes under a name of their own.
    repeated = {
        each.name for each in waves if each.name.removesuffix("_wf") in {unit.name for unit in neurons}
    }
    units = [*neurons, *(each for each in waves if each.name not in repeated)]
    intervals = [each for each in variables if each.type == INTERVAL]
    signals = [each for each in variables if each.type == SIGNAL and each.points]
    inputs = [each for each in signals if is_input(each.name) and each.rate < RAW_HZ]
    return Recording(
        path,
        f"NeuroExplorer {'NEX5' if kind == NEX5 else 'NEX'} {header['version']}",
        (_spikes(units),) if units else (),
        tuple(_all_series(inputs)),
        tuple(_trials(each) for each in intervals if each.name != WHOLE and each.n),
        tuple(_markers(each) for each in variables if each.type in (EVENT, MARKER) and each.n),
        others=(
            *((name, "its spikes are those of the unit") for name in sorted(repeated)),
            *((each.name, why_voltage(1, each.rate)) for each in signals if each not in inputs),
        ),
    )


class _Variable:
    """A variable of the file; its data are read when they are asked for."""

    def __init__(self, path: Path, per_second: float, header: Any) -> None:
        self._path, self._per_second, self._header = path, per_second, header
        self.name = text(header["name"])
        self.type, self.n, self.points = (int(header[each]) for each in ("type", "n", "points"))
        self.rate = float(header["rate"])
        self._new = "wide" in header.dtype.names
        self._stamp = np.dtype("<i8" if self._new and header["wide"] else "<i4")

    @property
    def clock(self) -> tuple[float, int, int]:
        """Equal for signals that were sampled together: rate, samples and stretches."""
        return self.rate, self.points, self.n

    @property
    def unit(self) -> str:
        return text(self._header["unit"]) if self._new else "mV"

    def time(self, part: int = 0) -> F8:
        """f8[n], the stamps, or the second part of as many: the stops of intervals."""
        with self._path.open("rb") as file:
            return self._times(file, part)

    def _times(self, file: BinaryIO, part: int = 0) -> F8:
        self._seek(file, part)
        return self._read(file, self._stamp, self.n).astype(np.float64) / self._per_second

    def samples(self) -> tuple[F8, F8]:
        """Seconds f8[points] and values f8[points, 1] of all stretches."""
        index = np.dtype("<u8" if self._new and self._header["wide_index"] else "<u4")
        value = np.dtype("<f4" if self._new and self._header["float"] else "<i2")
        with self._path.open("rb") as file:
            starts = self._times(file)
            first = self._read(file, index, self.n).astype(np.int64)
            values = self._read(file, value, self.points).astype(np.float64)
        if not self.n or self.rate <= 0 or first[0] or np.any(np.diff(first) < 0) or first[-1] > self.points:
            raise broken(self._path, f"the stretches of {self.name} do not fit its {self.points} samples")
        lengths = np.diff(first, append=self.points)
        within = np.arange(self.points) - np.repeat(first, lengths)
        scaled = values if value.kind == "f" else values * float(self._header["gain"])
        offset = 0.0 if value.kind == "f" else float(self._header["offset"])
        return np.repeat(starts, lengths) + within / self.rate, (scaled + offset)[:, np.newaxis]

    def texts(self) -> tuple[str, ...]:
        """The text of each event: the fields of a marker, or the variable's name."""
        if self.type == EVENT:
            return (self.name,) * self.n
        n_fields, length = int(self._header["fields"]), int(self._header["length"])
        numbers = self._new and self._header["numbers"]
        kind = np.dtype("<u4") if numbers else np.dtype(f"S{max(1, length)}")
        fields = []
        with self._path.open("rb") as file:
            self._seek(file, 1)
            for _ in range(n_fields):
                self._read(file, np.dtype("S64"), 1)
                values = self._read(file, kind, self.n).tolist()
                fields.append([str(each) if numbers else text(each) for each in values])
        return tuple(" ".join(each) for each in zip(*fields, strict=True)) or (self.name,) * self.n

    def _seek(self, file: BinaryIO, part: int) -> None:
        """Go to the stamps, or behind so many parts of as many stamps."""
        at = int(self._header["at"]) + part * self.n * self._stamp.itemsize
        if not 0 <= at <= self._path.stat().st_size:
            raise broken(self._path, f"{self.name} is announced at byte {at}, behind the end")
        file.seek(at)

    def _read(self, file: BinaryIO, dtype: np.dtype[Any], n: int) -> NDArray[Any]:
        if n < 0 or n * dtype.itemsize > self._path.stat().st_size:
            raise broken(self._path, f"{self.name} announces {n} values, more than the file holds")
        return records(self._path, file, dtype, n)


def _spikes(units: Sequence[_Variable]) -> SpikeTimes:
    names = tuple(each.name for each in units)
    parts = [_UNIT.match(each.removesuffix("_wf")) for each in names]
    # Plexon calls the unsorted spikes of sig001 sig001i, Offline Sorter those of SPK01 SPK01U.
    numbers = [0 if part[2] in "iU" else unit_number(part[2]) or 0 for part in parts if part]
    known = len(numbers) == len(names)
    electrodes = tuple(part[1] if part and known else "" for part in parts)
    ids = names if len(set(names)) == len(names) else tuple(f"{i} {name}" for i, name in enumerate(names))

    def read(rows: Rows) -> tuple[F8, NDArray[np.uint32]]:
        times = [units[row].time() for row in rows]
        row_of = np.repeat(np.asarray(rows, np.uint32), [len(each) for each in times])
        return np.concatenate([np.zeros(0), *times]), row_of

    table = UnitTable(ids, electrodes, np.array(numbers, np.int64) if known else None)
    return SpikeTimes("spikes", table, sum(each.n for each in units), read)


def _all_series(inputs: Sequence[_Variable]) -> list[Series]:
    """joy_x and joy_y of one clock are columns of joy; any other signal is a series of its own."""
    found: dict[tuple[str, tuple[float, int, int]], list[tuple[str, _Variable]]] = {}
    columns = [Column(i, each.name) for i, each in enumerate(inputs)]
    for group, members in grouped(columns, "").items():
        for column in members:
            each = inputs[column.index]
            found.setdefault((group or each.name, each.clock), []).append((column.name, each))
    return [_series(name, columns) for (name, _), columns in found.items()]


def _series(name: str, columns: Sequence[tuple[str, _Variable]]) -> Series:
    signals = [signal for _, signal in columns]
    first = signals[0]

    def read() -> tuple[F8, F8]:
        samples = [each.samples() for each in signals]
        return samples[0][0], np.concatenate([values for _, values in samples], axis=1)

    names, units = tuple(column for column, _ in columns), tuple(each.unit for each in signals)
    return Series(name, names, units, first.points, first.rate or None, "behavior", read)


def _trials(interval: _Variable) -> TrialTable:
    return TrialTable(interval.name, interval.time(), interval.time(1))


def _markers(events: _Variable) -> MarkerList:
    return MarkerList(events.name, events.time(), events.texts())
