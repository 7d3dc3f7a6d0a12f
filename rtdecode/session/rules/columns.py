"""The columns and attributes of a group, each checked, or the error with its place in the file."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from rtdecode.errors import RtdecodeError
from rtdecode.session.diagnosis.arrays import as_integers, check_dimensions, check_numeric
from rtdecode.session.raw import RawGroup, as_number, as_texts
from rtdecode.session.schema import DOCS, repair_hint


def time_column(group: RawGroup, name: str) -> NDArray[np.float64]:
    values, where = group.columns[name], f"{group.place}/{name}"
    check_numeric(values, where)
    check_dimensions(values, 1, where)
    time = values.astype(np.float64, copy=False)
    bad = ~np.isfinite(time)
    if bad.any():
        raise unsound(
            f"{int(bad.sum())} of {len(time)} times are NaN or infinite, first at row {int(bad.argmax())}",
            where,
        )
    return time


def integer_column(group: RawGroup, name: str, dtype: DTypeLike) -> NDArray[Any]:
    check_dimensions(group.columns[name], 1, f"{group.place}/{name}")
    return as_integers(group.columns[name], dtype, f"{group.place}/{name}")


def text_column(group: RawGroup, name: str) -> NDArray[Any]:
    column = group.columns[name]
    if column.ndim != 1 or (column.dtype.kind != "U" and column.size):
        raise RtdecodeError(
            "is not a list of strings", where=f"{group.place}/{name}", fix=f"store strings as in {DOCS}"
        )
    return column


def table_column(group: RawGroup, name: str, n_columns: int, meaning: str) -> NDArray[Any]:
    """The column of that name, which must be [rows, n_columns]."""
    values = group.columns[name]
    if values.ndim != 2 or values.shape[1] != n_columns:
        raise RtdecodeError(
            f"has shape {values.shape}, not [rows, {n_columns}]",
            where=f"{group.place}/{name}",
            fix=f"store {meaning}",
        )
    return values


def check_same_length(group: RawGroup) -> None:
    lengths = {name: len(column) for name, column in group.columns.items()}
    if len(set(lengths.values())) > 1:
        listed = ", ".join(f"{name} {length}" for name, length in lengths.items())
        raise unsound(f"has datasets of different lengths ({listed})", group.place)


def number_attr(group: RawGroup, name: str) -> float:
    number = as_number(group.attrs.get(name))
    if number is None or not math.isfinite(number):
        problem = "missing" if name not in group.attrs else "not a finite number"
        raise RtdecodeError(
            f"the attribute {name} is {problem}", where=group.place, fix=f"set it, in seconds; see {DOCS}"
        )
    return number


def seconds_attr(group: RawGroup, name: str) -> float:
    """The attribute of that name, which must be positive."""
    seconds = number_attr(group, name)
    if not seconds > 0:
        raise RtdecodeError(
            f"{name} is {seconds}; it must be above 0", where=group.place, fix="set it in seconds"
        )
    return seconds


def labels_attr(group: RawGroup, name: str, n_columns: int) -> tuple[str, ...]:
    labels = as_texts(group.attrs.get(name))
    if labels is None:
        problem = "missing" if name not in group.attrs else "not a list of strings"
        fix = f"set one string for each column; see {DOCS}"
        raise RtdecodeError(f"the attribute {name} is {problem}", where=group.place, fix=fix)
    if len(labels) != n_columns:
        fix = f"set the attribute {name} to {n_columns} strings"
        raise RtdecodeError(
            f"has {len(labels)} {name} for {n_columns} columns of values", where=group.place, fix=fix
        )
    return labels


def unsound(what: str, where: str) -> RtdecodeError:
    """The error for rows that `rtdecode info --repair` can correct."""
    return RtdecodeError(what, where=where, fix=repair_hint(where.rsplit(":/", 1)[0]))
