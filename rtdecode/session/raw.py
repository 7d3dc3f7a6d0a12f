"""Open a session file and lift its groups into arrays, before anything in them is judged.

`read.py` judges them strictly, `repair.py` fixes them; both start here.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from rtdecode.errors import RtdecodeError
from rtdecode.session.schema import (
    BEHAVIOR,
    COUNTS,
    DECODED,
    DECODED_OPTIONAL,
    DOCS,
    EVENTS,
    EVENTS_OPTIONAL,
    FORMAT,
    FORMAT_VERSION,
    LOG,
    MAX_CHANNELS,
    OWN_ATTRS,
    TRIALS,
    repair_hint,
)


@dataclass(frozen=True)
class RawGroup:
    """One group as it lies in the file.

    Attributes:
        place: file and path inside, for messages.
        columns: every dataset the format knows (for /trials: every dataset), strings as str.
        attrs: the group's attributes as h5py gives them.
    """

    place: str
    columns: dict[str, NDArray[Any]]
    attrs: dict[str, Any]


@dataclass(frozen=True)
class RawSession:
    """A whole file, not yet judged; a group that is not there is not in `groups`."""

    path: Path
    n_channels: int
    complete: bool
    attrs: dict[str, str]
    groups: dict[str, RawGroup]


HDF5_ERRORS = (OSError, RuntimeError, ValueError, KeyError, TypeError)
"""What h5py raises for a file whose bytes make no sense; which one depends on the byte."""

GROUPS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "events": (EVENTS, EVENTS_OPTIONAL),
    "counts": (COUNTS, ()),
    "behavior": (BEHAVIOR, ()),
    "trials": (TRIALS, ()),
    "decoded": (DECODED, DECODED_OPTIONAL),
    "log": (LOG, ()),
}


def read_raw(path: Path, unreadable: Callable[[RtdecodeError], None] | None = None) -> RawSession:
    """Read every known group of `path`.

    Args:
        path: the file.
        unreadable: told about a group that lacks a dataset or is damaged, which is then left out; without it
            such a group is an error.

    Raises:
        RtdecodeError: no such file, not HDF5, cut short, another format or a newer version, no channel
            count, or a group that cannot be read.
    """
    with _opened(path) as file:
        _check_format(file, path)
        complete = bool(_whole_attr(file, "complete", path, default=1))
        n_channels = _n_channels(file, path)
        attrs = {name: as_text(file.attrs[name]) for name in file.attrs if name not in OWN_ATTRS}
        groups = {}
        for name in [name for name in GROUPS if name in file]:
            try:
                groups[name] = _read_group(file, name, path, complete)
            except RtdecodeError as error:
                if unreadable is None:
                    raise
                unreadable(error)
    return RawSession(path, n_channels, complete, attrs, groups)


@contextmanager
def _opened(path: Path) -> Iterator[h5py.File]:
    if path.is_dir():
        raise RtdecodeError(
            "is a folder, not a session file", where=str(path), fix="name the .h5 file inside"
        )
    if not path.exists():
        raise RtdecodeError("no such file", where=str(path), fix="check the path")
    try:
        with h5py.File(path, "r") as file:
            yield file
    except PermissionError as error:
        raise RtdecodeError("may not be read", where=str(path), fix="check its permissions") from error
    except MemoryError as error:
        raise RtdecodeError(f"does not fit into memory ({error})", where=str(path)) from error
    except HDF5_ERRORS as error:
        raise RtdecodeError(
            _why_unreadable(path, error),
            where=str(path),
            fix=f"copy it again from where it was recorded; a session is an HDF5 file as in {DOCS}",
        ) from error


def _why_unreadable(path: Path, error: Exception) -> str:
    if "truncated" in str(error):
        return "is a truncated HDF5 file: its end is missing"
    if "lock" in str(error):
        return "another program holds this file open for writing"
    try:
        is_hdf5 = bool(h5py.is_hdf5(path))
    except OSError:
        is_hdf5 = False
    if not is_hdf5:
        return "is not an HDF5 file"
    return f"is damaged: {error}"


def _check_format(file: h5py.File, path: Path) -> None:
    found = file.attrs.get("format")
    if found is None:
        raise RtdecodeError(
            "is HDF5 but not a session: the root attribute `format` is missing",
            where=f"{path}:/",
            fix=f"write it as in {DOCS}",
        )
    if as_text(found) != FORMAT:
        raise RtdecodeError(
            f"its format is {as_text(found)!r}, not {FORMAT!r}",
            where=f"{path}:/",
            fix=f"write it as in {DOCS}",
        )
    version = _whole_attr(file, "format_version", path)
    if version > FORMAT_VERSION:
        raise RtdecodeError(
            f"has format_version {version}, this rtdecode reads {FORMAT_VERSION}",
            where=f"{path}:/",
            fix="pip install --upgrade rtdecode",
        )
    if version < 1:
        raise RtdecodeError(
            f"format_version is {version}", where=f"{path}:/", fix=f"set it to {FORMAT_VERSION}"
        )


def _n_channels(file: h5py.File, path: Path) -> int:
    n_channels = _whole_attr(file, "n_channels", path)
    if not 1 <= n_channels <= MAX_CHANNELS:
        raise RtdecodeError(
            f"n_channels is {n_channels}",
            where=f"{path}:/",
            fix=f"set the root attribute n_channels to the number of channels, 1 to {MAX_CHANNELS}",
        )
    return n_channels


def _whole_attr(file: h5py.File, name: str, path: Path, default: int | None = None) -> int:
    value = file.attrs.get(name)
    if value is None and default is not None:
        return default
    number = as_number(value)
    if number is None or number != round(number):
        problem = "is missing" if value is None else f"is {as_text(value)!r}, not a whole number"
        raise RtdecodeError(f"the root attribute {name} {problem}", where=f"{path}:/", fix=f"see {DOCS}")
    return int(number)


def as_number(value: object) -> float | None:
    """An attribute as a finite number, None where it is none."""
    array = np.asarray(value) if value is not None and not isinstance(value, h5py.Empty) else np.empty(0)
    if array.size != 1 or array.dtype.kind not in "iufb" or not np.isfinite(array).all():
        return None
    return float(array.reshape(-1)[0])


def as_text(value: object) -> str:
    """An attribute as text: strings as they are, numbers as Python writes them, arrays as JSON lists."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, np.ndarray):
        return json.dumps(value.tolist(), ensure_ascii=False, default=as_text)
    if isinstance(value, h5py.Empty):
        return ""
    return str(value)


def as_texts(value: object) -> tuple[str, ...] | None:
    """An attribute as a list of strings (a single string is a list of one), None where it is neither."""
    if isinstance(value, str | bytes):
        return (as_text(value),)
    if (
        not isinstance(value, np.ndarray)
        or value.ndim != 1
        or not (value.dtype.kind in "OSU" or value.size == 0)
    ):
        return None
    return tuple(as_text(item) for item in value.tolist())


def _read_group(file: h5py.File, name: str, path: Path, complete: bool) -> RawGroup:
    place = f"{path}:/{name}"
    try:
        return _columns_and_attrs(file[name], name, place, complete)
    except HDF5_ERRORS as error:
        raise RtdecodeError(
            f"is damaged: {error}", where=place, fix=f"{repair_hint(path)} saves the rest"
        ) from error


def _columns_and_attrs(group: h5py.Group, name: str, place: str, complete: bool) -> RawGroup:
    needed, optional = GROUPS[name]
    if not isinstance(group, h5py.Group):
        raise RtdecodeError("is a dataset, not a group", where=place, fix=f"write it as in {DOCS}")
    missing = [column for column in needed if column not in group]
    if missing:
        raise RtdecodeError(
            f"lacks {' and '.join(missing)}", where=place, fix=f"it needs {', '.join(needed)}; see {DOCS}"
        )
    wanted = (
        list(group) if name == "trials" else [*needed, *(column for column in optional if column in group)]
    )
    datasets = {column: group[column] for column in wanted}
    for column, dataset in datasets.items():
        if not isinstance(dataset, h5py.Dataset) or dataset.shape is None or dataset.ndim == 0:
            raise RtdecodeError("is not an array", where=f"{place}/{column}", fix=f"write it as in {DOCS}")
    # A recorder that was killed may have lengthened one dataset of a group and not yet its neighbours.
    rows = None if complete else min(len(dataset) for dataset in datasets.values())
    return RawGroup(
        place=place,
        columns={column: _read_column(dataset, rows) for column, dataset in datasets.items()},
        attrs={attr: group.attrs[attr] for attr in group.attrs},
    )


def _read_column(dataset: h5py.Dataset, rows: int | None) -> NDArray[Any]:
    column: NDArray[Any] = np.asarray(dataset[()] if rows is None else dataset[:rows])
    if column.dtype.kind in "OS":
        texts = [as_text(item) for item in column.reshape(-1).tolist()]
        column = np.array(texts, dtype=np.str_).reshape(column.shape)
    return column
