"""What a table in text holds, by the names of its columns: spikes, counts, behaviour, trials or markers."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from rtdecode.errors import RtdecodeError
from rtdecode.tools.files.recording import (
    F8,
    BinnedSpikes,
    MarkerList,
    Recording,
    Rows,
    Series,
    SpikeTimes,
    TrialTable,
    UnitTable,
)
from rtdecode.tools.files.tables import names
from rtdecode.tools.files.tables.labels import Labels, tidy
from rtdecode.tools.files.tables.names import Column
from rtdecode.tools.files.tables.own import Stated, stated_of
from rtdecode.tools.files.tables.rates import rate_of
from rtdecode.tools.files.tables.text import TextTable, read_header

PIECE_ROWS = 100_000
ROLES = {"features": "signal", "decoded": "other"}


@dataclass
class _File:
    table: TextTable
    columns: list[Column]
    stated: Stated
    notes: list[str] = field(default_factory=list)
    others: list[tuple[str, str]] = field(default_factory=list)

    @property
    def where(self) -> str:
        return str(self.table.path)

    @property
    def stem(self) -> str:
        return self.table.path.stem

    def times(self, named: set[str]) -> tuple[Column, F8] | None:
        """A column of times, in seconds, by its name."""
        found = names.time_column(self.columns, named, self.where)
        if found is None:
            return None
        column, per_second = found
        if per_second != 1:
            self.notes.append(
                f"{self.table.path.name}: the header {self.table.names[column.index].strip()!r} gives a unit "
                "of time, so the column is converted to seconds"
            )
        return column, self.table.numbers([column.index])[:, 0] / per_second

    def without(self, *columns: Column | None) -> list[Column]:
        """The named columns of numbers beside some."""
        rest = []
        for each in self.columns:
            if each in columns:
                continue
            if self.table.is_text(each.index):
                self.others.append((each.name, "it holds text"))
            else:
                rest.append(each)
        return rest


def csv_recording(path: Path) -> Recording:
    """What a table holds.

    Raises:
        RtdecodeError: it is no table, or has neither times nor a column for each channel.
    """
    table = read_header(path)
    columns = [names.column(i, name) for i, name in enumerate(table.names) if name.strip()]
    file = _File(table, columns, stated_of(table, path))
    kind = file.stated.kind
    if kind == "electrodes":
        return Recording(path, "CSV")  # `open_csv` gives them to the spikes
    starts = file.times(names.STARTS) if kind in (None, "trials", "observed") else None
    stops = file.times(names.STOPS) if starts else None
    timed = file.times(names.TIMES | names.BIN_TIMES.keys())
    by_key = {each.key: each for each in reversed(columns)}
    found: dict[str, Any] = {}
    channel, unit = (
        next((by_key[k] for k in by_key if k in known), None) for known in (names.CHANNELS, names.UNITS)
    )
    if starts and stops and kind == "observed":
        found["observed"] = np.stack((starts[1], stops[1]), axis=1)
    elif starts and stops and not timed:
        found["trials"] = (_trials(file, starts, stops),)
    elif timed is None:
        found["spikes"] = (_raster(file),)
    elif kind in (None, "spikes") and (channel or unit):
        found["spikes"] = (_spikes(file, timed, channel, unit),)
    elif kind in (None, "markers"):
        text = _text_column(file, timed[0], by_key)
        found = _samples(file, timed, kind, text)
        found["markers"] = (_markers(file, timed, text),) if text else ()
    else:
        found = _samples(file, timed, kind)
    return Recording(
        path,
        "CSV",
        **found,
        attrs=file.stated.attrs,
        notes=tuple(file.notes),
        others=tuple(file.others),
    )


def _spikes(file: _File, timed: tuple[Column, F8], channel: Column | None, unit: Column | None) -> SpikeTimes:
    amounts = [each.name for each in file.columns if each.key in names.AMOUNTS]
    if amounts:
        raise RtdecodeError(
            f"has a column {amounts[0]} beside the channels, so that a row is not one spike",
            where=file.where,
            fix="write a row for each bin and a column for each channel, ch1, ch2 and so on",
        )
    labels, numbers, unnamed = Labels(), [], 0
    rows = (cells for _, cells in file.table.rows())
    while piece := list(itertools.islice(rows, PIECE_ROWS)):
        texts = [
            _labels([row[each.index] for row in piece]) if each else [""] * len(piece)
            for each in (channel, unit)
        ]
        pairs = list(zip(*texts, strict=True))
        unnamed += pairs.count(("", ""))
        numbers.append(labels.number(pairs))
    if unnamed:
        file.notes.append(f"{unnamed} spikes name no channel or unit: they are a channel of their own")
    silent = range(file.stated.n_channels)
    number = np.concatenate(numbers or [np.zeros(0, np.uint32)])
    file.others += [
        (each.name, "a further column of the spikes") for each in file.without(timed[0], channel, unit)
    ]
    return labels.spikes(file.stem, timed[1], number, map(str, silent))


def _labels(cells: Sequence[str]) -> list[str]:
    tidied = {cell: tidy(cell) for cell in set(cells)}
    return [tidied[cell] for cell in cells]


def _text_column(file: _File, time: Column, by_key: Mapping[str, Column]) -> Column | None:
    """The column of the texts of markers."""
    named = [by_key[key] for key in by_key if key in names.TEXTS]
    rest = [each for each in file.columns if each != time]
    return named[0] if named else rest[0] if len(rest) == 1 and file.table.is_text(rest[0].index) else None


def _markers(file: _File, timed: tuple[Column, F8], text: Column) -> MarkerList:
    texts = [cells[text.index] for _, cells in file.table.rows()]
    said = [i for i, each in enumerate(texts) if each.strip() or file.stated.kind]
    return MarkerList(file.stem, timed[1][said], tuple(texts[i] for i in said))


def _trials(file: _File, starts: tuple[Column, F8], stops: tuple[Column, F8]) -> TrialTable:
    columns: dict[str, Any] = {}
    rest = [each for each in file.columns if each not in (starts[0], stops[0])]
    for name, members in names.grouped(rest, "").items():
        if name and [each.name for each in members] == ["x", "y"]:
            columns[name] = file.table.numbers([each.index for each in members])
            rest = [each for each in rest if each.index not in {member.index for member in members}]
    rows = list(file.table.rows())
    for each in rest:
        cells = [cells[each.index] for _, cells in rows]
        values = [file.table.number(cell) for cell in cells]
        columns[each.name] = np.array(cells, np.str_) if None in values else np.array(values, np.float64)
    return TrialTable(file.stem, starts[1], stops[1], columns)


def _raster(file: _File) -> BinnedSpikes:
    """Counts without any times."""
    counts = [each for each in file.without() if names.counted(each.name) is not None]
    if not counts:
        some = ", ".join(each.name for each in file.columns[:8])
        raise RtdecodeError(
            f"has no column of times: its columns are {some}" + (" …" if len(file.columns) > 8 else ""),
            where=file.where,
            fix="name the column of seconds time, or those of trials start and stop",
        )
    return _binned(file, counts, None, "row")


def _samples(
    file: _File, timed: tuple[Column, F8], kind: str | None, text: Column | None = None
) -> dict[str, Any]:
    """Counts and behaviour, a row a bin or sample, beside a column of text."""
    column, time = timed
    rest = file.without(column, text)
    counts = [each for each in rest if kind in (None, "counts") and names.counted(each.name) is not None]
    negative = any(
        (file.table.number(row[each.index]) or 0) < 0 for row in file.table.sample for each in counts
    )
    role = ROLES.get(kind or "", "behavior")
    groups = {}
    if kind in ROLES or kind == "behavior":
        groups[file.stem] = rest
    else:
        groups = names.grouped([each for each in rest if each not in counts], file.stem)
        beside = [each for each in groups.get(file.stem, []) if each.key in names.BESIDE]
        groups[file.stem] = [each for each in groups.get(file.stem, []) if each not in beside]
        groups |= {each.name: [each] for each in beside}
    series = [
        _series(
            file,
            name,
            members,
            time,
            "other" if members[0].key in names.BESIDE and len(members) == 1 else role,
        )
        for name, members in groups.items()
        if members
    ]
    if negative:
        series.append(_series(file, f"{file.stem} channels", counts, time, "signal"))
        counts = []
    stamps = names.BIN_TIMES.get(column.key)
    spikes = (_binned(file, counts, time, stamps),) if counts else ()
    return {"spikes": spikes, "series": tuple(series)}


def _series(file: _File, name: str, members: Sequence[Column], time: F8, role: str) -> Series:
    indices = [each.index for each in members]
    return Series(
        name,
        tuple(each.name for each in members),
        tuple(each.unit for each in members),
        len(time),
        rate_of(time),
        role,
        lambda: (time, file.table.numbers(indices)),
        clock=file.stem,
        kinds=file.stated.kinds if len(file.stated.kinds) == len(members) else (),
        stamps="end" if file.stated.kind == "features" else "",
    )


def _binned(file: _File, counts: Sequence[Column], time: F8 | None, stamps: str | None) -> BinnedSpikes:
    first = np.arange(sum(1 for _ in file.table.rows()), dtype=np.float64) if time is None else time
    table = UnitTable(
        tuple(each.name for each in counts), tuple(names.counted(each.name) or "" for each in counts)
    )
    read = partial(_read_counts, file.table, [each.index for each in counts], first)
    units = {each.unit for each in counts}
    rates = units.pop() if len(units) == 1 else ""
    return BinnedSpikes(
        file.stem,
        table,
        len(first),
        file.stated.bin_width_s,
        stamps,
        read,
        units_of_values=rates if rates.lower() in ("hz", "spikes/s") else "",
    )


def _read_counts(table: TextTable, indices: Sequence[int], time: F8, rows: Rows) -> tuple[F8, F8]:
    return time, table.numbers([indices[row] for row in rows])
