"""What holds for every linear decoder that is fitted to counts and targets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from rtdecode.errors import RtdecodeError
from rtdecode.models.linear.kalman import KalmanFit, fit_kalman
from rtdecode.models.linear.wiener import WienerFit, fit_wiener

WIDTH_S, COUNT_MAX = 0.02, 20

Fit = WienerFit | KalmanFit
Fitter = Callable[..., Fit]


def wiener(counts: Any, targets: Any, **options: Any) -> WienerFit:
    return fit_wiener([counts], [targets], WIDTH_S, count_max=COUNT_MAX, **options)


def kalman(counts: Any, targets: Any, **options: Any) -> KalmanFit:
    velocities = {0: 2, 1: 3}
    return fit_kalman([counts], [targets], WIDTH_S, count_max=COUNT_MAX, velocity_of=velocities, **options)


@pytest.fixture(params=[wiener, kalman])
def fit(request: pytest.FixtureRequest) -> Fitter:
    fitter: Fitter = request.param
    return fitter


def simulate(n_bins: int, n_channels: int = 20) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Counts tuned to x, y, vx and vy, which wander."""
    rng = np.random.default_rng(7)
    time_s = np.arange(0.0, 3.0, WIDTH_S)
    velocity, position = (np.empty((n_bins, 2)) for _ in range(2))
    for axis in range(2):
        velocity[:, axis] = np.convolve(rng.normal(size=n_bins), time_s * np.exp(-time_s / 0.15))[:n_bins]
        position[:, axis] = np.convolve(velocity[:, axis], np.exp(-time_s))[:n_bins]
    targets = np.concatenate([position, velocity], axis=1)
    targets /= targets.std(axis=0)
    drive = targets @ rng.normal(size=(4, n_channels))
    counts = rng.poisson(np.maximum(0.0, 30.0 + 8.0 * drive) * WIDTH_S).clip(0, 255).astype(np.uint8)
    return counts, targets.astype(np.float32)


def arrays_of(fitted: Fit) -> list[NDArray[Any]]:
    return [value for value in vars(fitted).values() if isinstance(value, np.ndarray)]


def weights_of(fitted: Fit) -> NDArray[np.float32]:
    """[C, …], what a spike of each channel changes."""
    return fitted.weight if isinstance(fitted, WienerFit) else fitted.observe


def test_counts_are_clipped_before_training(fit: Fitter) -> None:
    counts, targets = simulate(2000)
    counts[::7, 2] = 200
    fitted, clipped = fit(counts, targets), fit(np.minimum(counts, COUNT_MAX), targets)
    for array, same in zip(arrays_of(fitted), arrays_of(clipped), strict=True):
        np.testing.assert_array_equal(array, same)


def test_dead_channels_are_masked_with_zero_weights(fit: Fitter) -> None:
    counts, targets = simulate(3000)
    counts[:, 1] = 0
    counts[:, 4] = 3
    counts[:, 7] = 0
    counts[100:102, 7] = 1  # 2 spikes in 60 s
    fitted = fit(counts, targets)
    weights = weights_of(fitted).reshape(len(fitted.good), -1)
    assert np.flatnonzero(~fitted.good).tolist() == [1, 4, 7]
    assert not weights[~fitted.good].any()
    assert weights[fitted.good].any(axis=1).all()
    assert np.isfinite(weights).all()
    if isinstance(fitted, KalmanFit):
        assert not fitted.count_mean[~fitted.good].any()


def test_channels_that_fire_in_one_fold_only_or_alike_do_no_harm(fit: Fitter) -> None:
    counts, targets = simulate(3000)
    counts[:, 0] = 0
    counts[1300:1500, 0] = 1
    counts[:, 5] = counts[:, 6]
    fitted = fit(counts, targets)
    assert all(np.isfinite(array).all() for array in arrays_of(fitted))
    assert fitted.cv_r2[2:].min() > 0.5


def test_a_constant_target_has_no_score(fit: Fitter) -> None:
    counts, targets = simulate(2000)
    targets[:, 1] = 5.3
    fitted = fit(counts, targets)
    assert np.isnan(fitted.cv_r2).tolist() == [False, True, False, False]
    assert fitted.bias[1] == pytest.approx(5.3, abs=1e-3)


def test_the_score_of_pure_noise_is_not_above_chance(fit: Fitter) -> None:
    rng = np.random.default_rng(3)
    counts = rng.poisson(0.5, size=(3000, 40)).astype(np.uint8)
    walk = np.cumsum(rng.normal(size=(3000, 4)), axis=0).astype(np.float32)
    assert fit(counts, walk).cv_r2.max() < 0.1


def test_silence_is_refused(fit: Fitter) -> None:
    counts, targets = simulate(1000)
    with pytest.raises(RtdecodeError, match="no channel fires"):
        fit(np.zeros_like(counts), targets)


def test_progress_increases_to_1(fit: Fitter) -> None:
    reported: list[float] = []
    fit(*simulate(2000), progress=reported.append)
    assert reported == sorted(reported)
    assert 0 < reported[0] < reported[-1] == 1.0
