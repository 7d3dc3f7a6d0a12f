"""Why a file cannot be opened as HDF5, and what to do about it."""

from __future__ import annotations

from pathlib import Path

import h5py

from rtdecode.errors import RtdecodeError
from rtdecode.session.diagnosis.containers import container_by_ending, container_of, holds_zeros
from rtdecode.session.schema import DOCS


def unreadable(path: Path, error: Exception) -> RtdecodeError:
    """The error for a file that h5py cannot open, from what h5py says and from the file's bytes and name."""
    where, text = str(path), str(error)
    if "unable to lock" in text:
        fix = "close it in that program"
        return RtdecodeError("another program holds this file open for writing", where=where, fix=fix)
    if "consistency flags" in text:
        return RtdecodeError(
            "was not closed by the program that wrote it, or is open there",
            where=where,
            fix="close it there, or run h5clear --status on a copy",
        )
    if (found := container_of(path)) is not None:
        return other_format(where, *found)
    is_empty, fix = _size(path) == 0, "copy it again from where it was recorded"
    if (named := container_by_ending(path)) is not None:
        state = "is empty" if is_empty else "cannot be read"
        return RtdecodeError(
            f"{state}, and would be {named} by its name, not a session",
            where=where,
            fix=f"convert the original to a session as in {DOCS}",
        )
    if is_empty:
        return RtdecodeError("is empty", where=where, fix=fix)
    if "truncated" in text:
        return RtdecodeError("is a truncated HDF5 file: its end is missing", where=where, fix=fix)
    if holds_zeros(path):
        return RtdecodeError("begins with zeros, as a copy that was broken off", where=where, fix=fix)
    try:
        is_hdf5 = bool(h5py.is_hdf5(path))
    except OSError:
        is_hdf5 = False
    if not is_hdf5:
        fix = f"name an HDF5 file as in {DOCS}, or convert this one"
        return RtdecodeError("is not an HDF5 file", where=where, fix=fix)
    return RtdecodeError(f"is damaged: {error}", where=where, fix=fix)


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None


def other_format(where: str, what: str, reader: str) -> RtdecodeError:
    """The error for a file of another program: what it is, and what reads it."""
    fix = f"{reader} and store a session as in {DOCS}" if reader.startswith(("read", "load")) else reader
    return RtdecodeError(f"is {what}, not a session", where=where, fix=fix)
