"""Units fire at their rates, respect the dead time, and do not depend on how time is divided."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from rtdecode.tools.simulator.units import MAX_RATE_HZ, TICK_S, Firing, Tuning

F8 = NDArray[np.float64]


def chunked(rate: F8, seed: int, cuts: list[int], dead_s: float = 0.002) -> tuple[F8, NDArray[np.uint16]]:
    firing = Firing(rate.shape[1], seed, dead_s)
    edges = [0, *sorted({cut % len(rate) for cut in cuts}), len(rate)]
    parts = [firing.step(rate[a:b]) for a, b in pairwise(edges)]
    return np.concatenate([p[0] for p in parts]), np.concatenate([p[1] for p in parts])


def changing_rates(seed: int, n_ticks: int, n_channels: int) -> F8:
    rng = np.random.default_rng(seed)
    rate = rng.gamma(1.0, 60.0, (n_ticks, n_channels))
    rate[:, rng.uniform(size=n_channels) < 0.2] = 0.0
    return np.minimum(rate, MAX_RATE_HZ)


@given(
    seed=st.integers(0, 10_000),
    cuts=st.lists(st.integers(0, 400), max_size=30),
    n_channels=st.integers(1, 9),
    dead_s=st.sampled_from([0.001, 0.0017, 0.002, 0.01]),
)
@settings(max_examples=60, deadline=None)
def test_spikes_do_not_depend_on_how_the_ticks_are_divided(
    seed: int, cuts: list[int], n_channels: int, dead_s: float
) -> None:
    rate = changing_rates(seed, 401, n_channels)
    whole = chunked(rate, seed, [], dead_s)
    for other in (chunked(rate, seed, cuts, dead_s), chunked(rate, seed, list(range(401)), dead_s)):
        np.testing.assert_array_equal(other[0], whole[0])
        np.testing.assert_array_equal(other[1], whole[1])


@given(seed=st.integers(0, 10_000), dead_s=st.sampled_from([0.001, 0.002, 0.005]))
@settings(max_examples=30, deadline=None)
def test_no_spike_follows_another_within_the_dead_time(seed: int, dead_s: float) -> None:
    rate = np.full((2000, 4), MAX_RATE_HZ)
    time, channel = Firing(4, seed, dead_s).step(rate)
    assert (np.diff(time) >= 0).all()
    assert time.min() >= 0
    assert time.max() <= 2.0
    for unit in range(4):
        intervals = np.diff(time[channel == unit])
        assert intervals.min() >= dead_s - 1e-9
        assert intervals.min() < dead_s + 0.002


def test_intervals_are_exponential_after_the_dead_time() -> None:
    dead_s, rate_hz = 0.003, 40.0
    time, channel = Firing(3, 5, dead_s).step(np.full((100_000, 3), rate_hz))
    for unit in range(3):
        waits = np.diff(time[channel == unit]) - dead_s
        assert waits.mean() == pytest.approx(1 / rate_hz, rel=0.05)
        assert stats.kstest(waits * rate_hz, "expon").pvalue > 1e-3
        # Times are continuous: no part of a tick is preferred.
        assert stats.kstest((time[channel == unit] / TICK_S) % 1.0, "uniform").pvalue > 1e-3


def test_counts_follow_a_rate_that_changes() -> None:
    rate = np.zeros((40_000, 2))
    on = (np.arange(40_000) // 100) % 2 == 1
    rate[on, 0], rate[:, 1] = 50.0, 10.0
    time, channel = Firing(2, 1, 0.001).step(rate)
    at = np.minimum((time[channel == 0] / TICK_S).astype(int), 39_999)
    assert on[at].all()
    # The dead time costs 5 % at 50 Hz.
    assert len(at) == pytest.approx(0.95 * 50 * 20, abs=4 * np.sqrt(1000))
    assert (channel == 1).sum() == pytest.approx(0.99 * 10 * 40, abs=4 * np.sqrt(400))


def test_channels_are_independent_of_one_another() -> None:
    rate = np.full((20_000, 6), 20.0)
    time, channel = Firing(6, 3).step(rate)
    counts = np.array([np.histogram(time[channel == c], np.arange(0, 20.1, 0.1))[0] for c in range(6)])
    between = np.corrcoef(counts)[np.triu_indices(6, 1)]
    assert np.abs(between).max() < 0.3
    # The other channels do not affect it.
    alone, _ = Firing(1, 3).step(rate[:, :1])
    np.testing.assert_array_equal(alone, time[channel == 0])


def test_rates_follow_the_tuning() -> None:
    tuning = Tuning(
        baseline=np.array([10.0, 10.0, 0.0]),
        velocity=np.array([[4.0, 0.0], [4.0, 0.0], [0.0, 0.0]]),
        position=np.array([[0.0, 2.0], [0.0, 2.0], [0.0, 0.0]]),
        speed=np.array([1.0, 1.0, 0.0]),
        noise=np.array([[0.5], [0.5], [0.0]]),
        exponential=np.array([False, True, True]),
    )
    drive = np.array(
        [[1.0, 0.0, 0.0, 0.5, 1.0, 2.0], [-5.0, 0.0, 0.0, 0.0, 5.0, 0.0], [100.0, 0, 0, 0, 0, 0]]
    )
    rate = tuning.rates_hz(drive)
    # 4 + 1 + 1 + 1 = 7 Hz of drive, then −15, then 400.
    np.testing.assert_allclose(rate[:, 0], [17.0, 0.0, MAX_RATE_HZ])
    np.testing.assert_allclose(rate[:, 1], 10 * np.exp([0.7, -1.5, 2.0]))
    assert (rate[:, 2] == 0).all()


@given(seed=st.integers(0, 1000), n=st.integers(1, 40))
@settings(max_examples=30, deadline=None)
def test_the_rate_of_a_tick_does_not_depend_on_its_neighbours(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    c = int(rng.integers(1, 20))
    tuning = Tuning(
        rng.gamma(2.0, 5.0, c),
        rng.standard_normal((c, 2)),
        rng.standard_normal((c, 2)),
        rng.standard_normal(c),
        rng.standard_normal((c, 3)),
        rng.uniform(size=c) < 0.5,
    )
    drive = rng.standard_normal((n, 8))
    together = tuning.rates_hz(drive)
    alone = np.concatenate([tuning.rates_hz(row[np.newaxis]) for row in drive])
    np.testing.assert_array_equal(together, alone)
