"""Arrays that are stored the other way round, as MATLAB and Julia do, or as a single row or column.

They are turned only where the format leaves one way: the lengths of the other arrays decide.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtdecode.session.raw import RawGroup
from rtdecode.session.schema import SAMPLED

#: The datasets that are tables, and the vector that gives their rows; all others are vectors.
_TABLES = {**dict.fromkeys(SAMPLED, ("values", "time")), "trials": ("target", "start")}

#: Groups whose other datasets are vectors.
_VECTORS = ("events", *SAMPLED, "trials", "markers", "log", "observed", "electrodes")


def turned(name: str, group: RawGroup, n_channels: int) -> tuple[RawGroup, dict[str, str]]:
    """Turn the arrays of a group to the shapes of the format, where it is certain how.

    Args:
        name: of the group.
        group: unchecked.
        n_channels: of the session.

    Returns:
        The group, and for each array that was turned what was wrong with it, a sentence without its subject.
    """
    columns, found = dict(group.columns), {}

    def turn(column: str, right: NDArray[Any]) -> None:
        old = columns[column].shape
        transposed = "is transposed: it " if len(old) == right.ndim else ""
        found[column] = f"{transposed}has shape {old}, not {right.shape}"
        columns[column] = right

    table, rows_of = _TABLES.get(name, ("", ""))
    if name in _VECTORS:
        for column, values in group.columns.items():
            of_one_row = name == "trials" and values.size != columns["start"].size
            if column != table and values.ndim == 2 and 1 in values.shape and not of_one_row:
                turn(column, values.reshape(-1))
    if table in columns and columns[rows_of].ndim == 1:
        right = _as_rows(columns[table], len(columns[rows_of]))
        if right is not None:
            turn(table, right)
    if name == "counts" and columns["values"].ndim == 2:
        shape = columns["values"].shape
        if shape[0] == n_channels != shape[1]:
            turn("values", columns["values"].T)
    return (replace(group, columns=columns) if found else group), found


def _as_rows(values: NDArray[Any], rows: int) -> NDArray[Any] | None:
    """A table of this many rows, None if it is one already or cannot be one."""
    if values.ndim == 1 and len(values) == rows:
        return values[:, np.newaxis]
    if values.ndim == 2 and values.shape[0] != rows == values.shape[1]:
        return values.T
    return None
