"""Datasets of one group that grow together, row by row, with few HDF5 calls."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import h5py
import numpy as np
from numpy.typing import ArrayLike

Columns = Mapping[str, tuple[str, tuple[int, ...]]]
"""Of each dataset, by name: dtype and shape of a row."""


@dataclass(frozen=True)
class _Column:
    dataset: h5py.h5d.DatasetID
    type: h5py.h5t.TypeID
    dtype: np.dtype[Any]
    row_shape: tuple[int, ...]


class GrowingTable:
    """Empty datasets with unlimited rows that are appended to together.

    Args:
        group: where to create them.
        columns: dtype and shape of a row for each dataset. No strings of variable length: HDF5 keeps those in
            heaps it rewrites in place, and a kill during that makes it read forever.
        chunk_rows: rows of one chunk. Space is allocated by the chunk, unwritten parts are holes, and only a
            new chunk changes the index, so large chunks are cheap.

    Attributes:
        rows: appended so far.
    """

    def __init__(self, group: h5py.Group, columns: Columns, chunk_rows: int) -> None:
        self.rows = 0
        self._columns: list[_Column] = []
        for name, (dtype, row_shape) in columns.items():
            # A chunk has at least one column, also of the counts of no channels.
            dataset = group.create_dataset(
                name,
                shape=(0, *row_shape),
                maxshape=(None, *(n or None for n in row_shape)),
                chunks=(chunk_rows, *(n or 1 for n in row_shape)),
                dtype=dtype,
                fill_time="never",
            )
            # The first row makes HDF5 create the chunk index and store its address. Done now, so that later
            # only the length changes in the dataset's header.
            dataset.resize(1, axis=0)
            dataset[0] = np.zeros((), dtype)
            dataset.resize(0, axis=0)
            self._columns.append(
                _Column(dataset.id, h5py.h5t.py_create(dataset.dtype), dataset.dtype, row_shape)
            )

    def append(self, *columns: ArrayLike) -> None:
        """Append one array per dataset, in the order they were declared, all with the same number of rows.

        Raises:
            ValueError: arrays of different lengths, or of another number of columns than declared.
        """
        arrays = [
            np.ascontiguousarray(values, dtype=column.dtype)
            for values, column in zip(columns, self._columns, strict=True)
        ]
        count = len(arrays[0])
        if count == 0:
            return
        start, end = self.rows, self.rows + count
        for array, column in zip(arrays, self._columns, strict=True):
            if array.shape != (count, *column.row_shape):
                raise ValueError(f"{array.shape} does not fit {(count, *column.row_shape)}")
        for array, column in zip(arrays, self._columns, strict=True):
            shape = (end, *column.row_shape)
            column.dataset.set_extent(shape)
            if not array.size:
                continue
            space = h5py.h5s.create_simple(shape)
            space.select_hyperslab((start, *(0 for _ in column.row_shape)), array.shape)
            column.dataset.write(h5py.h5s.create_simple(array.shape), space, array, column.type)
        self.rows = end
