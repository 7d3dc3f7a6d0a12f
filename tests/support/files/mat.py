"""MATLAB files of both versions with the same variables.

Values are arrays as MATLAB shows them, texts, dicts (structs), lists of dicts (struct arrays), arrays of
objects (cells) and SciPy's sparse arrays.
"""

from __future__ import annotations

from itertools import count
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from scipy.io import savemat
from scipy.sparse import csc_array, issparse

#: Of what cells and struct arrays refer to.
NUMBERS = count()

CLASSES = {
    "f8": "double",
    "f4": "single",
    "u1": "uint8",
    "i2": "int16",
    "i4": "int32",
    "i8": "int64",
    "b1": "logical",
}


def cell(*rows: list[Any]) -> Any:
    """A cell array of these rows."""
    found = np.empty((len(rows), len(rows[0])), object)
    for i, row in enumerate(rows):
        for j, value in enumerate(row):
            found[i, j] = value
    return found


def column(*values: float) -> Any:
    """A column of numbers."""
    return np.array(values, np.float64).reshape(-1, 1)


def write_mat(path: Path, version: str, **variables: Any) -> Path:
    """Write a file of version "5", "5 packed" or "7.3"."""
    if version != "7.3":
        plain = {name: _v5(value) for name, value in variables.items()}
        savemat(path, plain, do_compression=version == "5 packed")
        return path
    with h5py.File(path, "w", userblock_size=512) as file:
        refs = file.create_group("#refs#")
        for name, value in variables.items():
            _v73(file, name, value, refs)
    with path.open("r+b") as head:
        head.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(124) + b"\x00\x02IM")
    return path


def _v5(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _v5(each) for name, each in value.items()}
    if isinstance(value, list):
        found = np.empty((1, len(value)), [(name, object) for name in value[0]])
        for i, each in enumerate(value):
            found[0, i] = tuple(_v5(each[name]) for name in value[0])
        return found
    if isinstance(value, np.ndarray) and value.dtype == object:
        found = np.empty(value.shape, object)
        for i, each in np.ndenumerate(value):
            found[i] = _v5(each)
        return found
    return value


def _v73(group: Any, name: str, value: Any, refs: Any) -> Any:
    if isinstance(value, dict):
        made = group.create_group(name)
        made.attrs["MATLAB_class"] = np.bytes_(b"struct")
        for field, each in value.items():
            _v73(made, field, each, refs)
        return made
    if isinstance(value, list):
        made = group.create_group(name)
        made.attrs["MATLAB_class"] = np.bytes_(b"struct")
        for field in value[0]:
            made[field] = _refs([each[field] for each in value], refs).reshape(-1, 1)
        return made
    if issparse(value):
        sparse = csc_array(value)
        made = group.create_group(name)
        made.attrs.update(MATLAB_class=np.bytes_(b"double"), MATLAB_sparse=np.uint64(sparse.shape[0]))
        made["jc"] = sparse.indptr.astype("u8")
        if sparse.nnz:
            made["data"], made["ir"] = sparse.data.astype("f8"), sparse.indices.astype("u8")
        return made
    kind, stored = "cell", value
    if isinstance(value, str):
        kind, stored = "char", np.array([[ord(letter) for letter in value]], np.uint16)
    elif value.dtype != object:
        kind = CLASSES[value.dtype.str[1:]]
    if stored.size == 0:
        made = group.create_dataset(name, data=np.array(stored.shape, np.uint64))
        made.attrs["MATLAB_empty"] = np.uint8(1)
    elif kind == "cell":
        made = group.create_dataset(name, data=_refs(list(stored.T.ravel()), refs).reshape(stored.T.shape))
    else:
        made = group.create_dataset(name, data=np.ascontiguousarray(stored.T))
    made.attrs["MATLAB_class"] = np.bytes_(kind.encode())
    return made


def _refs(values: list[Any], refs: Any) -> Any:
    found = np.empty(len(values), h5py.ref_dtype)
    for i, value in enumerate(values):
        found[i] = _v73(refs, f"r{next(NUMBERS)}", value, refs).ref
    return found
