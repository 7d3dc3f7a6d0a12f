"""Stretches of bins that follow one another without a gap, by the row of the first bin of each."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

I8 = NDArray[np.int64]


def stretches(starts: I8 | None, n_bins: int) -> list[slice]:
    """The rows of each stretch.

    Args:
        starts: i8[S], row of the first bin of each, 0 first; None where all bins follow one another.
        n_bins: rows in all.
    """
    edges = [0, n_bins] if starts is None else [*starts.tolist(), n_bins]
    return [slice(first, end) for first, end in pairwise(edges)]


def starts_in(starts: I8, rows: slice) -> I8:
    """The starts of the stretches of some rows, from its first row on: a stretch may be cut."""
    inside = starts[(starts > rows.start) & (starts < rows.stop)]
    return np.append(0, inside - rows.start)
