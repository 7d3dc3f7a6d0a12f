"""Open an NWB file and read single values of it, which may be of any type."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from rtdecode.errors import RtdecodeError
from rtdecode.session.raw import HDF5_ERRORS, as_number, as_text

#: What h5py and NumPy raise for a damaged file; which of them depends on the byte.
_DAMAGE = (*HDF5_ERRORS, AttributeError, IndexError, ArithmeticError, AssertionError)


#: Compression makes data at most this much smaller, and what was never written takes no space.
_MOST_COMPRESSED, _UNWRITTEN_BYTES = 1000, 1 << 28

#: HDF5 keeps attributes of up to 64 KB in the header of their object.
_MOST_IN_ATTR = 1 << 20


def checked(dataset: h5py.Dataset) -> h5py.Dataset:
    """A dataset that its file has room for.

    Raises:
        RtdecodeError: by its shape it is far larger than the file, which is then damaged.
    """
    n_bytes, held = int(dataset.size or 0) * dataset.dtype.itemsize, dataset.file.id.get_filesize()
    if n_bytes > _MOST_COMPRESSED * held + _UNWRITTEN_BYTES:
        raise RtdecodeError(
            f"has shape {dataset.shape}, more than a file of {held:,} bytes holds",
            where=f"{dataset.file.filename}:{dataset.name}",
            fix="copy the file again from where it was recorded",
        )
    return dataset


@dataclass(frozen=True)
class Place:
    """A file, and a path in it, which may lead through a link to another file."""

    file: Path
    path: str


@contextmanager
def opened(path: Path) -> Iterator[h5py.File]:
    """The file, open for reading.

    Raises:
        RtdecodeError: it, or what is read of it, cannot be read.
    """
    try:
        with h5py.File(path, "r") as file:
            yield file
    except MemoryError as error:
        fix = "read it on a machine with more memory, or copy it again if it is damaged"
        raise RtdecodeError("does not fit into memory", where=str(path), fix=fix) from error
    except _DAMAGE as error:
        fix = "close it in the program that wrote it, or copy it again from where it was recorded"
        said = error.args[0] if isinstance(error, KeyError) and error.args else error
        raise RtdecodeError(f"cannot be read: {said}", where=str(path), fix=fix) from error


def attr(item: h5py.HLObject, name: str, default: object = None) -> Any:
    """An attribute; of a damaged file one may have any shape.

    Raises:
        RtdecodeError: it has more values than an attribute can have.
    """
    if name not in item.attrs:
        return default
    shape = item.attrs.get_id(name).shape or ()
    if math.prod(shape) > _MOST_IN_ATTR:
        raise RtdecodeError(
            f"the attribute {name} has shape {shape}",
            where=f"{item.file.filename}:{item.name}",
            fix="copy the file again from where it was recorded",
        )
    return item.attrs[name]


def text(item: h5py.HLObject, name: str) -> str:
    """An attribute, or a dataset of one value, of a group as text; "" where there is none."""
    if name in item.attrs:
        value = attr(item, name)
    elif isinstance(item, h5py.Group) and isinstance(found := item.get(name), h5py.Dataset):
        value = found[()]
    else:
        return ""
    if isinstance(value, np.ndarray) and value.size == 1:
        value = value.reshape(-1)[0]
    return as_text(value).strip()


def texts(values: NDArray[Any]) -> list[str]:
    """The values of an array of strings."""
    return [as_text(value) for value in values.reshape(-1).tolist()]


def number(value: object, default: float) -> float:
    """A number as it was meant: float32 0.02 is 0.02; what is no finite number is `default`."""
    if isinstance(value, np.ndarray) and value.size == 1:
        value = value.reshape(-1)[0]
    found = as_number(value)
    if found is None or not math.isfinite(found):
        return default
    return float(str(value)) if isinstance(value, np.float32) else found


def is_numeric(dataset: h5py.Dataset) -> bool:
    """Whether it holds real numbers or truth values."""
    return (
        dataset.dtype.kind in "iuf"
        or h5py.check_enum_dtype(dataset.dtype) is not None
        or dataset.dtype == bool
    )


def is_text(dataset: h5py.Dataset) -> bool:
    """Whether it holds strings."""
    return dataset.dtype.kind == "S" or h5py.check_string_dtype(dataset.dtype) is not None
