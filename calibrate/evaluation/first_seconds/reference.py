"""Scores of another decoder, day by day, from a CSV file: a column `session`, and one for each output."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from rtdecode.errors import RtdecodeError
from rtdecode.files import file_errors
from rtdecode.kernels.arrays import F8

SESSION = "session"


def read_reference(path: Path, outputs: Sequence[str]) -> dict[str, F8]:
    """R² f8[D] of each day in the file; other columns are ignored.

    Args:
        path: the file.
        outputs: names of its D columns.

    Raises:
        RtdecodeError: it cannot be read, lacks a column, names a day twice or holds what is no number.
    """
    fix = f"give a CSV file with the columns {SESSION},{','.join(outputs)}"
    reference: dict[str, F8] = {}
    with file_errors(path, "read", "check the path"):
        text = path.read_bytes().decode("utf-8-sig", "replace")
    rows = csv.DictReader(text.splitlines())
    try:
        if lacking := [name for name in (SESSION, *outputs) if name not in (rows.fieldnames or ())]:
            raise RtdecodeError(f"has no column {', '.join(lacking)}", where=str(path), fix=fix)
        for row in rows:
            where, day = f"{path}, line {rows.line_num}", row[SESSION]
            if day in reference:
                raise RtdecodeError(f"names {day} again", where=where, fix="give one line for each day")
            reference[day] = np.array([_number(row[name], name, where, fix) for name in outputs])
    except csv.Error as error:
        raise RtdecodeError(f"is no CSV file ({error})", where=str(path), fix=fix) from error
    return reference


def of_day(reference: Mapping[str, F8], session: str) -> F8 | None:
    """The scores of a session: of the day with its name, or with the end of it after an underscore."""
    found = [r2 for day, r2 in reference.items() if day and f"_{session}".endswith(f"_{day}")]
    return found[0] if found else None


def _number(text: str | None, name: str, where: str, fix: str) -> float:
    try:
        value = float(text or "")
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise RtdecodeError(f"{name} is {text!r}, which is no number", where=where, fix=fix)
    return value
