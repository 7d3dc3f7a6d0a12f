"""Which columns of labels are known in the same rows, and so can be fitted together."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from rtdecode.kernels.arrays import Mask


def columns_by_rows(known: Mask) -> Iterator[tuple[Mask, Mask]]:
    """Groups of columns that are known in the same rows.

    Args:
        known: bool[T, D].

    Yields:
        The columns bool[D] and the rows bool[T] of each group, by the number of its first column.
    """
    left = np.ones(known.shape[1], np.bool_)
    while left.any():
        rows = known[:, left.argmax()]
        columns = left & (known == rows[:, np.newaxis]).all(axis=0)
        yield columns, rows
        left &= ~columns
