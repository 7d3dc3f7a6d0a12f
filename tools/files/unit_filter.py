"""Rows of a table of units by a condition: `quality == good and firing_rate > 0.5`."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtdecode.errors import RtdecodeError
from rtdecode.tools.files.recording import UnitTable

#: A comparison: a column, an operator, and a number or a text, which may be quoted.
_COMPARISON = re.compile(r"\s*([\w.\- ]+?)\s*(==|!=|<=|>=|<|>)\s*(.+?)\s*$")

_OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
}

#: Texts that are the truth values of a column of them.
_TRUTH = {"true": 1.0, "yes": 1.0, "false": 0.0, "no": 0.0}


def columns_of(units: UnitTable) -> dict[str, NDArray[Any]]:
    """All columns by which rows can be selected, those of every source first."""
    own: dict[str, NDArray[Any]] = {"id": np.array(units.ids, np.str_)}
    own["electrode"] = np.array(units.electrodes, np.str_)
    if units.arrays:
        own["array"] = np.array(units.arrays, np.str_)
    if units.numbers is not None:
        own["unit"] = units.numbers
    return own | {name: np.asarray(column) for name, column in units.columns.items()}


def selected(units: UnitTable, condition: str, where: str) -> NDArray[np.intp]:
    """The rows of the units that meet a condition; comparisons are joined with `and`.

    Args:
        units: n of them.
        condition: as on the command line.
        where: the source, for the error.

    Returns:
        i[k], rising.

    Raises:
        RtdecodeError: it cannot be read, names no column, or no unit meets it.
    """
    columns, kept = columns_of(units), np.ones(len(units.ids), np.bool_)
    for part in re.split(r"\s+and\s+", condition.strip()):
        kept &= _compared(part, columns, where)
    if not kept.any():
        raise RtdecodeError(
            f"none of {len(kept)} units meets {condition!r}", where=where, fix="choose others with --units"
        )
    return np.flatnonzero(kept)


def _compared(part: str, columns: Mapping[str, NDArray[Any]], where: str) -> NDArray[np.bool_]:
    match = _COMPARISON.match(part)
    if match is None:
        raise RtdecodeError(
            f"the condition {part!r} is no comparison",
            where=where,
            fix="write --units 'quality == good', with ==, !=, <, <=, > or >=, joined by and",
        )
    name, sign, text = match.group(1), match.group(2), match.group(3).strip("'\"")
    if name not in columns:
        raise RtdecodeError(
            f"its units have no column {name!r}", where=where, fix=f"use one of {', '.join(columns)}"
        )
    column = columns[name]
    if column.ndim != 1:
        raise RtdecodeError(
            f"the column {name!r} of its units holds lists, which are not compared",
            where=where,
            fix=f"use another of {', '.join(columns)}",
        )
    if column.dtype.kind in "iufb":
        try:
            value: Any = _TRUTH[text.lower()] if text.lower() in _TRUTH else float(text)
        except ValueError:
            raise RtdecodeError(
                f"the column {name!r} of its units holds numbers, and {text!r} is none",
                where=where,
                fix=f"compare it with a number, such as '{name} {sign} 1'",
            ) from None
        return np.asarray(_OPERATORS[sign](column, value), np.bool_)
    texts = np.array([_text(each) for each in column.tolist()], np.str_)
    return np.asarray(_OPERATORS[sign](texts, text), np.bool_)


def _text(value: object) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
