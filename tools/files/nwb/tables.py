"""Columns of NWB tables: plain, ragged, and those that refer to rows of another table."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from rtdecode.errors import RtdecodeError
from rtdecode.tools.files.nwb.access import attr, checked, is_numeric, is_text, text, texts

#: A column of a table of intervals or units that takes more is none by which rows are selected.
MOST_BYTES = 1 << 24


def n_rows(table: h5py.Group) -> int:
    """Rows of a table."""
    for name in ("id", "start_time", "spike_times_index", "timestamp"):
        if isinstance(found := table.get(name), h5py.Dataset) and found.ndim:
            return len(checked(found))
    return 0


def index_of(table: h5py.Group, name: str) -> h5py.Dataset | None:
    """The index of a ragged column; a plain column may be called `target_index`."""
    found = table.get(f"{name}_index")
    is_index = isinstance(found, h5py.Dataset) and text(found, "neurodata_type") in ("", "VectorIndex")
    return found if is_index else None


def ends(table: h5py.Group, name: str) -> NDArray[np.int64] | None:
    """Where the values of each row of a ragged column end; None for a column that has one value a row.

    Raises:
        RtdecodeError: the index does not rise, or goes beyond the values.
    """
    if (index := index_of(table, name)) is None:
        return None
    stops = np.asarray(checked(index)[()]).astype(np.int64)
    most = len(table[name])
    if stops.ndim != 1 or (np.diff(stops, prepend=0) < 0).any() or (stops.size and stops[-1] > most):
        raise RtdecodeError(
            f"is no index of {most} values: it goes back, or beyond them",
            where=f"{table.file.filename}:{table.name}/{name}_index",
            fix="write the file again with the program that made it",
        )
    return stops


def plain_columns(table: h5py.Group, without: Iterable[str] = ()) -> dict[str, NDArray[Any]]:
    """Columns with one number, text, or row of numbers for each row of the table, and references by name.

    A ragged column becomes one if all rows have one value, else text: words with commas, numbers as JSON.
    """
    left_out = set(without)
    found = {name: column_of(table, name) for name in _names(table) if name not in left_out}
    return {name: values for name, values in found.items() if values is not None}


def column_of(table: h5py.Group, name: str) -> NDArray[Any] | None:
    """One column as of `plain_columns`, None where the table has none."""
    column = table.get(name)
    if not isinstance(column, h5py.Dataset) or not column.ndim or _bytes(column) > MOST_BYTES:
        return None
    rows = n_rows(table)
    values = _values(column) if index_of(table, name) is None else _ragged(table, name, rows)
    return None if values is None or len(values) != rows else values


def _names(table: h5py.Group) -> list[str]:
    listed = attr(table, "colnames")
    names = texts(np.asarray(listed)) if listed is not None else []
    indices = [f"{each}_index" for each in table if index_of(table, each) is not None]
    return [*names, *(each for each in table if each not in (*names, *indices))]


def _bytes(column: h5py.Dataset) -> int:
    return int(column.size) * int(column.dtype.itemsize)


def _values(column: h5py.Dataset) -> NDArray[Any] | None:
    if is_numeric(column):
        values = np.asarray(column[()])
        return values if values.ndim < 3 and "table" not in column.attrs else None
    if is_text(column):
        found = column[()]
        return np.array(texts(found), dtype=np.str_).reshape(found.shape)
    if h5py.check_ref_dtype(column.dtype) is h5py.Reference and column.ndim == 1:
        return np.array([basename(column.file, ref) for ref in column[()]], dtype=np.str_)
    return None


def basename(file: h5py.File, ref: h5py.Reference) -> str:
    """Last part of the name of what is referred to, "" for nothing."""
    return str(file[ref].name).rpartition("/")[2] if ref else ""


def _ragged(table: h5py.Group, name: str, rows: int) -> NDArray[Any] | None:
    stops, values = ends(table, name), _values(table[name])
    if stops is None or values is None or len(stops) != rows or f"{name}_index_index" in table:
        return None
    counts = np.diff(stops, prepend=0)
    if rows and (counts == 1).all():
        return values
    parts = np.split(values, stops)[:rows]
    if values.dtype.kind == "U":
        return np.array([", ".join(part.reshape(-1).tolist()) for part in parts], dtype=np.str_)
    return np.array([json.dumps(part.tolist()) for part in parts], dtype=np.str_)


def active_targets(table: h5py.Group, columns: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Of each ragged column of targets the one that counted, where the table says which (`active_target`)."""
    chosen = columns.get("active_target")
    if chosen is None or chosen.dtype.kind not in "iuf" or chosen.ndim != 1:
        return {}
    found = {}
    for name in [each for each in columns if each.startswith("target") and index_of(table, each) is not None]:
        stops, values = ends(table, name), _values(table[name])
        if stops is None or values is None or values.dtype.kind == "U":
            continue
        starts = np.concatenate(([0], stops[:-1]))
        row = starts + np.nan_to_num(chosen, nan=-1).astype(np.int64)
        known = (row >= starts) & (row < stops)
        active = np.full((len(stops), *values.shape[1:]), np.nan)
        active[known] = values[row[known]]
        found[f"active_{name}"] = active
    return found
