"""Sample numbers become LSL times: by the fastest arrivals, through drift, stalls and queues."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtdecode.tools.bridge.clock_map import ClockMap

RATE_HZ, ORIGIN_S = 30_000.0, 1000.0

Delay = Callable[[np.random.Generator], float]


def errors_of(
    drift_ppm: float, delay: Delay, seconds: float = 20.0, block: int = 300, seed: int = 0
) -> tuple[list[float], list[float]]:
    """Error and bound after each block from when the bound is 1 ms; blocks arrive in order."""
    rng, clock, arrived_s = np.random.default_rng(seed), ClockMap(RATE_HZ), 0.0
    errors, bounds = [], []
    for sample in range(block, round(seconds * RATE_HZ), block):
        taken_s = ORIGIN_S + sample / (RATE_HZ * (1 + 1e-6 * drift_ppm))
        arrived_s = max(taken_s + delay(rng), arrived_s)
        clock.add(sample, arrived_s)
        bound_s = clock.bound_s(arrived_s)
        if bound_s <= 0.001:
            errors.append(clock.time_of(sample) - taken_s)
            bounds.append(bound_s)
    return errors, bounds


def short(rng: np.random.Generator) -> float:
    return rng.exponential(0.0003)


def stalled(rng: np.random.Generator) -> float:
    """A network and a machine that often hold things up."""
    return rng.exponential(0.002) + (rng.exponential(0.05) if rng.random() < 0.3 else 0.0)


@pytest.mark.parametrize("drift_ppm", [-500.0, 0.0, 37.0, 500.0])
@pytest.mark.parametrize("delay", [short, stalled])
def test_the_bound_is_reached_and_kept(drift_ppm: float, delay: Delay) -> None:
    errors, bounds = errors_of(drift_ppm, delay)
    # Settled within 5 s of 20, and never off by more than 0.25 ms.
    assert len(errors) > 15.0 * 100
    assert max(map(abs, errors)) < 0.00025
    within = [abs(error) <= bound for error, bound in zip(errors, bounds, strict=True)]
    assert np.mean(within) > 0.75


@settings(max_examples=20, deadline=None)
@given(
    drift_ppm=st.floats(-500, 500),
    mean_ms=st.floats(0.05, 3.0),
    block=st.integers(128, 1280),
    seed=st.integers(0, 1000),
)
def test_once_settled_it_is_right_to_a_millisecond(
    drift_ppm: float, mean_ms: float, block: int, seed: int
) -> None:
    errors, _ = errors_of(drift_ppm, lambda rng: rng.exponential(mean_ms / 1e3), 8.0, block, seed)
    assert errors
    assert max(map(abs, errors)) < 0.001


def test_a_queue_that_empties_late_moves_nothing() -> None:
    """Ten seconds of a slower network, as by a transfer beside it."""
    clock = ClockMap(RATE_HZ)
    for k in range(1, 4000):
        taken_s = ORIGIN_S + k / 100
        clock.add(300 * k, taken_s + 0.0002 + (0.02 if 1000 <= k < 2000 else 0.0))
        if k > 150:
            assert clock.time_of(300 * k) - taken_s == pytest.approx(0.0002, abs=0.0001)


def test_no_time_is_after_its_arrival() -> None:
    clock, rng = ClockMap(RATE_HZ), np.random.default_rng(3)
    for k in range(500):
        arrival_s = ORIGIN_S + k / 100 + rng.exponential(0.004)
        clock.add(300 * k, arrival_s)
        assert clock.time_of(300 * k) <= arrival_s + 1e-9


def test_the_bound_is_unknown_at_first_and_grows_in_silence() -> None:
    clock = ClockMap(RATE_HZ)
    assert math.isinf(clock.bound_s(ORIGIN_S))
    rng = np.random.default_rng(1)
    for k in range(300):
        clock.add(300 * k, ORIGIN_S + k / 100 + rng.exponential(0.0005))
    now = ORIGIN_S + 3.0
    assert clock.bound_s(now) < clock.bound_s(now + 60.0) < clock.bound_s(now + 600.0)


@pytest.mark.parametrize("true_hz", [20_000.0, 24_414.0, 40_000.0])
def test_another_rate_than_the_nominal_one_is_noticed(true_hz: float) -> None:
    clock = ClockMap(RATE_HZ)
    for k in range(300):
        clock.add(round(true_hz * k / 100), ORIGIN_S + k / 100 + 0.0002)
    assert clock.rate_is_wrong()
    assert RATE_HZ / (1.0 + clock.apparent_drift) == pytest.approx(true_hz, rel=0.01)
    assert clock.bound_s(ORIGIN_S + 3.0) > 0.001
