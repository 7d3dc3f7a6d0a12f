"""The Wiener filter of either direction against plain NumPy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtdecode.errors import RtdecodeError
from rtdecode.models.linear.lagged import LaggedFilter, centred, fit_lagged, lagged


def by_hand(signals: np.ndarray, edges: tuple[int, ...]) -> np.ndarray:
    n, p = signals.shape
    features = np.zeros((n, len(edges) - 1, p))
    for t in range(n):
        for g in range(len(edges) - 1):
            for lag in range(edges[g], edges[g + 1]):
                if 0 <= t - lag < n:
                    features[t, g] += signals[t - lag]
    return features.reshape(n, -1)


@given(
    st.integers(1, 25),
    st.lists(st.integers(-6, 9), min_size=2, max_size=5, unique=True).map(lambda e: tuple(sorted(e))),
    st.integers(0, 99),
)
@settings(max_examples=60, deadline=None)
def test_lags_are_summed_by_groups_and_nothing_lies_outside(
    n: int, edges: tuple[int, ...], seed: int
) -> None:
    if edges[-1] < 1 or edges[0] > 0:
        return
    signals = np.random.default_rng(seed).normal(size=(n, 2))
    np.testing.assert_allclose(lagged(signals, edges), by_hand(signals, edges), atol=1e-9)


def test_centred_groups_mirror_those_of_the_past() -> None:
    assert centred((0, 1, 2, 4)) == (-3, -1, 0, 1, 2, 4)
    assert centred((0, 2, 4)) == (-2, 0, 2, 4)


def test_a_known_filter_is_found_again_ahead_and_behind() -> None:
    random = np.random.default_rng(0)
    true = LaggedFilter((-2, -1, 0, 1, 3), random.normal(size=(4, 3, 2)), random.normal(size=2), np.ones(2))
    signals = [random.normal(size=(n, 3)) for n in (900, 700)]
    targets = [true(each) + 0.01 * random.normal(size=(len(each), 2)) for each in signals]
    targets[0][100:200] = np.nan
    fitted = fit_lagged(signals, targets, true.edges)
    np.testing.assert_allclose(fitted.weight, true.weight, atol=0.01)
    np.testing.assert_allclose(fitted.bias, true.bias, atol=0.01)


def test_slopes_are_those_of_ridge_regression_at_the_chosen_penalty() -> None:
    random = np.random.default_rng(1)
    signals = random.normal(size=(400, 4)) * [1.0, 2.0, 0.5, 1.0]
    targets = signals[:, :1] - 0.5 * signals[:, 1:2] + random.normal(size=(400, 1))
    fitted = fit_lagged([signals], [targets], (0, 1, 2))
    x = by_hand(signals, (0, 1, 2))
    x, y = x - x.mean(axis=0), targets - targets.mean(axis=0)
    covariance = x.T @ x / len(x)
    level = fitted.penalty[0] * np.trace(covariance) / len(covariance)
    expected = np.linalg.solve(covariance + level * np.eye(len(covariance)), x.T @ y / len(x))
    np.testing.assert_allclose(fitted.weight.reshape(-1, 1), expected, atol=1e-9)


def test_noise_is_penalised_and_each_output_by_itself() -> None:
    random = np.random.default_rng(2)
    signals = random.normal(size=(300, 40))
    targets = np.stack([signals[:, 0], random.normal(size=300)], axis=1)
    fitted = fit_lagged([signals], [targets], (0, 1, 2))
    assert fitted.penalty[1] > 10 * fitted.penalty[0]


def test_a_causal_filter_knows_nothing_of_what_comes() -> None:
    random = np.random.default_rng(3)
    signals = random.normal(size=(50, 2))
    causal = LaggedFilter((0, 1, 4), random.normal(size=(2, 2, 1)), np.zeros(1), np.ones(1))
    changed = signals.copy()
    changed[30:] += 1.0
    np.testing.assert_allclose(causal(changed)[:30], causal(signals)[:30], atol=1e-12)
    assert abs(causal(changed)[30:] - causal(signals)[30:]).max() > 0.01


def test_too_little_to_learn_from_is_told() -> None:
    targets = np.full((200, 1), np.nan)
    targets[:20] = 0.0
    with pytest.raises(RtdecodeError, match="too few bins have targets"):
        fit_lagged([np.zeros((200, 1))], [targets], (0, 1))
