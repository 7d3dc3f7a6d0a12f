"""Recordings with gaps, in pieces: each is given as one array, or as a list of those of its stretches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtdecode.kernels.arrays import I8


def pieces_of(recordings: Sequence[Any]) -> tuple[list[NDArray[Any]], list[int]]:
    """The pieces of all recordings, and how many each has."""
    lists = [each if isinstance(each, list) else [each] for each in recordings]
    return [piece for pieces in lists for piece in pieces], [len(pieces) for pieces in lists]


def in_one(
    pieces: Sequence[NDArray[Any]], n_pieces: Sequence[int], n_before: int, filling: float
) -> list[NDArray[Any]]:
    """One array [T, n] for each recording: pieces each after `n_before` rows of `filling`, as after a reset.

    A recording of one piece is that piece.
    """
    left, whole = iter(pieces), []
    for n in n_pieces:
        own = [next(left) for _ in range(n)]
        filled = np.full((n_before, own[0].shape[1]), filling, own[0].dtype)
        whole.append(np.concatenate([rows for each in own for rows in (filled, each)]) if n > 1 else own[0])
    return whole


def held_rows(rows: Sequence[I8], n_pieces: Sequence[int], n_folds: int, fold: int) -> list[I8]:
    """The rows of a fold: of each recording, one of `n_folds` blocks of its rows in time.

    Args:
        rows: of each piece, rising.
        n_pieces: of each recording.
        n_folds, fold: how many blocks there are, and which one it is.
    """
    held, ends = [], np.cumsum(n_pieces)
    for first, end in zip(ends - n_pieces, ends, strict=True):
        after = np.cumsum([len(piece) for piece in rows[first:end]])
        block = np.array_split(np.arange(after[-1]), n_folds)[fold]
        low, high = (int(block[0]), int(block[-1]) + 1) if len(block) else (0, 0)
        for piece, stop in zip(rows[first:end], after.tolist(), strict=True):
            start = stop - len(piece)
            held.append(piece[max(low - start, 0) : max(high - start, 0)])
    return held
