"""Open a session file and read its groups into arrays, before any of them is checked.

`read.py` checks them strictly, `repair.py` fixes them; both start here.
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
from rtdecode.session.diagnosis.containers import hdf5_kind
from rtdecode.session.diagnosis.unreadable import other_format, unreadable
from rtdecode.session.schema import (
    DOCS,
    FORMAT,
    FORMAT_VERSION,
    GROUPS,
    MAX_CHANNELS,
    OWN_ATTRS,
    OWN_BEFORE_2,
    repair_hint,
)


@dataclass(frozen=True)
class RawGroup:
    """One group, unchecked.

    Attributes:
        place: file and path inside it, for messages.
        columns: every dataset of the format (for /trials: every dataset), strings as str.
        attrs: the group's attributes as h5py gives them.
    """

    place: str
    columns: dict[str, NDArray[Any]]
    attrs: dict[str, Any]


@dataclass(frozen=True)
class RawSession:
    """A file, unchecked; `groups` has the groups that exist, `others` names what the format does not have."""

    path: Path
    n_channels: int
    complete: bool
    attrs: dict[str, str]
    groups: dict[str, RawGroup]
    others: tuple[str, ...] = ()


HDF5_ERRORS = (OSError, RuntimeError, ValueError, KeyError, TypeError)
"""What h5py raises for a damaged file; which one depends on the byte."""


def read_raw(path: Path, on_unreadable: Callable[[RtdecodeError], None] | None = None) -> RawSession:
    """Read every group of the format in `path`.

    Args:
        path: the file.
        on_unreadable: called with the error of a group that lacks a dataset or is damaged, which is then
            left out; None to raise that error.

    Raises:
        RtdecodeError: the file does not exist, is not HDF5, is truncated, has another format or a newer
            version, has no channel count, or has a group that cannot be read.
    """
    with _opened(path) as file:
        _check_format(file, path)
        _check_filters(file, path)
        names = _groups_of(file, path)
        complete = bool(_integer_attr(file, "complete", path, default=1))
        n_channels = _n_channels(file, path)
        attrs = {name: as_text(file.attrs[name]) for name in file.attrs if name not in OWN_ATTRS}
        groups = {}
        for name in names:
            try:
                groups[name] = _read_group(file, name, path, complete)
            except RtdecodeError as error:
                if on_unreadable is None:
                    raise
                on_unreadable(error)
        others = [f"/{name}" for name in file if name not in names]
        for name, group in groups.items():
            others += [f"/{name}/{each}" for each in file[name] if each not in group.columns]
    return RawSession(path, n_channels, complete, attrs, groups, tuple(others))


@contextmanager
def _opened(path: Path) -> Iterator[h5py.File]:
    if path.is_dir():
        raise RtdecodeError(
            "is a folder, not a session file", where=str(path), fix="name the .h5 file inside"
        )
    if not path.exists():
        raise RtdecodeError("does not exist", where=str(path), fix="check the path")
    try:
        with h5py.File(path, "r") as file:
            yield file
    except PermissionError as error:
        raise RtdecodeError("cannot be opened", where=str(path), fix="check its permissions") from error
    except MemoryError as error:
        raise RtdecodeError(
            f"does not fit into memory ({error})",
            where=str(path),
            fix="read it on a machine with more memory",
        ) from error
    except HDF5_ERRORS as error:
        raise unreadable(path, error) from error


def _check_filters(file: h5py.File, path: Path) -> None:
    """Refuse data that are whole, but compressed by a filter that is not installed here."""
    missing: dict[str, str] = {}

    def visit(name: str, item: object) -> None:
        if isinstance(item, h5py.Dataset) and name.partition("/")[0] in GROUPS:
            created = item.id.get_create_plist()
            for i in range(created.get_nfilters()):
                code, _, _, label = created.get_filter(i)
                if not h5py.h5z.filter_avail(code):
                    missing.setdefault(name, f"{code} {as_text(label)}".strip())

    file.visititems(visit)
    for name, needed in missing.items():
        raise RtdecodeError(
            f"is compressed with HDF5 filter {needed}, which is not installed here",
            where=f"{path}:/{name}",
            fix="store it with gzip or uncompressed where it was written, or set HDF5_PLUGIN_PATH to the "
            "folder of the filter",
        )


def _check_format(file: h5py.File, path: Path) -> None:
    where, fix = f"{path}:/", f"convert it to a session as in {DOCS}"
    found = file.attrs.get("format")
    if found is None:
        if (kind := hdf5_kind(file)) is not None:
            raise other_format(str(path), *kind)
        what = "is HDF5 but not a session: the root attribute `format` is missing"
        raise RtdecodeError(what, where=where, fix=fix)
    if as_text(found) != FORMAT:
        raise RtdecodeError(f"its format is {as_text(found)!r}, not {FORMAT!r}", where=where, fix=fix)
    version = _integer_attr(file, "format_version", path)
    if version > FORMAT_VERSION:
        what = f"has format_version {version}; this rtdecode reads {FORMAT_VERSION}"
        raise RtdecodeError(what, where=where, fix="pip install --upgrade rtdecode")
    if version < 1:
        raise RtdecodeError(f"format_version is {version}", where=where, fix=f"set it to {FORMAT_VERSION}")


def _groups_of(file: h5py.File, path: Path) -> list[str]:
    """Names of the groups of the format that are there."""
    own = OWN_BEFORE_2 if _integer_attr(file, "format_version", path) < 2 else frozenset()
    return [name for name in GROUPS if name in file and name not in own]


def _n_channels(file: h5py.File, path: Path) -> int:
    n_channels, least = (
        _integer_attr(file, "n_channels", path),
        0 if "features" in file or "decoded/codes" in file else 1,
    )
    if not least <= n_channels <= MAX_CHANNELS:
        fix = f"set the root attribute n_channels to the number of channels, {least} to {MAX_CHANNELS}"
        raise RtdecodeError(f"n_channels is {n_channels}", where=f"{path}:/", fix=fix)
    return n_channels


def _integer_attr(file: h5py.File, name: str, path: Path, default: int | None = None) -> int:
    value = file.attrs.get(name)
    if value is None and default is not None:
        return default
    number = as_number(value)
    if number is None or number != round(number):
        problem = "missing" if value is None else f"{as_text(value)!r}, not an integer"
        raise RtdecodeError(
            f"the root attribute {name} is {problem}", where=f"{path}:/", fix=f"set it as in {DOCS}"
        )
    return int(number)


def as_number(value: object) -> float | None:
    """An attribute as a finite number, None for anything else."""
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
    """An attribute as a tuple of strings (of one for a single string), None for anything else."""
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
            f"is damaged: {error}", where=place, fix=f"save the other groups: {repair_hint(path)}"
        ) from error


def _columns_and_attrs(group: h5py.Group, name: str, place: str, complete: bool) -> RawGroup:
    needed, optional = GROUPS[name]
    if not isinstance(group, h5py.Group):
        raise RtdecodeError("is a dataset, not a group", where=place, fix=f"store a group as in {DOCS}")
    missing = [column for column in needed if column not in group]
    if missing:
        raise RtdecodeError(
            f"lacks {' and '.join(missing)}", where=place, fix=f"store {', '.join(needed)} as in {DOCS}"
        )
    if name == "trials":
        optional = tuple(each for each in group if each not in needed and _is_array(group[each]))
    names = [*needed, *(each for each in optional if each in group)]
    datasets = {column: group[column] for column in names}
    for column, dataset in datasets.items():
        if not _is_array(dataset):
            raise RtdecodeError("is not an array", where=f"{place}/{column}", fix=f"store one as in {DOCS}")
        if dataset.dtype.kind == "O" and not h5py.check_string_dtype(dataset.dtype):
            raise RtdecodeError(
                "holds lists or references, as of a MATLAB cell array, not numbers or strings",
                where=f"{place}/{column}",
                fix=f"store one array for all channels as in {DOCS}",
            )
    # A recorder that was killed may have extended only some datasets of a group.
    rows = None if complete else min(len(dataset) for dataset in datasets.values())
    return RawGroup(
        place=place,
        columns={column: _read_column(dataset, rows) for column, dataset in datasets.items()},
        attrs={attr: group.attrs[attr] for attr in group.attrs},
    )


def _is_array(item: object) -> bool:
    return isinstance(item, h5py.Dataset) and item.shape is not None and item.ndim > 0


def _read_column(dataset: h5py.Dataset, rows: int | None) -> NDArray[Any]:
    column: NDArray[Any] = np.asarray(dataset[()] if rows is None else dataset[:rows])
    if column.dtype.kind in "OS":
        texts = [as_text(item) for item in column.reshape(-1).tolist()]
        column = np.array(texts, dtype=np.str_).reshape(column.shape)
    return column
