"""New heads for frozen networks: ridge regression of the base's residuals on the features its heads read.

heads = refit_heads(features, residuals, bin_width_s=0.02)
heads.change, heads.offset                  # f8[F, D], f8[D]

Without torch. With a large penalty the base does not change, so few labels have little effect.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve

from rtdecode.calibrate.data.splits import LAST_FIFTH, chronological_split
from rtdecode.models.linear.known import columns_by_rows

F8 = NDArray[np.float64]

#: Penalties λ, in seconds of labels.
PENALTIES_S = tuple(0.25 * 4.0**i for i in range(9))

_CHUNK_ROWS = 8192


@dataclass(frozen=True, eq=False)
class Heads:
    """Changes of the heads' weights.

    Attributes:
        change: f8[F, D], added to the weights, in the outputs' units per feature.
        offset: f8[D], added to the biases.
        penalty_s: of each output, in seconds of labels; f8[D].
    """

    change: F8
    offset: F8
    penalty_s: F8


def refit_heads(
    features: NDArray[np.float32],
    residuals: NDArray[np.float32],
    bin_width_s: float,
) -> Heads:
    """Regress a model's residuals on its features.

    y = change·(f − f̄) + mean(y), with the penalty λ·Σ (sd(f)·change)². For each output, λ is the one whose
    fit to its first four fifths of labels has the smallest error on the last. An output without labels does
    not change.

    Args:
        features: f4[T, F], input of the heads.
        residuals: f4[T, D], targets minus decoded values; NaN where an output is not trained on.
        bin_width_s: seconds.
    """
    known = np.isfinite(residuals)
    # All outputs at once, as in `fit_ridge`, so that what is unknown of one changes no bit of the others.
    filled = np.where(known, residuals, np.float32(0.0))
    n_outputs = residuals.shape[1]
    heads = Heads(
        np.zeros((features.shape[1], n_outputs)), np.zeros(n_outputs), np.full(n_outputs, PENALTIES_S[-1])
    )
    for columns, rows in columns_by_rows(known):
        if rows.any():
            own = _refit(features, filled, rows, bin_width_s)
            for name in ("change", "offset", "penalty_s"):
                getattr(heads, name)[..., columns] = getattr(own, name)[..., columns]
    return heads


def _refit(
    features: NDArray[np.float32],
    residuals: NDArray[np.float32],
    train: NDArray[np.bool_],
    bin_width_s: float,
) -> Heads:
    """The new heads from the same rows for all outputs."""
    _, validation = chronological_split(train, LAST_FIFTH)
    moments = _Moments.of(features, residuals, train & ~validation)
    errors = []
    for penalty_s in PENALTIES_S:
        change, offset = moments.solved(penalty_s / bin_width_s)
        left = residuals[validation] - (features[validation] @ change + offset)
        errors.append((left.astype(np.float64) ** 2).sum(axis=0))
    best = np.argmin(errors, axis=0)
    whole = _Moments.of(features, residuals, train)
    change = np.zeros((features.shape[1], residuals.shape[1]))
    offset = np.zeros(residuals.shape[1])
    for i in np.unique(best):
        columns = best == i
        found, shift = whole.solved(PENALTIES_S[i] / bin_width_s)
        change[:, columns], offset[columns] = found[:, columns], shift[columns]
    return Heads(change, offset, np.array(PENALTIES_S)[best])


@dataclass(frozen=True, eq=False)
class _Moments:
    """Means of some rows, Gram matrix f8[F, F] of their centred and scaled features, and with y f8[F, D]."""

    mean: F8
    scale: F8
    y_mean: F8
    gram: F8
    cross: F8

    @staticmethod
    def of(
        features: NDArray[np.float32], residuals: NDArray[np.float32], rows: NDArray[np.bool_]
    ) -> _Moments:
        where = np.flatnonzero(rows)
        mean = features[where].mean(axis=0, dtype=np.float64)
        sd = features[where].std(axis=0, dtype=np.float64)
        y_mean = residuals[where].mean(axis=0, dtype=np.float64)
        scale = np.divide(1.0, sd, out=np.zeros_like(sd), where=sd > 0)
        gram = np.zeros((len(mean), len(mean)))
        cross = np.zeros((len(mean), len(y_mean)))
        for first in range(0, len(where), _CHUNK_ROWS):
            chunk = where[first : first + _CHUNK_ROWS]
            x = (features[chunk] - mean) * scale
            gram += x.T @ x
            cross += x.T @ (residuals[chunk] - y_mean)
        return _Moments(mean, scale, y_mean, gram, cross)

    def solved(self, penalty: float) -> tuple[F8, F8]:
        """Weights f8[F, D] and offset f8[D] for raw features."""
        regular = self.gram + penalty * np.eye(len(self.mean))
        change = self.scale[:, np.newaxis] * cho_solve(cho_factor(regular, lower=True), self.cross)
        return change, self.y_mean - self.mean @ change
