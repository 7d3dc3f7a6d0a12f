"""Ridge regression on lags of signals, causal or centred; penalties by blocked cross-validation.

fit = fit_ridge([counts], [targets], edges=(0, 1, 2, 4), expected=np.ones((3, 96)))
fit(counts)                                     # f8[T, D]
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve

from rtdecode.errors import RtdecodeError
from rtdecode.kernels.arrays import F4, F8, I4, I8, U1, Mask
from rtdecode.models.linear.known import columns_by_rows

PENALTIES = tuple(0.025 * 4.0**i for i in range(6))
N_FOLDS = 5

_CHUNK_ROWS = 2048

Signals = U1 | F8


@dataclass(frozen=True, eq=False)
class RidgeFit:
    """A fitted filter: y[t] = bias + Σ_g weight[g] · Σ x[t − lags of group g].

    Attributes:
        edges: increasing; group g holds the lags edges[g] … edges[g+1] − 1, negative for signals after t.
        weight: f4[groups, P, D].
        bias: f8[D].
        penalty: f8[D], the ridge penalty chosen for each output.
        cv_r2: f8[D], R² over the validation folds at that penalty; NaN for a constant target.
        n_rows: rows that went into the regression of the output that has most.
    """

    edges: tuple[int, ...]
    weight: F4
    bias: F8
    penalty: F8
    cv_r2: F8
    n_rows: int

    def __call__(self, signals: Signals) -> F8:
        """Outputs f8[T, D] of signals [T, P]; signals before the first and after the last row count as 0."""
        before, after = max(0, self.edges[-1] - 1), max(0, -self.edges[0])
        around: Any = np.pad(signals, ((before, after), (0, 0)))
        padded = _Recording.of(around, np.empty((0, len(self.bias))), self.edges)
        weight = self.weight.reshape(-1, len(self.bias)).astype(np.float64)
        values = np.empty((len(signals), len(self.bias)))
        for rows in _in_chunks(np.arange(len(signals))):
            values[rows] = padded.features(rows + before) @ weight + self.bias
        return values


def fit_ridge(
    signals: Sequence[Signals],
    targets: Sequence[NDArray[np.floating]],
    edges: tuple[int, ...],
    expected: F8,
    *,
    penalties: Sequence[float] = PENALTIES,
    n_folds: int = N_FOLDS,
    progress: Callable[[float], None] = lambda _: None,
) -> RidgeFit:
    """Fit one filter to one or more recordings.

    Weights are constant over groups of lags. The penalty is chosen for each output by cross-validation: each
    recording is cut into `n_folds` blocks in time, and rows that share signals with the validation block are
    in neither part. Rows without all of their lags inside the recording are left out: signals outside are
    unknown, not zero. Each output is fitted to all rows that have it, whatever is unknown of the others.

    Args:
        signals: u1[T, P] or f8[T, P] for each recording.
        targets: [T, D] for each, NaN where unknown. An output that is unknown throughout gets weights and
            a bias of 0.
        edges: of the groups of lags, see `RidgeFit`.
        expected: f8[groups, P], relative size of the weights that features of SD 1 are expected to have.
        penalties: to choose from, relative to the mean variance of a feature that is scaled so.
        n_folds: at least 2.
        progress: called with the completed fraction of the work.

    Raises:
        RtdecodeError: the rows with targets are too few for the folds.
    """
    recordings = [_Recording.of(each, target, edges) for each, target in zip(signals, targets, strict=True)]
    known = np.isfinite(np.concatenate(targets))
    ends = np.cumsum([len(target) for target in targets])[:-1]
    groups = [group for group in columns_by_rows(known) if group[1].any() or not known.any()]
    fits: list[tuple[Mask, RidgeFit]] = []
    for columns, rows in groups:
        usable = [each.usable(part) for each, part in zip(recordings, np.split(rows, ends), strict=True)]
        before = len(fits)
        own = _fit(
            recordings,
            usable,
            expected.reshape(-1),
            np.asarray(penalties, dtype=np.float64),
            n_folds,
            lambda done, before=before: progress((before + done) / len(groups)),  # type: ignore[misc]
        )
        fits.append((columns, own))

    def of_each(name: str, unknown: float) -> Any:
        merged = np.full_like(getattr(fits[0][1], name), unknown)
        for columns, own in fits:
            merged[..., columns] = getattr(own, name)[..., columns]
        return merged

    return RidgeFit(
        edges=edges,
        weight=of_each("weight", 0.0),
        bias=of_each("bias", 0.0),
        penalty=of_each("penalty", max(penalties)),
        cv_r2=of_each("cv_r2", np.nan),
        n_rows=max(own.n_rows for _, own in fits),
    )


def _fit(
    recordings: Sequence[_Recording],
    usable: Sequence[I8],
    scale: F8,
    offered: F8,
    n_folds: int,
    progress: Callable[[float], None],
) -> RidgeFit:
    """The fit to the same rows of each recording.

    Of all outputs, also those unknown there, which the caller leaves out: products of matrices of another
    shape could differ in their last bits, and no output may depend on what is unknown of another.
    """
    edges = recordings[0].edges
    span = edges[-1] - edges[0]
    total = _Sums.over(recordings, usable)
    error, variation = np.zeros((len(offered), total.y.size)), np.zeros(total.y.size)
    for fold in range(n_folds):
        progress((fold + 1) / (n_folds + 2))
        held = [np.array_split(rows, n_folds)[fold] for rows in usable]
        near = [_within(span, rows, block) for rows, block in zip(usable, held, strict=True)]
        rest = total.minus(_Sums.over(recordings, near))
        if rest.n < 2:
            raise RtdecodeError(
                f"only {total.n} bins have targets and all {span} bins of lags: too few for {n_folds} folds",
                fix="use a longer session",
            )
        fold_error, fold_variation = _validate(recordings, held, *_ridge(rest, scale, offered))
        error += fold_error
        variation += fold_variation

    progress((n_folds + 1) / (n_folds + 2))
    best = error.argmin(axis=0)
    chosen, which = np.unique(best, return_inverse=True)
    slopes, _ = _ridge(total, scale, offered[chosen])
    outputs = np.arange(total.y.size)
    weight = slopes[which, :, outputs].reshape(outputs.size, len(edges) - 1, -1).astype(np.float32)
    # From the weights as rounded, so that the mean of the fitted values is the mean of the targets.
    rounded = weight.reshape(outputs.size, -1).astype(np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        cv_r2 = 1.0 - error[best, outputs] / variation
    progress(1.0)
    return RidgeFit(
        edges=edges,
        weight=np.ascontiguousarray(weight.transpose(1, 2, 0)),
        bias=total.y / total.n - rounded @ (total.x / total.n),
        penalty=offered[best],
        cv_r2=np.where(variation > 0, cv_r2, np.nan),
        n_rows=total.n,
    )


@dataclass(frozen=True, eq=False)
class _Recording:
    """One recording, from which features of any of its rows are computed.

    Attributes:
        running: i4[T+1, P] or f8[T+1, P], sum of the signals before each row. Only differences are used, so
            that whole numbers may wrap.
        targets: f8[T, D]; 0 where unknown.
        edges: of the groups of lags.
    """

    running: I4 | F8
    targets: F8
    edges: tuple[int, ...]

    @classmethod
    def of(cls, signals: Signals, targets: NDArray[np.floating], edges: tuple[int, ...]) -> _Recording:
        dtype = np.int32 if signals.dtype == np.uint8 else np.float64
        running = np.zeros((len(signals) + 1, signals.shape[1]), dtype=dtype)
        np.cumsum(signals, axis=0, dtype=dtype, out=running[1:])
        return cls(running, np.where(np.isfinite(targets), targets, 0.0).astype(np.float64), edges)

    def usable(self, known: Mask) -> I8:
        """The rows among bool[T] with all of their lags inside the recording."""
        rows = np.flatnonzero(known)
        return rows[(rows >= self.edges[-1] - 1) & (rows < len(self.targets) + self.edges[0])]

    def features(self, rows: I8) -> F4 | F8:
        """Sums over groups of lags [n, groups·P], group after group: f4 of counts, f8 of other signals."""
        before = [self.running[rows + 1 - edge] for edge in self.edges]
        sums = np.concatenate([late - early for late, early in pairwise(before)], axis=1)
        return sums.astype(np.float32) if sums.dtype == np.int32 else sums

    def chunks(self, rows: I8) -> Iterator[tuple[F4 | F8, F8]]:
        """Features and targets f8[n, D] of some rows at a time."""
        for part in _in_chunks(rows):
            yield self.features(part), self.targets[part]


@dataclass(frozen=True, eq=False)
class _Sums:
    """Sufficient statistics of ridge regression: sums over rows."""

    n: int
    x: F8
    y: F8
    xx: F8
    xy: F8

    @classmethod
    def over(cls, recordings: Sequence[_Recording], rows: Sequence[I8]) -> _Sums:
        n_outputs = recordings[0].targets.shape[1]
        n_features = recordings[0].running.shape[1] * (len(recordings[0].edges) - 1)
        n, x, y = 0, np.zeros(n_features), np.zeros(n_outputs)
        xx, xy = np.zeros((n_features, n_features)), np.zeros((n_features, n_outputs))
        for recording, part in zip(recordings, rows, strict=True):
            for features, targets in recording.chunks(part):
                n += len(features)
                x += features.sum(axis=0, dtype=np.float64)
                y += targets.sum(axis=0)
                # Products of counts are whole numbers, which float32 adds exactly up to 2²⁴, twice as fast.
                xx += features.T @ features
                xy += features.T.astype(np.float64) @ targets
        return cls(n, x, y, xx, xy)

    def minus(self, other: _Sums) -> _Sums:
        return _Sums(
            self.n - other.n, self.x - other.x, self.y - other.y, self.xx - other.xx, self.xy - other.xy
        )


def _ridge(sums: _Sums, expected: F8, penalties: F8) -> tuple[F8, F8]:
    """Slopes f8[L, features, D] and offsets f8[L, D] on raw features, for each penalty."""
    mean_x, mean_y = sums.x / sums.n, sums.y / sums.n
    covariance = sums.xx / sums.n
    covariance -= np.outer(mean_x, mean_x)
    variance = np.diag(covariance).copy()
    varies = variance > 1e-9
    scale = np.zeros_like(variance)
    scale[varies] = expected[varies] / np.sqrt(variance[varies])
    if varies.any():
        scale /= np.sqrt(np.mean(expected[varies] ** 2))
    covariance *= scale[:, np.newaxis]
    covariance *= scale
    shared = (sums.xy / sums.n - np.outer(mean_x, mean_y)) * scale[:, np.newaxis]

    slopes = np.empty((len(penalties), *shared.shape))
    diagonal = np.einsum("ii->i", covariance)
    level = diagonal.copy()
    for i, penalty in enumerate(penalties):
        diagonal[:] = level + penalty
        factor = cho_factor(covariance, lower=True, check_finite=False)
        slopes[i] = cho_solve(factor, shared, check_finite=False) * scale[:, np.newaxis]
    return slopes, mean_y - np.einsum("p,lpd->ld", mean_x, slopes)


def _validate(recordings: Sequence[_Recording], rows: Sequence[I8], slopes: F8, offsets: F8) -> tuple[F8, F8]:
    """Squared error f8[L, D] of each penalty, and the targets' squared distance f8[D] from their mean."""
    n_penalties, n_features, n_outputs = slopes.shape
    stacked = slopes.transpose(1, 0, 2).reshape(n_features, -1).astype(np.float32)
    error, variation = np.zeros((n_penalties, n_outputs)), np.zeros(n_outputs)
    for recording, part in zip(recordings, rows, strict=True):
        if not len(part):
            continue
        mean = recording.targets[part].mean(axis=0)
        for features, targets in recording.chunks(part):
            decoded = (features @ stacked).reshape(-1, n_penalties, n_outputs) + offsets
            error += ((decoded - targets[:, np.newaxis]) ** 2).sum(axis=0)
            variation += ((targets - mean) ** 2).sum(axis=0)
    return error, variation


def _within(span: int, rows: I8, block: I8) -> I8:
    """The rows less than `span` away from the block's first or last row, or between them."""
    if not len(block):
        return block
    near: I8 = rows[(rows > block[0] - span) & (rows < block[-1] + span)]
    return near


def _in_chunks(rows: I8) -> Iterator[I8]:
    for first in range(0, len(rows), _CHUNK_ROWS):
        yield rows[first : first + _CHUNK_ROWS]
