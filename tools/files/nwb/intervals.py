"""Tables of intervals: trials, epochs, and times that are invalid or were observed."""

from __future__ import annotations

import h5py
import numpy as np

from rtdecode.tools.files.nwb.tables import active_targets, column_of, n_rows, plain_columns
from rtdecode.tools.files.recording import F8, TrialTable

INVALID = ("invalid_times",)
OBSERVED = ("observed", "observed_times", "valid_times", "recording_intervals")


def trial_table(table: h5py.Group, name: str) -> TrialTable:
    """A table of intervals with all of its columns that are numbers or text; a series of their edges."""
    if "start_time" not in table:
        return _of_edges(table, name)
    columns = plain_columns(table, without=("start_time", "stop_time", "timeseries"))
    active = active_targets(table, columns)
    if np.array_equal(columns.get("id", ()), np.arange(n_rows(table))):
        # Rows that are numbered say nothing.
        columns.pop("id", None)
    # A list of one value is that value.
    flat = {each: values[:, 0] if values.shape[1:] == (1,) else values for each, values in columns.items()}
    return TrialTable(name, *_edges(table), {**flat, **active})


def interval_list(table: h5py.Group) -> F8:
    """f8[k, 2], start and stop of each row, seconds."""
    return np.stack(_edges(table), axis=1)


def without(intervals: F8, invalid: F8) -> F8:
    """What is left of `intervals` outside of those of `invalid`."""
    left = [tuple(each) for each in intervals.tolist()]
    for start, stop in invalid.tolist():
        if start < stop:
            cut = [piece for a, b in left for piece in ((a, min(b, start)), (max(a, stop), b))]
            left = [(a, b) for a, b in cut if a < b]
    return np.array(left, dtype=np.float64).reshape(-1, 2)


def _of_edges(series: h5py.Group, name: str) -> TrialTable:
    """Of an IntervalSeries: a value above 0 starts an interval of its kind, one below 0 stops it."""
    time, value = (np.asarray(series[each][()]).astype(np.float64) for each in ("timestamps", "data"))
    rows: list[list[float]] = []
    running: dict[float, int] = {}
    for at, edge in zip(time.tolist(), value.tolist(), strict=False):
        if edge > 0:
            running[edge] = len(rows)
            rows.append([at, np.nan, edge])
        elif -edge in running:
            rows[running.pop(-edge)][1] = at
    start, stop, kinds = np.array(rows, dtype=np.float64).reshape(-1, 3).T
    return TrialTable(name, start, stop, {"kind": kinds})


def _edges(table: h5py.Group) -> tuple[F8, F8]:
    rows = n_rows(table)
    found = [column_of(table, name) for name in ("start_time", "stop_time")]
    start, stop = (np.full(rows, np.nan) if each is None else each.astype(np.float64) for each in found)
    return start, stop
