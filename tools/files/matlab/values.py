"""The variables of a MATLAB file as plain Python, the same for versions 5 and 7.3.

| MATLAB | here |
| --- | --- |
| numeric, logical | an array of the size that MATLAB shows |
| sparse | SciPy's sparse matrix |
| char | str, of several rows a tuple of them |
| cell | an array of objects of that size |
| struct | a mapping of its fields; of several elements a list of mappings, column by column |
| table, object, function | None: only MATLAB reads them |

Variables and the fields of structs are read when they are asked for, so that waveforms beside the spikes cost
nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from rtdecode.tools.files.matlab import v5, v73
from rtdecode.tools.files.matlab.lazy import Lazy

V5, V73 = b"MATLAB 5.0 MAT-file", b"MATLAB 7.3 MAT-file"


#: Sparse arrays of more values are rasters, and left as they are.
MOST_DENSE = 1 << 24


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
            yield v73.variables(file)
    else:
        with path.open("rb") as plain:
            yield v5.variables(plain)


def numbers(value: Any) -> NDArray[np.float64] | None:
    """A real array as numbers of two or more dimensions; None for anything else."""
    if hasattr(value, "toarray") and math.prod(value.shape) <= MOST_DENSE:
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
