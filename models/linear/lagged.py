"""Ridge regression on lags of signals: the Wiener filter of either direction, causal or centred."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from rtdecode.errors import RtdecodeError

F8 = NDArray[np.float64]

#: Relative to the mean variance of a feature.
PENALTIES = tuple(10.0 ** (k / 2) for k in range(-8, 7))
N_FOLDS = 5


@dataclass(frozen=True, eq=False)
class LaggedFilter:
    """y[t] = Σ_g weight[g] · Σ x[t − lags of group g] + bias.

    Attributes:
        edges: rising; group g are the lags edges[g] … edges[g+1] − 1, below 0 for what comes after t.
        weight: f8[groups, P, D].
        bias: f8[D].
        penalty: f8[D], chosen for each output.
    """

    edges: tuple[int, ...]
    weight: F8
    bias: F8
    penalty: F8

    def __call__(self, signals: F8) -> F8:
        """f8[T, D] of f8[T, P]; what lies outside of the recording counts as 0."""
        features = lagged(signals, self.edges)
        return np.asarray(features @ self.weight.reshape(-1, self.weight.shape[-1]) + self.bias)


def fit_lagged(
    signals: Sequence[F8], targets: Sequence[F8], edges: Sequence[int], n_folds: int = N_FOLDS
) -> LaggedFilter:
    """Fit one filter to some recordings; the penalty of each output by blocked cross-validation.

    Args:
        signals: f8[T, P] of each, of a mean near 0 and an SD near 1.
        targets: f8[T, D] of each; rows with a NaN are not learnt from.
        edges: of the groups of lags, see `LaggedFilter`.
        n_folds: blocks of each recording that take turns in being left out, with as much around them as
            the lags reach.

    Raises:
        RtdecodeError: fewer rows with targets than outputs of a fold.
    """
    features = [lagged(each, edges) for each in signals]
    rows = [np.flatnonzero(np.isfinite(each).all(axis=1)) for each in targets]
    if sum(map(len, rows)) < 10 * n_folds:
        raise RtdecodeError("too few bins have targets", fix="use a longer session")
    reach = max(abs(edges[0]), abs(edges[-1]))
    total = _sums(features, targets, rows)
    error = np.zeros((len(PENALTIES), targets[0].shape[1]))
    for fold in range(n_folds):
        held = [np.array_split(part, n_folds)[fold] for part in rows]
        near = [
            part[(part >= block[0] - reach) & (part <= block[-1] + reach)] if len(block) else part[:0]
            for part, block in zip(rows, held, strict=True)
        ]
        rest = [a - b for a, b in zip(total, _sums(features, targets, near), strict=True)]
        slopes, offsets = _ridge(rest)
        for x, y, block in zip(features, targets, held, strict=True):
            decoded = np.einsum("tp,lpd->ltd", x[block], slopes, optimize=True) + offsets[:, np.newaxis]
            error += ((decoded - y[block]) ** 2).sum(axis=1)
    best = error.argmin(axis=0)
    slopes, offsets = _ridge(total)
    outputs = np.arange(len(best))
    weight = slopes[best, :, outputs].T
    return LaggedFilter(
        edges=tuple(edges),
        weight=weight.reshape(len(edges) - 1, -1, len(best)),
        bias=offsets[best, outputs],
        penalty=np.asarray(PENALTIES)[best],
    )


def centred(edges: Sequence[int]) -> tuple[int, ...]:
    """Groups of lags to both sides of bin t from those of its past, which begin at 0.

    The group that holds bin t itself stays as it is, so that each further one has its mirror image.
    """
    own = edges[1]
    return (*(own - edge for edge in reversed(edges[1:])), *edges[1:])


def lagged(signals: F8, edges: Sequence[int]) -> F8:
    """Sums over groups of lags, f8[T, groups·P], group after group; 0 outside of the recording."""
    n = len(signals)
    before, after = max(0, edges[-1] - 1), max(0, -edges[0])
    running = np.cumsum(np.pad(signals, ((before + 1, after), (0, 0))), axis=0)
    t = np.arange(n) + before + 1
    return np.concatenate([running[t - first] - running[t - end] for first, end in pairwise(edges)], axis=1)


def _sums(features: Sequence[F8], targets: Sequence[F8], rows: Sequence[NDArray[np.intp]]) -> list[F8]:
    """n, Σx, Σy, Σxxᵀ and Σxyᵀ over the rows."""
    n_x, n_y = features[0].shape[1], targets[0].shape[1]
    total: list[F8] = [np.zeros(()), np.zeros(n_x), np.zeros(n_y), np.zeros((n_x, n_x)), np.zeros((n_x, n_y))]
    for each, target, part in zip(features, targets, rows, strict=True):
        x, y = each[part], target[part]
        for into, what in zip(
            total, (np.float64(len(part)), x.sum(axis=0), y.sum(axis=0), x.T @ x, x.T @ y), strict=True
        ):
            into += what
    return total


def _ridge(sums: Sequence[F8]) -> tuple[F8, F8]:
    """Slopes f8[L, features, D] and offsets f8[L, D], for each penalty."""
    n, x, y, xx, xy = sums
    mean_x, mean_y = x / n, y / n
    covariance = xx / n - np.outer(mean_x, mean_x)
    shared = xy / n - np.outer(mean_x, mean_y)
    values, vectors = np.linalg.eigh(covariance)
    along = vectors.T @ shared
    level = max(float(np.trace(covariance)) / len(covariance), np.finfo(np.float64).tiny)
    slopes = np.stack(
        [vectors @ (along / (np.maximum(values, 0.0) + p * level)[:, np.newaxis]) for p in PENALTIES]
    )
    return slopes, mean_y - np.einsum("p,lpd->ld", mean_x, slopes)
