"""Behaviour, features, trials and markers among the arrays of an NPZ file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtdecode.tools.files.recording import F8, MarkerList, Series, TrialTable
from rtdecode.tools.files.tables import names
from rtdecode.tools.files.tables.arrays import Arrays
from rtdecode.tools.files.tables.names import Column
from rtdecode.tools.files.tables.rates import rate_of

CLOCKS = ("time", "times", "timestamps", "t", "t_bin")
TRIAL_STARTS = ("trials_start", "trial_starts", *sorted(names.STARTS))
TRIAL_STOPS = ("trials_stop", "trial_stops", *sorted(names.STOPS))
ROLES = {"features": "signal", "decoded": "other"}

Reader = Callable[[], NDArray[Any]]


def trials(arrays: Arrays) -> tuple[TrialTable, ...]:
    """The table of trials: a start and a stop for each, and further arrays whose names begin with trials_."""
    start, stop = arrays.times(TRIAL_STARTS), arrays.times(TRIAL_STOPS)
    if start is None or stop is None or len(start[1]) != len(stop[1]):
        return ()
    arrays.drop(start[0], stop[0])
    columns = {}
    for key in arrays.keys:
        prefix, _, name = key.partition("_")
        if prefix in ("trial", "trials") and key in arrays and arrays.shape(key)[:1] == start[1].shape:
            columns[name] = arrays.read(key)
            arrays.drop(key)
    return (TrialTable("trials", start[1], stop[1], columns),)


def markers(arrays: Arrays) -> tuple[MarkerList, ...]:
    """The times and texts of markers."""
    timed = arrays.times(("markers_time", "marker_times", "marker_time", "event_times"))
    if timed is None:
        return ()
    texts = arrays.texts(len(timed[1]), "markers_text", "markers", "marker_texts", "events", "event_labels")
    if texts is None:
        return ()
    arrays.drop(timed[0])
    return (MarkerList("markers", timed[1], texts),)


def all_series(arrays: Arrays, counts_time: F8 | None) -> tuple[Series, ...]:
    """Every array of numbers that has a time for each row; 1-D arrays of one clock are columns of one series.

    Args:
        arrays: those that are left.
        counts_time: stamps of the counts, for arrays of as many rows that have no times of their own.
    """
    found: list[Series] = []
    taken: list[str] = []
    columns: dict[str, tuple[F8, list[str]]] = {}
    for key in arrays.keys:
        if key not in arrays or not arrays.is_numbers(key) or key.rsplit("_", 1)[-1] in CLOCKS:
            continue
        clock = _clock(arrays, key, counts_time)
        if clock is None:
            continue
        taken += [key, clock[0]]
        if len(arrays.shape(key)) == 1:
            columns.setdefault(clock[0], (clock[1], []))[1].append(key)
        else:
            found.append(_table(arrays, key, clock, len(clock[1])))
    for clock_key, (time, keys) in columns.items():
        named = [names.column(i, arrays.name(key).rsplit("/", 1)[-1]) for i, key in enumerate(keys)]
        alone = clock_key.rpartition("_")[0].removesuffix("_t") or "behavior"
        alone = f"{alone}_columns" if any(series.name == alone for series in found) else alone
        for group, members in names.grouped(named, alone).items():
            readers = [arrays.reader(keys[each.index]) for each in members]
            found.append(_of_columns(group, members, readers, time, clock_key))
    for key in taken:
        arrays.drop(key)
    return tuple(found)


def _clock(arrays: Arrays, key: str, counts_time: F8 | None) -> tuple[str, F8] | None:
    """Name and values of the times that go with an array."""
    parts = key.split("_")
    for n in range(len(parts), -1, -1):
        prefix = "".join(f"{part}_" for part in parts[:n])
        timed = arrays.times([prefix + clock for clock in CLOCKS])
        if timed is not None and len(timed[1]) in arrays.shape(key):
            return timed
    if counts_time is not None and len(counts_time) in arrays.shape(key):
        return "counts_time", counts_time
    return None


def _table(arrays: Arrays, key: str, clock: tuple[str, F8], n_samples: int) -> Series:
    """A 2-D array, of a row or else a column for each sample."""
    transposed = arrays.shape(key)[0] != n_samples
    n = arrays.shape(key)[0 if transposed else 1]
    columns = arrays.texts(n, f"{key}_names", f"{key}_columns") or (
        ("x", "y", "z")[:n] if 2 <= n <= 3 else tuple(f"{key}{i}" for i in range(n))
    )
    units = arrays.texts(n, f"{key}_units") or ("",) * n
    reader, time = arrays.reader(key), clock[1]

    def read() -> tuple[F8, F8]:
        values = reader()
        return time, (values.T if transposed else values).astype(np.float64)

    role = ROLES.get(key.split("_")[0], "behavior")
    name = arrays.name(key).removesuffix("/values")
    kinds = arrays.texts(n, f"{key}_kinds") or ()
    stamps = "end" if kinds else ""
    return Series(name, columns, units, n_samples, rate_of(time), role, read, "", clock[0], kinds, stamps)


def _of_columns(
    name: str, members: Sequence[Column], readers: Sequence[Reader], time: F8, clock: str
) -> Series:
    role = ROLES.get(name.split("_")[0], "other" if members[0].key in names.BESIDE else "behavior")
    return Series(
        name,
        tuple(each.name for each in members),
        tuple(each.unit for each in members),
        len(time),
        rate_of(time),
        role,
        lambda: (time, np.stack([reader() for reader in readers], axis=1).astype(np.float64)),
        clock=clock,
    )
