"""The variables of a MATLAB file of version 7.3, which is HDF5 with the dimensions in the other order."""

from __future__ import annotations

from functools import partial
from typing import Any

import h5py
import numpy as np

from rtdecode.tools.files.matlab.lazy import DEEPEST, Lazy, as_text, filled


def variables(file: Any) -> Lazy:
    """The variables of an open file."""
    return _group(file)


def _group(group: Any, depth: int = 0) -> Lazy:
    names = [name for name in group if not name.startswith("#")]
    nested = [name for name in names if isinstance(group[name], h5py.Group) or _refers(group[name])]
    return Lazy({name: partial(_member, group, name, depth) for name in names}, nested)


def _member(group: Any, name: str, depth: int) -> Any:
    return _node(group.file, group[name], depth)


def _referred(file: Any, ref: Any, depth: int) -> Any:
    return _node(file, file[ref], depth)


def _refers(dataset: Any) -> bool:
    return h5py.check_ref_dtype(dataset.dtype) is not None


def _node(file: Any, node: Any, depth: int) -> Any:
    """A value of HDF5: MATLAB's dimensions are in the other order."""
    if depth > DEEPEST:
        raise ValueError("it is nested too deeply")
    if isinstance(node, h5py.Group):
        return _sparse(node) if "MATLAB_sparse" in node.attrs else _struct(file, node, depth)
    kind = _class(node)
    if "MATLAB_object_decode" in node.attrs or kind == "function_handle":
        return None
    unmarked = not kind and node.dtype == np.uint64 and node.shape == (2,) and not np.any(node[()])
    if node.attrs.get("MATLAB_empty", 0) or unmarked:
        # What is stored are the dimensions.
        return _empty(kind, tuple(int(n) for n in np.ravel(node[()])))
    values = node[()]
    if _refers(node):
        elements = [_referred(file, ref, depth + 1) for ref in np.ravel(values)]
        return filled(values.shape[::-1], elements)
    values = np.asarray(values)
    values = values.T if values.ndim > 1 else values.reshape(-1, 1)
    return as_text(["".join(map(chr, row)) for row in values.tolist()]) if kind == "char" else values


def _struct(file: Any, group: Any, depth: int) -> Any:
    """A group is a struct; of several elements, each field is an array of references without a class."""
    fields = {name: group[name] for name in group}
    many = fields and all(
        isinstance(node, h5py.Dataset) and _refers(node) and not _class(node) for node in fields.values()
    )
    if not many:
        return _group(group, depth + 1)
    refs = {name: np.ravel(node[()]) for name, node in fields.items()}
    n = min(map(len, refs.values()))
    return [
        Lazy({name: partial(_referred, file, each[i], depth + 1) for name, each in refs.items()})
        for i in range(n)
    ]


def _sparse(group: Any) -> Any:
    from scipy.sparse import csc_array

    starts = group["jc"][()]
    held = (group["data"][()], group["ir"][()]) if "data" in group else (np.zeros(0), np.zeros(0, np.int64))
    return csc_array((*held, starts), shape=(int(group.attrs["MATLAB_sparse"]), len(starts) - 1))


def _class(node: Any) -> str:
    kind = node.attrs.get("MATLAB_class", b"")
    return kind.decode("ascii", "replace") if isinstance(kind, bytes) else str(kind)


def _empty(kind: str, shape: tuple[int, ...]) -> Any:
    if 0 not in shape:
        shape = (0, 0)
    if kind == "char":
        return ""
    if kind == "struct":
        return []
    return np.zeros(shape, object if kind == "cell" else np.float64)
