"""The three equations against NumPy and SciPy, and what they promise at edges and holes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter1d

from rtdecode.calibrate.signals.preprocess import (
    counts_per_window,
    gaussian_weights,
    resample_linear,
    smooth_gaussian,
    window_samples,
)
from rtdecode.errors import RtdecodeError
from rtdecode.session.bins import behavior_at
from rtdecode.session.layout import Behavior


@given(st.integers(1, 60), st.integers(1, 200), st.integers(0, 2**32 - 1))
def test_eq_1_is_numpys_interpolation(m: int, n: int, seed: int) -> None:
    x = np.random.default_rng(seed).normal(size=(m, 2))
    position = np.linspace(0, m - 1, n)
    expected = np.stack([np.interp(position, np.arange(m), x[:, d]) for d in range(2)], axis=1)
    resampled = resample_linear(x, n)
    assert resampled.dtype == np.float64
    np.testing.assert_allclose(resampled, expected, rtol=0, atol=1e-12)
    np.testing.assert_array_equal(resample_linear(x[:, 0], n), resampled[:, 0])


@given(st.integers(2, 40), st.integers(1, 30), st.integers(0, 2**32 - 1))
def test_eq_1_keeps_the_samples_it_passes(m: int, factor: int, seed: int) -> None:
    x = np.random.default_rng(seed).normal(size=m)
    finer = resample_linear(x, (m - 1) * factor + 1)
    np.testing.assert_array_equal(finer[::factor], x)
    np.testing.assert_array_equal(resample_linear(finer, m), x)


def test_eq_1_agrees_with_stamped_behavior() -> None:
    rng = np.random.default_rng(1)
    values = rng.normal(size=(101, 2)).astype(np.float32)
    behavior = Behavior(np.arange(101) * 0.001, values, ("x", "y"), ("V", "V"))
    t = np.arange(301) * (0.1 / 300)
    t[-1] = behavior.time[-1]
    np.testing.assert_allclose(resample_linear(values, 301), behavior_at(behavior, t), rtol=0, atol=1e-6)


def test_eq_1_does_not_spread_what_is_unknown() -> None:
    x = np.array([0.0, 1.0, np.nan, 3.0, 4.0])
    np.testing.assert_array_equal(
        resample_linear(x, 9), [0.0, 0.5, 1.0, np.nan, np.nan, np.nan, 3.0, 3.5, 4.0]
    )


@pytest.mark.parametrize(("shape", "n"), [((0, 2), 3), ((2, 2, 2), 3), ((), 3), ((4, 2), 0), ((4,), -1)])
def test_eq_1_refuses(shape: tuple[int, ...], n: int) -> None:
    with pytest.raises(RtdecodeError, match=r"shape|at least 1, got"):
        resample_linear(np.zeros(shape), n)


@given(st.integers(0, 100), st.integers(1, 4), st.integers(1, 30), st.integers(0, 2**32 - 1))
def test_eq_2_is_the_sum_over_each_window(n_samples: int, n_channels: int, window: int, seed: int) -> None:
    matrix = np.random.default_rng(seed).integers(0, 2, (n_samples, n_channels)).astype(np.uint8)
    counts = counts_per_window(matrix, window)
    assert counts.shape == (n_samples // window, n_channels)
    for k, row in enumerate(counts):
        np.testing.assert_array_equal(row, matrix[k * window : (k + 1) * window].sum(axis=0))


def test_eq_2_sums_do_not_wrap() -> None:
    assert counts_per_window(np.ones((1000, 1), np.uint8), 500).tolist() == [[500], [500]]
    assert counts_per_window(np.ones((1000, 1), np.bool_), 500).tolist() == [[500], [500]]


def test_eq_2_refuses() -> None:
    with pytest.raises(RtdecodeError, match="at least 1 sample, got 0"):
        counts_per_window(np.zeros((4, 2), np.uint8), 0)
    with pytest.raises(RtdecodeError, match=r"float64\[4, 2\]"):
        counts_per_window(np.zeros((4, 2)), 2)  # type: ignore[arg-type]
    with pytest.raises(RtdecodeError, match=r"uint8\[4\]"):
        counts_per_window(np.zeros(4, np.uint8), 2)


def test_samples_in_a_bin() -> None:
    assert window_samples(30_000.0, 0.020) == 600
    assert window_samples(30_000.0, 0.064) == 1920
    # Rates and widths that have been float32 somewhere.
    assert window_samples(30_000.0, float(np.float32(0.064))) == 1920
    for rate_hz, width_s in ((24_414.0625, 0.020), (30_000.0, 1e-5), (30_000.0, 0.0), (np.nan, 0.020)):
        with pytest.raises(RtdecodeError, match="not a whole number"):
            window_samples(rate_hz, width_s)


def test_eq_3_has_the_shape_of_the_bell() -> None:
    sd, k = 2.5, 10
    weights = gaussian_weights(sd, k)
    assert weights.sum() == pytest.approx(1.0, abs=1e-15)
    i = np.arange(-k, k + 1)
    bell = np.exp(-(i**2) / (2 * sd**2)) / (np.sqrt(2 * np.pi) * sd)
    # Cut off at four SD it misses little, so scaling it changes little.
    np.testing.assert_allclose(weights, bell, rtol=1e-3)


@given(
    st.integers(1, 120),
    st.floats(0.3, 6.0),
    st.floats(1.0, 5.0),
    st.integers(0, 2**32 - 1),
)
def test_eq_3_is_scipys_filter_scaled_at_the_edges(
    n: int, sd_samples: float, truncate: float, seed: int
) -> None:
    x = np.random.default_rng(seed).normal(size=(n, 2))
    smoothed = smooth_gaussian(x, sd_samples * 0.02, 0.02, truncate)
    kept = {"sigma": sd_samples * 0.02 / 0.02, "truncate": truncate, "axis": 0, "mode": "constant"}
    there = gaussian_filter1d(np.ones_like(x), **kept)
    np.testing.assert_allclose(smoothed, gaussian_filter1d(x, **kept) / there, rtol=0, atol=1e-12)


@given(
    st.lists(st.booleans(), min_size=1, max_size=80),
    st.floats(0.3, 6.0),
    st.floats(-1e3, 1e3),
)
def test_eq_3_leaves_a_constant_alone_whatever_is_missing(
    labelled: list[bool], sd_samples: float, level: float
) -> None:
    x = np.where(labelled, level, np.nan)
    # Numbers below 1e-300 are on the way to those that hold fewer digits.
    np.testing.assert_allclose(smooth_gaussian(x, sd_samples, 1.0), x, rtol=1e-12, atol=1e-300)


def test_eq_3_around_a_hole_is_the_mean_of_what_is_known() -> None:
    rng = np.random.default_rng(3)
    x = rng.normal(size=50)
    x[20:24], x[40] = np.nan, np.inf
    smoothed = smooth_gaussian(x, 0.06, 0.02)
    weights = gaussian_weights(3.0, 12)
    for t in range(50):
        if not np.isfinite(x[t]):
            assert np.isnan(smoothed[t])
            continue
        near = [s for s in range(max(0, t - 12), min(50, t + 13)) if np.isfinite(x[s])]
        w = np.array([weights[s - t + 12] for s in near])
        assert smoothed[t] == pytest.approx((w * x[near]).sum() / w.sum(), abs=1e-12)


def test_eq_3_treats_columns_apart_and_empty_as_empty() -> None:
    x = np.random.default_rng(4).normal(size=(30, 3)).astype(np.float32)
    x[5:9, 1] = np.nan
    smoothed = smooth_gaussian(x, 0.04, 0.02)
    for d in range(3):
        np.testing.assert_array_equal(smoothed[:, d], smooth_gaussian(x[:, d], 0.04, 0.02))
    assert np.isfinite(smoothed[:, [0, 2]]).all()
    assert smooth_gaussian(np.zeros((0, 2)), 0.04, 0.02).shape == (0, 2)


@pytest.mark.parametrize(
    ("sd_s", "sample_s", "truncate_sd"), [(0.0, 0.02, 4.0), (0.04, -1.0, 4.0), (0.04, 0.02, np.nan)]
)
def test_eq_3_refuses(sd_s: float, sample_s: float, truncate_sd: float) -> None:
    with pytest.raises(RtdecodeError, match="smoothing has a"):
        smooth_gaussian(np.zeros(10), sd_s, sample_s, truncate_sd)
    with pytest.raises(RtdecodeError, match="labels have shape"):
        smooth_gaussian(np.zeros((2, 2, 2)), 0.04, 0.02)
