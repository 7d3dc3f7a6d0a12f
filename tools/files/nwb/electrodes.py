"""The table of electrodes, and which of them a unit or a column belongs to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from rtdecode.tools.files.nwb.access import attr, checked, text, texts
from rtdecode.tools.files.nwb.marks import LABEL
from rtdecode.tools.files.nwb.tables import column_of, ends, n_rows, plain_columns

F4 = NDArray[np.float32]

_TABLE = "/general/extracellular_ephys/electrodes"

#: Columns that name an electrode as people do, and those of its place, on its array first.
_LABELS = ("label", "electrode_label", "channel_name", "electrode_name")
_PLACES = (("rel_x", "rel_y"), ("x", "y"))

#: Columns of a table of units without a region that name the electrode of each.
_NAMED = ("electrode", "electrode_id", "electrode_label", "channel", "channel_id", "peak_channel_id")


@dataclass(frozen=True, eq=False)
class Electrodes:
    """Which electrode each of some rows belongs to; "" and NaN where it is not one.

    Attributes:
        labels, arrays: of each.
        position: f4[n, 2], None where unknown.
        columns: what else the file says of the electrodes of each, by which rows can be selected.
    """

    labels: tuple[str, ...]
    arrays: tuple[str, ...] = ()
    position: F4 | None = None
    columns: dict[str, NDArray[Any]] | None = None


def electrodes_of(group: h5py.Group, n: int) -> Electrodes:
    """Of the rows of a table of units, or of the columns of a series.

    Rows of the region count from 0 and are neither ids of electrodes nor rows of the table of units.
    """
    region = group.get("electrodes")
    table = _table(group.file, region)
    if not isinstance(region, h5py.Dataset) or table is None:
        return _named(group, n)
    rows = np.asarray(checked(region)[()]).astype(np.int64).reshape(-1)
    stops = ends(group, "electrodes")
    if stops is None:
        stops = np.arange(1, len(rows) + 1)
    return chosen(table, [part.tolist() for part in np.split(rows, stops)[: len(stops)]][:n])


def chosen(table: h5py.Group, rows: list[list[int]]) -> Electrodes:
    """The electrodes in rows of the table of electrodes; what has several has no label of its own."""
    n = n_rows(table)
    columns = plain_columns(table)
    groups = _texts(columns, "group_name", _texts(columns, "group", [""] * n))
    labels = _labels(table, columns, groups)
    known = [[row for row in each if 0 <= row < n] for each in rows]
    single = [each[0] if len(each) == 1 else -1 for each in known]
    first = [each[0] if each else -1 for each in known]
    arrays = tuple(groups[row] if row >= 0 else "" for row in first)
    places = _places(columns, n)
    position = None if places is None else np.vstack((places, [[np.nan, np.nan]]))[single].astype(np.float32)
    extra = {
        "array": arrays,
        "location": tuple(_texts(columns, "location", [""] * n)[row] if row >= 0 else "" for row in first),
    }
    if any(len(each) > 1 for each in known):
        extra["electrodes"] = tuple("+".join(labels[row] for row in each) for each in known)
    return Electrodes(
        tuple(labels[row] if row >= 0 else "" for row in single),
        arrays if len(set(arrays)) > 1 else (),
        position if position is not None and np.isfinite(position).any() else None,
        {name: np.array(values, dtype=np.str_) for name, values in extra.items() if any(values)},
    )


def electrodes_table(file: h5py.File) -> h5py.Group | None:
    """The file's table of electrodes."""
    table = file.get(_TABLE)
    return table if isinstance(table, h5py.Group) else None


def _table(file: h5py.File, region: object) -> h5py.Group | None:
    ref = attr(region, "table") if isinstance(region, h5py.Dataset) else None
    table = file[ref] if isinstance(ref, h5py.Reference) and ref else None
    return table if isinstance(table, h5py.Group) else electrodes_table(file)


def _named(group: h5py.Group, n: int) -> Electrodes:
    for name in _NAMED:
        column = group.get(name)
        if isinstance(column, h5py.Dataset) and column.shape == (n,) and column.dtype.kind in "iuSO":
            labels = tuple(texts(np.asarray(column[()])))
            break
    else:
        labels = ("",) * n
    groups = column_of(group, "electrode_group")
    arrays = () if groups is None else tuple(groups.tolist())
    return Electrodes(labels, arrays if len(set(arrays)) > 1 else ())


def _labels(table: h5py.Group, columns: dict[str, NDArray[Any]], groups: list[str]) -> list[str]:
    """Of each electrode, different on each array: as people name it, else its id, else its row."""
    n = len(groups)
    if "label" in columns and text(table["label"], "description") == LABEL:
        return _texts(columns, "label", [])
    for name in _LABELS:
        labels = _texts(columns, name, [])
        if labels and all(labels) and len(set(zip(groups, labels, strict=True))) == n:
            return labels
    ids = _texts(columns, "id", [])
    return ids if len(set(ids)) == n else [str(row) for row in range(n)]


def _texts(columns: dict[str, NDArray[Any]], name: str, default: list[str]) -> list[str]:
    values = columns.get(name)
    return default if values is None or values.ndim != 1 else [str(value) for value in values.tolist()]


def _places(columns: dict[str, NDArray[Any]], n: int) -> NDArray[np.float64] | None:
    for x, y in _PLACES:
        if x in columns and y in columns and columns[x].ndim == columns[y].ndim == 1:
            place = np.stack([columns[x], columns[y]], axis=1).astype(np.float64)
            if np.isfinite(place).any():
                return place
    return None
