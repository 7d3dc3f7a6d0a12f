"""The fit recovers the filter behind simulated data, and agrees with ridge regression written out."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from rtdecode.calibrate.data.metrics import r2
from rtdecode.errors import RtdecodeError
from rtdecode.models.linear.wiener import WienerFit, WienerSettings, centred_edges, fit_wiener, lag_edges

WIDTH_S = 0.02
COUNT_MAX = 20


def simulate(
    n_bins: int = 4000, n_channels: int = 10, n_outputs: int = 2, *, noise: float = 0.3, seed: int = 0
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Counts, and targets that are a filter of the last 300 ms of them plus noise."""
    rng = np.random.default_rng(seed)
    fixed = np.random.default_rng(99)
    truth, rate = fixed.normal(size=(n_channels, n_outputs)), fixed.uniform(0.1, 0.8, n_channels)
    counts = rng.poisson(rate, size=(n_bins, n_channels)).astype(np.uint8)
    recent = np.stack([np.convolve(column, np.ones(15))[:n_bins] for column in counts.T.astype(float)], 1)
    targets = recent @ truth
    targets += noise * targets.std(axis=0) * rng.normal(size=targets.shape)
    return counts, (targets + [3.0, -40.0][:n_outputs]).astype(np.float32)


def fitted(counts: Any, targets: Any, **settings: Any) -> WienerFit:
    return fit_wiener([counts], [targets], WIDTH_S, count_max=COUNT_MAX, settings=WienerSettings(**settings))


def decode(fit: WienerFit, counts: NDArray[np.uint8]) -> NDArray[np.float64]:
    values = np.tile(fit.bias, (len(counts), 1))
    for lag in range(fit.weight.shape[1]):
        values[lag:] += np.minimum(counts, COUNT_MAX)[: len(counts) - lag] @ fit.weight[:, lag].astype("f8")
    return values


def features(counts: NDArray[np.uint8], edges: tuple[int, ...]) -> NDArray[np.float64]:
    """Sums over groups of lags, written out: f8[T, groups·C]."""
    out = np.zeros((len(counts), len(edges) - 1, counts.shape[1]))
    for k in range(len(counts)):
        for group, (low, high) in enumerate(pairwise(edges)):
            out[k, group] = counts[max(0, k - high + 1) : max(0, k - low + 1)].sum(axis=0)
    return out.reshape(len(counts), -1)


def test_the_fit_is_ridge_regression_written_out() -> None:
    counts, targets = simulate(700)
    counts[:, 3] *= 9
    penalty = 0.7
    fit = fitted(counts, targets, penalties=[penalty])
    x = features(np.minimum(counts, COUNT_MAX), fit.lag_edges)[fit.lag_edges[-1] - 1 :]
    y = targets[fit.lag_edges[-1] - 1 :].astype(np.float64)
    rate = np.minimum(counts, COUNT_MAX).mean(axis=0) / WIDTH_S
    expected = ((rate / np.diff(fit.lag_edges)[:, np.newaxis]) ** 0.25).ravel()
    scale = expected / np.sqrt((expected**2).mean()) / x.std(axis=0)
    z = (x - x.mean(axis=0)) * scale
    solved = np.linalg.solve(z.T @ z + len(z) * penalty * np.eye(z.shape[1]), z.T @ (y - y.mean(axis=0)))
    slopes = (scale[:, np.newaxis] * solved).reshape(len(fit.lag_edges) - 1, 10, 2)
    weight = np.repeat(slopes, np.diff(fit.lag_edges), axis=0).transpose(1, 0, 2)
    np.testing.assert_allclose(fit.weight, weight, rtol=1e-4, atol=1e-6 * np.abs(weight).max())
    np.testing.assert_allclose(fit.bias, y.mean(axis=0) - x.mean(axis=0) @ slopes.reshape(-1, 2), rtol=1e-4)
    assert fit.n_rows == len(x)


def test_the_cross_validated_score_is_what_new_data_gets() -> None:
    counts, targets = simulate(6000)
    fit = fitted(counts, targets)
    new_counts, new_targets = simulate(6000, seed=1)
    rows = slice(fit.lag_edges[-1], None)
    score = r2(decode(fit, new_counts)[rows], new_targets[rows])
    assert (score > 0.75).all()
    np.testing.assert_allclose(fit.cv_r2, score, atol=0.03)


def test_the_chosen_penalty_has_the_best_score() -> None:
    counts, targets = simulate(1500, noise=1.0)
    chosen = fitted(counts, targets)
    for penalty in (0.025, 0.4, 25.6):
        alone = fitted(counts, targets, penalties=[penalty])
        assert (alone.cv_r2 <= chosen.cv_r2 + 1e-9).all()


def test_targets_near_a_validation_block_are_in_neither_part() -> None:
    rng = np.random.default_rng(4)
    counts = rng.poisson(0.5, size=(600, 5)).astype(np.uint8)
    targets = rng.normal(size=(600, 1)).astype(np.float32)
    plain = fitted(counts, targets, n_folds=2, penalties=[1.0])
    n_lags = plain.lag_edges[-1]
    usable = np.arange(n_lags - 1, 600)
    first, second = np.array_split(usable, 2)
    near = np.r_[first[-1] - n_lags + 2 : first[-1] + 1, second[0] : second[0] + n_lags - 1]
    error = 0.0
    for train, held in ((second[n_lags - 1 :], first), (first[: -(n_lags - 1)], second)):
        assert not set(train) & (set(near) | set(held))
        labels = np.full_like(targets, np.nan)
        labels[train] = targets[train]
        # With a single penalty the folds of this fit decide nothing.
        fit = fitted(counts, labels, n_folds=2, penalties=[1.0])
        error += float(((decode(fit, counts) - targets)[held] ** 2).sum())
    variation = sum(float(((targets[held] - targets[held].mean()) ** 2).sum()) for held in (first, second))
    assert plain.cv_r2[0] == pytest.approx(1 - error / variation, abs=1e-3)


def test_bins_without_targets_are_left_out() -> None:
    counts, targets = simulate(2000)
    garbage = counts.copy()
    targets[500:900] = np.nan
    fit = fitted(counts, targets)
    n_lags = fit.lag_edges[-1]
    assert fit.n_rows == 2000 - 400 - (n_lags - 1)
    half = targets.copy()
    half[500:900, 0] = 0.0
    of_half = fitted(counts, half)
    assert of_half.n_rows == 2000 - (n_lags - 1)
    np.testing.assert_array_equal(of_half.weight[..., 1], fit.weight[..., 1])
    # Counts that no usable bin looks back on, moved within the recording so that the rates stay.
    garbage[500 : 900 - n_lags + 1] = garbage[500 : 900 - n_lags + 1][::-1]
    other = fitted(garbage, targets)
    np.testing.assert_array_equal(other.weight, fit.weight)


def test_recordings_are_not_concatenated() -> None:
    counts, targets = simulate(2000)
    cut = 900
    fit = fit_wiener(
        [counts[:cut], counts[cut:]], [targets[:cut], targets[cut:]], WIDTH_S, count_max=COUNT_MAX
    )
    assert fit.n_rows == 2000 - 2 * (fit.lag_edges[-1] - 1)
    swapped = fit_wiener(
        [counts[cut:], counts[:cut]], [targets[cut:], targets[:cut]], WIDTH_S, count_max=COUNT_MAX
    )
    np.testing.assert_allclose(swapped.weight, fit.weight, rtol=1e-4, atol=1e-5)


def test_shortness_is_refused() -> None:
    counts, targets = simulate(1000)
    for n_bins in (50, 80, 150):
        n_rows = max(0, n_bins - 71)
        with pytest.raises(RtdecodeError, match=f"only {n_rows} bins have targets and all 72 bins of lags"):
            fitted(counts[:n_bins], targets[:n_bins])
    with pytest.raises(RtdecodeError, match="only 0 bins have targets"):
        fitted(counts, np.full_like(targets, np.nan))


def test_the_lag_groups_at_20_and_64_ms_are_the_documented_ones() -> None:
    assert lag_edges(1.5, 0.06, 0.02) == (0, 3, 6, 9, 12, 18, 24, 36, 48, 72)
    assert lag_edges(1.5, 0.06, 0.064) == (0, 1, 2, 3, 4, 6, 8, 12, 16, 24)
    assert lag_edges(0.0, 0.06, 0.02) == (0, 3)


@given(
    history_s=st.floats(0.0, 5.0),
    lag_width_s=st.floats(0.001, 0.5),
    bin_width_s=st.floats(0.001, 0.25),
    max_groups=st.none() | st.integers(1, 12),
)
def test_lag_edges_cover_the_history(
    history_s: float, lag_width_s: float, bin_width_s: float, max_groups: int | None
) -> None:
    edges = lag_edges(history_s, lag_width_s, bin_width_s, max_groups)
    widths = np.diff(edges)
    assert edges[0] == 0
    assert (widths > 0).all()
    shortest = max(1, round(lag_width_s / bin_width_s))
    n_history = history_s / bin_width_s
    assert edges[-1] == shortest or abs(edges[-1] - n_history) <= widths[-1]
    if max_groups is None:
        assert edges[1] == shortest
        assert (np.diff(widths) >= 0).all()
    else:
        assert len(widths) <= max_groups
        assert edges[-1] == lag_edges(history_s, lag_width_s, bin_width_s)[-1]


def test_centred_groups_mirror_those_of_the_past() -> None:
    assert centred_edges((0, 1, 2, 4)) == (-3, -1, 0, 1, 2, 4)
    assert centred_edges((0, 2, 4)) == (-2, 0, 2, 4)


def test_many_channels_get_wider_groups_rather_than_more_features() -> None:
    fit = fitted(*simulate(1000), max_features=40)
    assert fit.lag_edges == (0, 6, 12, 36, 72)
    assert fit.weight.shape == (10, 72, 2)
