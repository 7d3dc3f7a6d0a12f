"""New heads for frozen networks: ridge regression of what the base misses today on what its heads read.

change, offset, chosen = refit_heads(read, missed, learnt, chosen_by, sd)

Without torch. With a large penalty the base stays as it is, so few labels do little.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve

F8 = NDArray[np.float64]

#: λ, in numbers of bins: what the labels have to weigh against.
PENALTIES_S = tuple(0.25 * 4.0**i for i in range(9))

_CHUNK_ROWS = 8192


@dataclass(frozen=True, eq=False)
class Heads:
    """What is added to the heads.

    Attributes:
        change: f8[F, D], in the outputs' units.
        offset: f8[D].
        penalty_s: of each output, in seconds of labels; f8[D].
    """

    change: F8
    offset: F8
    penalty_s: F8


def refit_heads(
    read: NDArray[np.float32],
    missed: NDArray[np.float32],
    learnt: NDArray[np.bool_],
    chosen_by: NDArray[np.bool_],
    bin_width_s: float,
) -> Heads:
    """Regress what a model misses on its features.

    y = change·(f − f̄) + mean(y), with λ·Σ (sd(f)·change)² for a penalty, λ of each output the one whose fit
    to the bins before `chosen_by` does best there.

    Args:
        read: f4[T, F], what the heads read.
        missed: f4[T, D], targets less what the model decodes.
        learnt: bool[T].
        chosen_by: bool[T], the last part of `learnt`.
        bin_width_s: seconds.
    """
    before = learnt & ~chosen_by
    moments = _Moments.of(read, missed, before)
    tried = []
    for penalty_s in PENALTIES_S:
        change, offset = moments.solved(penalty_s / bin_width_s)
        left = missed[chosen_by] - (read[chosen_by] @ change + offset)
        tried.append((left.astype(np.float64) ** 2).sum(axis=0))
    best = np.argmin(tried, axis=0)
    whole = _Moments.of(read, missed, learnt)
    change = np.zeros((read.shape[1], missed.shape[1]))
    offset = np.zeros(missed.shape[1])
    for i in np.unique(best):
        columns = best == i
        found, shift = whole.solved(PENALTIES_S[i] / bin_width_s)
        change[:, columns], offset[columns] = found[:, columns], shift[columns]
    return Heads(change, offset, np.array(PENALTIES_S)[best])


@dataclass(frozen=True, eq=False)
class _Moments:
    """Of some rows: means, Gram matrix f8[F, F] of the centred and scaled features, and with y f8[F, D]."""

    mean: F8
    scale: F8
    y_mean: F8
    gram: F8
    cross: F8

    @staticmethod
    def of(read: NDArray[np.float32], missed: NDArray[np.float32], rows: NDArray[np.bool_]) -> _Moments:
        where = np.flatnonzero(rows)
        mean = read[where].mean(axis=0, dtype=np.float64)
        sd = read[where].std(axis=0, dtype=np.float64)
        y_mean = missed[where].mean(axis=0, dtype=np.float64)
        scale = np.divide(1.0, sd, out=np.zeros_like(sd), where=sd > 0)
        gram = np.zeros((len(mean), len(mean)))
        cross = np.zeros((len(mean), len(y_mean)))
        for first in range(0, len(where), _CHUNK_ROWS):
            chunk = where[first : first + _CHUNK_ROWS]
            x = (read[chunk] - mean) * scale
            gram += x.T @ x
            cross += x.T @ (missed[chunk] - y_mean)
        return _Moments(mean, scale, y_mean, gram, cross)

    def solved(self, penalty: float) -> tuple[F8, F8]:
        """Weights f8[F, D] and offset f8[D] for raw features."""
        regular = self.gram + penalty * np.eye(len(self.mean))
        change = self.scale[:, np.newaxis] * cho_solve(cho_factor(regular, lower=True), self.cross)
        return change, self.y_mean - self.mean @ change
