"""Ridge regression on lags against plain NumPy, for lags on both sides."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtdecode.errors import RtdecodeError
from rtdecode.models.linear.ridge import RidgeFit, fit_ridge


def features(signals: np.ndarray, edges: tuple[int, ...]) -> np.ndarray:
    """Sums over groups of lags, written out: f8[T, groups·P]."""
    n, p = signals.shape
    sums = np.zeros((n, len(edges) - 1, p))
    for t in range(n):
        for g in range(len(edges) - 1):
            for lag in range(edges[g], edges[g + 1]):
                if 0 <= t - lag < n:
                    sums[t, g] += signals[t - lag]
    return sums.reshape(n, -1)


def filter_of(edges: tuple[int, ...], weight: np.ndarray, bias: np.ndarray) -> RidgeFit:
    return RidgeFit(edges, weight.astype("f4"), bias, np.ones_like(bias), np.ones_like(bias), 1)


def fit(signals: Any, targets: Any, edges: tuple[int, ...], **options: Any) -> RidgeFit:
    return fit_ridge(signals, targets, edges, np.ones((len(edges) - 1, signals[0].shape[1])), **options)


@given(
    st.integers(1, 25),
    st.lists(st.integers(-6, 9), min_size=2, max_size=5, unique=True).map(lambda e: tuple(sorted(e))),
    st.integers(0, 99),
    st.sampled_from([np.uint8, np.float64]),
)
@settings(max_examples=60, deadline=None)
def test_a_filter_sums_groups_of_lags_and_reads_zeros_outside(
    n: int, edges: tuple[int, ...], seed: int, dtype: type
) -> None:
    if edges[-1] < 1 or edges[0] > 0:
        return
    rng = np.random.default_rng(seed)
    signals = (10 * rng.random((n, 2))).astype(dtype)
    fitted = filter_of(edges, rng.normal(size=(len(edges) - 1, 2, 3)), rng.normal(size=3))
    expected = features(signals, edges) @ fitted.weight.reshape(-1, 3) + fitted.bias
    np.testing.assert_allclose(fitted(signals), expected, atol=1e-9)


def test_a_filter_is_recovered_from_what_it_gives_with_lags_on_both_sides() -> None:
    random = np.random.default_rng(0)
    true = filter_of((-2, -1, 0, 1, 3), random.normal(size=(4, 3, 2)), random.normal(size=2))
    signals = [random.normal(size=(n, 3)) for n in (900, 700)]
    targets = [true(each) + 0.01 * random.normal(size=(len(each), 2)) for each in signals]
    targets[0][100:200] = np.nan
    fitted = fit(signals, targets, true.edges, penalties=[1e-4])
    np.testing.assert_allclose(fitted.weight, true.weight, atol=0.01)
    np.testing.assert_allclose(fitted.bias, true.bias, atol=0.01)
    # Two rows at each end lack a lag, and each of the 100 rows without targets is left out.
    assert fitted.n_rows == 900 + 700 - 2 * 4 - 100


def test_slopes_are_those_of_ridge_regression_at_the_chosen_penalty() -> None:
    random = np.random.default_rng(1)
    signals = random.normal(size=(400, 4)) * [1.0, 2.0, 0.5, 1.0]
    targets = signals[:, :1] - 0.5 * signals[:, 1:2] + random.normal(size=(400, 1))
    expected = random.uniform(0.5, 2.0, size=(2, 4))
    fitted = fit_ridge([signals], [targets], (0, 1, 2), expected)
    x = features(signals, (0, 1, 2))[1:]
    x, y = x - x.mean(axis=0), targets[1:] - targets[1:].mean(axis=0)
    scale = expected.ravel() / np.sqrt((expected**2).mean()) / x.std(axis=0)
    z = x * scale
    solved = np.linalg.solve(z.T @ z + len(z) * fitted.penalty[0] * np.eye(8), z.T @ y)
    np.testing.assert_allclose(fitted.weight.reshape(-1, 1), scale[:, np.newaxis] * solved, rtol=1e-5)


def test_scales_of_the_signals_change_nothing() -> None:
    random = np.random.default_rng(4)
    counts = random.poisson(2.0, size=(800, 5)).astype(np.uint8)
    targets = counts[:, :2] + random.normal(size=(800, 2))
    scaled = fit([(counts - 2.0) / 3.0], [targets], (0, 2, 4))
    plain = fit([counts], [targets], (0, 2, 4))
    np.testing.assert_allclose(scaled.weight / 3.0, plain.weight, rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(scaled.penalty, plain.penalty)
    np.testing.assert_allclose(scaled.cv_r2, plain.cv_r2, atol=1e-5)


def test_noise_is_penalised_and_each_output_by_itself() -> None:
    random = np.random.default_rng(2)
    signals = random.normal(size=(300, 40))
    targets = np.stack([signals[:, 0], random.normal(size=300)], axis=1)
    fitted = fit([signals], [targets], (0, 1, 2))
    assert fitted.penalty[1] > 10 * fitted.penalty[0]


def test_rows_that_share_signals_with_a_validation_block_are_not_trained_on() -> None:
    """Each target equals a sum of noise from rows around it: without a gap, it would be predicted."""
    random = np.random.default_rng(6)
    signals = random.normal(size=(400, 60))
    targets = np.convolve(random.normal(size=403), np.ones(4), "valid")[:, np.newaxis]
    fitted = fit([signals], [targets], (-8, 0, 8), penalties=[1e-3])
    assert fitted.cv_r2[0] < 0.1


def test_a_causal_filter_does_not_depend_on_later_signals() -> None:
    random = np.random.default_rng(3)
    signals = random.normal(size=(50, 2))
    causal = filter_of((0, 1, 4), random.normal(size=(2, 2, 1)), np.zeros(1))
    changed = signals.copy()
    changed[30:] += 1.0
    np.testing.assert_allclose(causal(changed)[:30], causal(signals)[:30], atol=1e-12)
    assert abs(causal(changed)[30:] - causal(signals)[30:]).max() > 0.01


def test_too_few_rows_are_refused() -> None:
    targets = np.full((200, 1), np.nan)
    targets[:5] = 0.0
    with pytest.raises(RtdecodeError, match="only 5 bins have targets and all 3 bins of lags: too few"):
        fit([np.zeros((200, 1))], [targets], (-2, 0, 1))


@pytest.mark.parametrize("damage", [slice(600, None), slice(100, 130), slice(0, None)])
def test_what_is_unknown_of_one_output_changes_no_bit_of_the_others(damage: slice) -> None:
    random = np.random.default_rng(7)
    signals = [random.poisson(1.0, (n, 5)).astype(np.uint8) for n in (500, 400)]
    targets = [each[:, :4] + random.normal(size=(len(each), 4)) for each in signals]
    targets[0][40:60] = np.nan
    whole = fit(signals, targets, (0, 1, 3))
    damaged = np.concatenate(targets)
    damaged[damage, 2] = np.nan
    own = fit(signals, np.split(damaged, [500]), (0, 1, 3))
    for name in ("weight", "bias", "penalty", "cv_r2"):
        kept = [0, 1, 3]
        np.testing.assert_array_equal(getattr(own, name)[..., kept], getattr(whole, name)[..., kept])
    assert own.n_rows == whole.n_rows
    # It is fitted to its own rows alone.
    alone = np.isfinite(damaged[:, 2]).any()
    assert bool(own.bias[2]) == own.weight[..., 2].any() == np.isfinite(own.cv_r2[2]) == alone
    if alone:
        by_itself = fit(signals, np.split(damaged[:, 2:3], [500]), (0, 1, 3))
        np.testing.assert_allclose(own.weight[..., 2], by_itself.weight[..., 0], rtol=1e-4, atol=1e-6)
