"""What both versions of MATLAB's files are read into."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: Deepest nesting of cells and structs that is read.
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


def as_text(rows: list[str]) -> str | tuple[str, ...]:
    rows = [row.rstrip("\0 ") for row in rows]
    return tuple(rows) if len(rows) > 1 else "".join(rows)


def filled(shape: tuple[int, ...], elements: list[Any]) -> NDArray[Any]:
    """An array of objects, column by column."""
    flat = np.empty(len(elements), object)
    for i, element in enumerate(elements):
        flat[i] = element
    return flat.reshape(shape, order="F")
