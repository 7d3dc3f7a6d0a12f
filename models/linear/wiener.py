"""Fitting a Wiener filter: ridge regression from the recent spike counts to the outputs.

    fit = fit_wiener([counts], [targets], bin_width_s=0.020, count_max=20)
    fit.weight, fit.bias, fit.cv_r2

Arrays in, arrays out: `rtdecode.calibrate.fitting.fit` knows sessions and files, `WienerDecoder` steps
the result.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve

from rtdecode.errors import RtdecodeError
from rtdecode.models.alive import alive_channels, check_some_alive

HISTORY_S = 1.5
LAG_WIDTH_S = 0.06
PENALTIES = tuple(0.025 * 4.0**i for i in range(6))
N_FOLDS = 5
MAX_FEATURES = 4096

_CHUNK_ROWS = 2048

Rows = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class WienerFit:
    """A fitted filter: y[k] = bias + Σ_h Σ_c weight[c, h] · min(counts[k−h, c], count_max).

    Attributes:
        weight: f4[C, H, D], in units of the targets per spike; 0 for dead channels.
        bias: f8[D], in units of the targets.
        good: bool[C], False where a channel fires below 0.05 Hz or its count never changes.
        penalty: f8[D], the ridge penalty chosen for each output.
        cv_r2: f8[D], R² over the validation folds at that penalty; NaN for a constant target.
        lag_edges: the bins of history at which weights may change, from 0 to H.
        n_rows: bins that went into the regression.
    """

    weight: NDArray[np.float32]
    bias: NDArray[np.float64]
    good: NDArray[np.bool_]
    penalty: NDArray[np.float64]
    cv_r2: NDArray[np.float64]
    lag_edges: tuple[int, ...]
    n_rows: int


def fit_wiener(
    counts: Sequence[NDArray[np.uint8]],
    targets: Sequence[NDArray[np.float32]],
    bin_width_s: float,
    *,
    count_max: int,
    history_s: float = HISTORY_S,
    lag_width_s: float = LAG_WIDTH_S,
    penalties: Sequence[float] = PENALTIES,
    n_folds: int = N_FOLDS,
    progress: Callable[[float], None] | None = None,
) -> WienerFit:
    """Fit one filter to one or more recordings.

    Weights are constant over groups of lags (see `lag_edges`). The penalty is chosen for each output by
    cross-validation: each recording is cut into `n_folds` blocks in time, and bins within H of the
    validation block are in neither part. The penalty leans on busy channels and recent lags: the weight of
    a feature is expected to be (rate / width of the group)^¼ / SD of the feature.

    The first H−1 bins of a recording are left out: what was fired before it is unknown, not zero.

    Args:
        counts: u1[T, C] for each recording.
        targets: f4[T, D] for each; bins with a NaN are left out.
        bin_width_s: seconds.
        count_max: larger counts are clipped to it, as the decoder does.
        history_s: seconds of counts that the filter looks at; rounded to the nearest edge of a group.
        lag_width_s: seconds that each of the first four groups covers.
        penalties: to choose from, relative to the mean variance of a scaled feature.
        n_folds: at least 2.
        progress: called with the part of the work that is done, up to 1.

    Raises:
        RtdecodeError: no channel fires, or the bins with targets are too few for the folds.
    """
    report = progress if progress is not None else _ignore
    clipped = [np.minimum(block, np.uint8(count_max)) for block in counts]
    good = alive_channels(clipped, bin_width_s)
    check_some_alive(good)
    n_good = int(good.sum())
    duration_s = max(sum(map(len, clipped)), 1) * bin_width_s
    rate_hz = np.sum([block.sum(axis=0, dtype=np.float64) for block in clipped], axis=0) / duration_s
    edges = lag_edges(history_s, lag_width_s, bin_width_s, max_groups=max(1, MAX_FEATURES // n_good))
    n_lags = edges[-1]
    recordings = [
        _Recording.of(block[:, good], target, edges) for block, target in zip(clipped, targets, strict=True)
    ]
    usable = [recording.usable_rows() for recording in recordings]
    widths = np.diff(edges)[:, np.newaxis]
    expected = ((rate_hz[good] / widths) ** 0.25).reshape(-1)
    grid = np.asarray(penalties, dtype=np.float64)

    total = _Sums.over(recordings, usable)
    error, spread = np.zeros((len(grid), total.y.size)), np.zeros(total.y.size)
    for fold in range(n_folds):
        report((fold + 1) / (n_folds + 2))
        held = [np.array_split(rows, n_folds)[fold] for rows in usable]
        near = [_within(n_lags, rows, block) for rows, block in zip(usable, held, strict=True)]
        rest = total.minus(_Sums.over(recordings, near))
        if rest.n < 2:
            raise RtdecodeError(
                f"only {total.n} bins have targets and {n_lags} bins of history: too few for {n_folds} folds",
                fix="use a longer session",
            )
        fold_error, fold_spread = _validate(recordings, held, *_ridge(rest, expected, grid))
        error += fold_error
        spread += fold_spread

    report((n_folds + 1) / (n_folds + 2))
    best = error.argmin(axis=0)
    chosen, which = np.unique(best, return_inverse=True)
    slopes, _ = _ridge(total, expected, grid[chosen])
    outputs = np.arange(total.y.size)
    weight = np.zeros((good.size, n_lags, outputs.size), dtype=np.float32)
    grouped = slopes[which, :, outputs].reshape(outputs.size, len(edges) - 1, n_good)
    weight[good] = np.repeat(grouped, np.diff(edges), axis=1).transpose(2, 1, 0)
    # From the weights as rounded, so that the mean of the fitted values is the mean of the targets.
    rounded = grouped.reshape(outputs.size, -1).astype(np.float32).astype(np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        cv_r2 = 1.0 - error[best, outputs] / spread
    report(1.0)
    return WienerFit(
        weight=weight,
        bias=total.y / total.n - rounded @ (total.x / total.n),
        good=good,
        penalty=grid[best],
        cv_r2=np.where(spread > 0, cv_r2, np.nan),
        lag_edges=edges,
        n_rows=total.n,
    )


def lag_edges(
    history_s: float, lag_width_s: float, bin_width_s: float, max_groups: int | None = None
) -> tuple[int, ...]:
    """Where groups of lags begin and end, in bins: lags edges[i] to edges[i+1]−1 share their weights.

    In units of the lag width (rounded to whole bins, at least one) the edges are 0 1 2 3 4 6 8 12 16 24 32 …,
    two groups an octave: fine where movement is decided, coarse in the past. The last is the one nearest to
    `history_s`. Where that makes more than `max_groups` groups, neighbours are merged all along.
    """
    width = max(1, round(lag_width_s / bin_width_s))
    n_history = history_s / bin_width_s
    edges = [0, width]
    for edge in _octaves():
        if edge * width - n_history > n_history - edges[-1]:
            break
        edges.append(edge * width)
    if max_groups is not None and len(edges) - 1 > max_groups:
        edges = [edges[round(i)] for i in np.linspace(0, len(edges) - 1, max_groups + 1)]
    return tuple(edges)


def _octaves() -> Iterator[int]:
    yield from (2, 3)
    edge = 4
    while True:
        yield edge
        yield edge * 3 // 2
        edge *= 2


@dataclass(frozen=True, eq=False)
class _Recording:
    """One recording, ready to give the features of any of its rows.

    Attributes:
        running: i4[T+1, C], counts of each channel before each bin; only differences are used, so that
            it may wrap.
        targets: f8[T, D].
        edges: of the groups of lags.
    """

    running: NDArray[np.int32]
    targets: NDArray[np.float64]
    edges: tuple[int, ...]

    @classmethod
    def of(
        cls,
        counts: NDArray[np.uint8],
        targets: NDArray[np.float32],
        edges: tuple[int, ...],
    ) -> _Recording:
        running = np.zeros((len(counts) + 1, counts.shape[1]), dtype=np.int32)
        np.cumsum(counts, axis=0, dtype=np.int32, out=running[1:])
        return cls(running, np.asarray(targets, dtype=np.float64), edges)

    def usable_rows(self) -> Rows:
        """Rows with a whole history behind them and all their targets."""
        rows = np.flatnonzero(np.isfinite(self.targets).all(axis=1))
        return rows[rows >= self.edges[-1] - 1]

    def chunks(self, rows: Rows) -> Iterator[tuple[NDArray[np.float32], NDArray[np.float64]]]:
        """Features f4[n, groups·C] (group after group) and targets f8[n, D], some rows at a time."""
        for first in range(0, len(rows), _CHUNK_ROWS):
            part = rows[first : first + _CHUNK_ROWS]
            before = [self.running[part + 1 - edge] for edge in self.edges]
            features = np.concatenate([late - early for late, early in pairwise(before)], axis=1)
            yield features.astype(np.float32), self.targets[part]


@dataclass(frozen=True, eq=False)
class _Sums:
    """What ridge regression needs to know of some rows: sums over them, not the rows."""

    n: int
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    xx: NDArray[np.float64]
    xy: NDArray[np.float64]

    @classmethod
    def over(cls, recordings: Sequence[_Recording], rows: Sequence[Rows]) -> _Sums:
        n_outputs = recordings[0].targets.shape[1]
        n_features = recordings[0].running.shape[1] * (len(recordings[0].edges) - 1)
        n, x, y = 0, np.zeros(n_features), np.zeros(n_outputs)
        xx, xy = np.zeros((n_features, n_features)), np.zeros((n_features, n_outputs))
        for recording, part in zip(recordings, rows, strict=True):
            for features, targets in recording.chunks(part):
                n += len(features)
                x += features.sum(axis=0, dtype=np.float64)
                y += targets.sum(axis=0)
                # Products of counts: whole numbers, which float32 adds exactly up to 2²⁴, at twice the speed.
                xx += features.T @ features
                xy += features.T.astype(np.float64) @ targets
        return cls(n, x, y, xx, xy)

    def minus(self, other: _Sums) -> _Sums:
        return _Sums(
            self.n - other.n, self.x - other.x, self.y - other.y, self.xx - other.xx, self.xy - other.xy
        )


def _ridge(
    sums: _Sums, expected: NDArray[np.float64], penalties: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
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


def _validate(
    recordings: Sequence[_Recording],
    rows: Sequence[Rows],
    slopes: NDArray[np.float64],
    offsets: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Squared error f8[L, D] of each penalty, and the targets' squared distance f8[D] from their mean."""
    n_penalties, n_features, n_outputs = slopes.shape
    stacked = slopes.transpose(1, 0, 2).reshape(n_features, -1).astype(np.float32)
    error, spread = np.zeros((n_penalties, n_outputs)), np.zeros(n_outputs)
    for recording, part in zip(recordings, rows, strict=True):
        if not len(part):
            continue
        middle = recording.targets[part].mean(axis=0)
        for features, targets in recording.chunks(part):
            decoded = (features @ stacked).reshape(-1, n_penalties, n_outputs) + offsets
            error += ((decoded - targets[:, np.newaxis]) ** 2).sum(axis=0)
            spread += ((targets - middle) ** 2).sum(axis=0)
    return error, spread


def _within(n_lags: int, rows: Rows, block: Rows) -> Rows:
    """The rows less than `n_lags` away from the block's first or last row, or between them."""
    if not len(block):
        return block
    near: Rows = rows[(rows > block[0] - n_lags) & (rows < block[-1] + n_lags)]
    return near


def _ignore(_done: float) -> None:
    pass
