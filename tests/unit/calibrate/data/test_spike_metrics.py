"""Simulated spikes: drawn as told, and counted as equation 20 counts."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from rtdecode.calibrate.data.spike_metrics import firing_fraction, sample_counts


def test_draws_have_the_mean_and_the_variance_of_a_poisson_process() -> None:
    rates = np.tile([0.05, 0.7, 4.0], (60_000, 1))
    counts = sample_counts(rates, seed=3)
    np.testing.assert_allclose(counts.mean(axis=0), [0.05, 0.7, 4.0], rtol=0.05)
    np.testing.assert_allclose(counts.var(axis=0), [0.05, 0.7, 4.0], rtol=0.05)


def test_the_seed_decides_over_the_draws() -> None:
    rates = np.full((200, 4), 1.3)
    first, again, other = (sample_counts(rates, seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


@pytest.mark.parametrize("most", [1, 20, 255])
def test_draws_are_clipped(most: int) -> None:
    assert sample_counts(np.full((50, 2), 1000.0), 0, most).max() == most


def test_no_rate_no_spikes() -> None:
    assert not sample_counts(np.zeros((100, 3)), 0).any()


@given(arrays(np.uint8, st.tuples(st.integers(1, 30), st.integers(1, 5)), elements=st.integers(0, 3)))
def test_fraction_is_the_sum_of_equation_20(counts: np.ndarray) -> None:
    n_bins, n_channels = counts.shape
    by_hand = [sum(counts[t, i] >= 1 for t in range(n_bins)) / n_bins for i in range(n_channels)]
    np.testing.assert_allclose(firing_fraction(counts), by_hand)
