"""The variables of a MATLAB file as plain Python, the same for version 5 (SciPy) and 7.3 (HDF5).

| MATLAB | here |
| --- | --- |
| numeric, logical | an array of the size that MATLAB shows |
| sparse | SciPy's sparse matrix |
| char | str, of several rows a tuple of them |
| cell | an array of objects of that size |
| struct | a mapping of its fields; of several elements a list of mappings, column by column |
| table, object, function | None: only MATLAB reads them |

Variables of a file, and in version 7.3 the fields of a struct, are read when they are asked for, so that
waveforms beside the spikes cost nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

V5, V73 = b"MATLAB 5.0 MAT-file", b"MATLAB 7.3 MAT-file"

#: Deepest nesting of cells that is read.
DEEPEST = 12


class Lazy(Mapping[str, Any]):
    """A mapping whose values are read once they are asked for.

    Args:
        read: from a name to its value; by name.
        nested: names of those that are structs or cells, None for all.
    """

    def __init__(self, read: Mapping[str, Callable[[], Any]], nested: Sequence[str] | None = None) -> None:
        self._read, self._known = read, dict[str, Any]()
        self.nested = list(read) if nested is None else nested

    def __getitem__(self, name: str) -> Any:
        if name not in self._known:
            self._known[name] = self._read[name]()
        return self._known[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._read)

    def __len__(self) -> int:
        return len(self._read)


def version(path: Path) -> bytes:
    """V5 or V73, by the first bytes of a file; b"" for another one."""
    with path.open("rb") as file:
        head = file.read(len(V5))
    return head if head in (V5, V73) else b""


@contextmanager
def opened(path: Path) -> Iterator[Lazy]:
    """The variables of a file; none of them is read after the end."""
    if version(path) == V73:
        with h5py.File(path) as file:
            yield _group(file)
        return
    from scipy.io import loadmat, whosmat

    kinds = {name: kind for name, _, kind in whosmat(path)}

    def read(name: str) -> Any:
        return _plain(loadmat(path, variable_names=[name])[name])

    nested = [name for name, kind in kinds.items() if kind in ("struct", "cell")]
    yield Lazy({name: partial(read, name) for name in kinds}, nested)


def _plain(value: Any) -> Any:
    """A value of SciPy's."""
    if type(value).__name__ in ("MatlabOpaque", "MatlabFunction") or not isinstance(value, np.ndarray):
        return value if hasattr(value, "tocsc") else None
    if value.dtype.names:
        elements = [{name: _plain(each[name]) for name in value.dtype.names} for each in value.ravel("F")]
        return elements[0] if value.size == 1 else elements
    if value.dtype == object:
        return _filled(value.shape, [_plain(each) for each in value.ravel("F")])
    if value.dtype.kind == "U":
        return _text(value.ravel().tolist())
    return value


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
        return _filled(values.shape[::-1], elements)
    values = np.asarray(values)
    values = values.T if values.ndim > 1 else values.reshape(-1, 1)
    return _text(["".join(map(chr, row)) for row in values.tolist()]) if kind == "char" else values


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


def _text(rows: list[str]) -> str | tuple[str, ...]:
    rows = [row.rstrip("\0 ") for row in rows]
    return tuple(rows) if len(rows) > 1 else "".join(rows)


def _filled(shape: tuple[int, ...], elements: list[Any]) -> NDArray[Any]:
    """An array of objects, column by column."""
    flat = np.empty(len(elements), object)
    for i, element in enumerate(elements):
        flat[i] = element
    return flat.reshape(shape, order="F")


def numbers(value: Any) -> NDArray[np.float64] | None:
    """A real array as numbers of two or more dimensions; None for anything else."""
    if hasattr(value, "toarray"):
        value = value.toarray()
    if not isinstance(value, np.ndarray) or value.dtype.kind not in "fiub":
        return None
    return value.astype(np.float64)


def vector(value: Any) -> NDArray[np.float64] | None:
    """A real array of one row or column, or an empty one, f8[n]; None for anything else."""
    found = numbers(value)
    return None if found is None or found.size not in (0, max(found.shape, default=0)) else found.ravel()


def number(value: Any) -> float | None:
    """A single number; None for anything else."""
    found = numbers(value)
    return float(found.flat[0]) if found is not None and found.size == 1 else None


def texts(value: Any) -> list[str] | None:
    """Rows of a char array or the texts in a cell; None for anything else."""
    if isinstance(value, str):
        return [value] if value else []
    if isinstance(value, tuple):
        return list(value)
    if isinstance(value, np.ndarray) and value.dtype == object:
        found = [each for each in value.ravel("F") if isinstance(each, str)]
        return found if len(found) == value.size else None
    return None


def structs(value: Any) -> list[Mapping[str, Any]]:
    """The elements of a struct, or of a cell of structs; none of anything else."""
    if isinstance(value, Mapping):
        return [value]
    if isinstance(value, np.ndarray) and value.dtype == object:
        value = list(value.ravel("F"))
    return value if isinstance(value, list) and value and all(isinstance(e, Mapping) for e in value) else []
