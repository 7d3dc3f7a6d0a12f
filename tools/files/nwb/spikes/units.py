"""Tables of units: who they are, when they were observed, and their spikes, read a stretch at a time."""

from __future__ import annotations

from collections import Counter
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from rtdecode.errors import RtdecodeError
from rtdecode.tools.files.nwb.access import Place, number, opened
from rtdecode.tools.files.nwb.electrodes import electrodes_of
from rtdecode.tools.files.nwb.tables import column_of, ends, index_of, n_rows, plain_columns
from rtdecode.tools.files.recording import F8, Rows, SpikeTimes, UnitTable

#: Columns that are read as something else than by name, or never.
_OWN = (
    "id",
    "spike_times",
    "obs_intervals",
    "electrodes",
    "electrode_group",
    "waveforms",
    "waveform_mean",
    "waveform_sd",
)


def unit_table(place: Place, table: h5py.Group, name: str) -> SpikeTimes | str:
    """The spikes of a table of units, or why there are none."""
    if not isinstance(table.get("spike_times"), h5py.Dataset):
        return "is a table of units without spike times"
    stops = _stops(table)
    return SpikeTimes(
        name=name,
        units=units_of(table, len(stops)),
        n_spikes=int(stops[-1]) if len(stops) else 0,
        read=lambda rows: _read(place, rows),
        observed=_observed(table, len(stops)),
    )


def notes_of(table: h5py.Group, name: str) -> list[str]:
    """What is odd about a table of units with spike times, a sentence each."""
    stops, times = _stops(table), table["spike_times"]
    notes = []
    if len(stops) and stops[-1] < len(times):
        notes.append(f"{name}: {len(times) - stops[-1]} spike times at the end belong to no unit")
    if times.dtype.kind in "iu":
        notes.append(f"{name}: spike times are whole numbers ({times.dtype}), as of samples or milliseconds")
    if times.dtype == np.float32 and len(times):
        step_ms = 1000 * float(np.spacing(np.float32(times[len(times) - 1])))
        notes.append(f"{name}: spike times are float32, rounded to {step_ms:.2g} ms")
    if column_of(table, "id") is not None and _ids(table, len(stops)) == _rows(len(stops)) != _texts(table):
        notes.append(f"{name}: ids are not all different, so units are named by their rows")
    intervals = _intervals(table, len(stops))
    if intervals is not None and not _all_equal(*intervals):
        notes.append(f"{name}: units were not observed in the same intervals; these are of any of them")
    return notes


def _stops(table: h5py.Group) -> NDArray[np.int64]:
    stops = ends(table, "spike_times")
    if stops is not None:
        return stops
    times, rows = table["spike_times"], n_rows(table)
    if times.ndim == 1 and rows <= 1:
        return np.array([len(times)], dtype=np.int64)
    if times.ndim == 1 and len(times) == rows:
        return np.arange(1, rows + 1)
    raise RtdecodeError(
        f"has shape {times.shape} for {rows} units and no index: whose spikes these are is not known",
        where=f"{table.file.filename}:{table.name}/spike_times",
        fix="write the file again with the program that made it",
    )


def _read(place: Place, rows: Rows) -> tuple[F8, NDArray[np.uint32]]:
    with opened(place.file) as file:
        table = file[place.path]
        stops, times = _stops(table), table["spike_times"]
        starts = np.concatenate(([0], stops[:-1]))
        counts = (stops - starts)[rows]
        time, ends_at = np.empty(int(counts.sum()), dtype=np.float64), np.cumsum(counts)
        for first, last in _runs(rows):
            # Rows that follow one another are one piece of the file.
            begin = int(ends_at[first] - counts[first])
            if ends_at[last] > begin:
                source = np.s_[int(starts[rows[first]]) : int(stops[rows[last]])]
                times.read_direct(time, source, np.s_[begin : int(ends_at[last])])
        return time, np.repeat(np.asarray(rows, dtype=np.uint32), counts)


def _runs(rows: Rows) -> list[tuple[int, int]]:
    """First and last position of each stretch of `rows` that rises by one."""
    if not len(rows):
        return []
    breaks = np.flatnonzero(np.diff(rows) != 1)
    return list(zip([0, *(breaks + 1).tolist()], [*breaks.tolist(), len(rows) - 1], strict=True))


def units_of(table: h5py.Group, n: int) -> UnitTable:
    """Who the units of a table are: a row each."""
    electrodes = electrodes_of(table, n)
    ragged = [each for each in table if index_of(table, each) is not None]
    columns = {
        name: values
        for name, values in plain_columns(table, without=[*_OWN, *ragged]).items()
        if values.ndim == 1 and len(values) == n and (values.dtype.kind != "U" or any(values))
    }
    return UnitTable(
        ids=_ids(table, n),
        electrodes=electrodes.labels,
        numbers=_numbers(columns, electrodes.labels),
        arrays=electrodes.arrays,
        position=electrodes.position,
        columns={**(electrodes.columns or {}), **columns},
    )


def _ids(table: h5py.Group, n: int) -> tuple[str, ...]:
    ids = _texts(table)
    return ids if len(ids) == n == len(set(ids)) else _rows(n)


def _texts(table: h5py.Group) -> tuple[str, ...]:
    ids = column_of(table, "id")
    return () if ids is None else tuple(str(each) for each in ids.tolist())


def _rows(n: int) -> tuple[str, ...]:
    return tuple(str(row) for row in range(n))


def _numbers(columns: dict[str, NDArray[Any]], electrodes: tuple[str, ...]) -> NDArray[np.int64] | None:
    """The unit's number on its electrode: as the file says it, else in the order of the table."""
    said = columns.get("unit")
    if said is not None and said.dtype.kind in "iu" and (said >= 0).all():
        return said.astype(np.int64)
    if not any(n > 1 for electrode, n in Counter(electrodes).items() if electrode):
        return None
    before: Counter[str] = Counter()
    numbers = []
    for electrode in electrodes:
        before[electrode] += 1
        numbers.append(before[electrode] if electrode else 1)
    return np.array(numbers, dtype=np.int64)


def _intervals(table: h5py.Group, n: int) -> tuple[F8, NDArray[np.int64]] | None:
    if not isinstance(table.get("obs_intervals"), h5py.Dataset):
        return None
    intervals, stops = np.asarray(table["obs_intervals"][()]).astype(np.float64), ends(table, "obs_intervals")
    if intervals.ndim != 2 or intervals.shape[1] != 2:
        return None
    return intervals, np.arange(1, n + 1) if stops is None else stops


def _all_equal(intervals: F8, stops: NDArray[np.int64]) -> bool:
    n = int(stops[0]) if len(stops) else 0
    return bool((np.diff(stops, prepend=0) == n).all()) and bool(
        (intervals[: stops[-1]].reshape(len(stops), n, 2) == intervals[:n]).all() if len(stops) else True
    )


def _observed(table: h5py.Group, n: int) -> F8 | None:
    found = _intervals(table, n)
    if found is None or not len(found[1]) or not len(found[0]):
        return None
    intervals, stops = found
    return intervals[: stops[0]] if _all_equal(intervals, stops) else union(intervals)


def union(intervals: F8) -> F8:
    """Intervals that any of `intervals` covers, sorted."""
    kept = intervals[intervals[:, 1] > intervals[:, 0]]
    kept = kept[np.argsort(kept[:, 0], kind="stable")]
    reach = np.maximum.accumulate(kept[:, 1])
    new = (
        np.flatnonzero(np.concatenate(([True], kept[1:, 0] > reach[:-1]))) if len(kept) else np.zeros(0, int)
    )
    return np.stack([kept[new, 0], np.maximum.reduceat(kept[:, 1], new)], axis=1) if len(kept) else kept


def extent(table: h5py.Group) -> tuple[float, float]:
    """About the first and the last spike time: of the first and the last spike of each unit."""
    stops, times = _stops(table), table["spike_times"]
    starts = np.concatenate(([0], stops[:-1]))
    at = [*starts[stops > starts].tolist(), *(stops[stops > starts] - 1).tolist()]
    found = [number(times[each], np.nan) for each in at]
    return (min(found), max(found)) if found else (np.inf, -np.inf)
