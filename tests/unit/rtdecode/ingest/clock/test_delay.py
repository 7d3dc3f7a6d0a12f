"""The delay histogram gives NumPy's quantiles, decays evenly, and sets a grace within its limits."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from rtdecode.ingest.clock.delay import (
    AUTO_MAX_S,
    AUTO_MIN_S,
    ENOUGH_EVENTS,
    FORGET_AT,
    N_STEPS,
    STEP_S,
    AutoGrace,
    DeliveryDelay,
    FixedGrace,
)
from rtdecode.kernels.delay import observe_delays

NOW = 5000.0
F8 = NDArray[np.float64]


def observe(delay: DeliveryDelay, seconds: F8, accepted: NDArray[np.uint8] | None = None) -> None:
    taken = np.ones(len(seconds), np.uint8) if accepted is None else accepted
    delay.observe(NOW - seconds, taken, len(seconds), NOW)


def watched(seconds: F8) -> DeliveryDelay:
    delay = DeliveryDelay()
    observe(delay, seconds)
    return delay


@settings(deadline=None, max_examples=80)
@given(
    steps=st.lists(st.integers(0, N_STEPS - 2), min_size=1, max_size=200),
    q=st.sampled_from([0.001, 0.25, 0.5, 0.9, 0.999, 1.0]),
)
def test_quantiles_are_numpys_within_a_step(steps: list[int], q: float) -> None:
    seconds = (np.array(steps) + 0.5) * STEP_S
    # Numba and NumPy round q·n differently if it is a whole number.
    expected = [np.quantile(seconds, p, method="inverted_cdf") for p in (q - 1e-9, q, min(q + 1e-9, 1))]
    assert any(0 < watched(seconds).quantile_s(q) - value <= STEP_S for value in expected)


def test_without_events_there_is_no_quantile() -> None:
    delay = DeliveryDelay()
    assert math.isnan(delay.quantile_s(0.5))
    observe(delay, np.full(5, 0.001), np.zeros(5, np.uint8))
    assert math.isnan(delay.quantile_s(0.5))
    assert delay.n_events() == 0


def test_refused_events_and_those_beyond_n_are_ignored() -> None:
    delay = DeliveryDelay()
    accepted = np.array([1, 0, 1, 0], np.uint8)
    delay.observe(NOW - np.array([0.001, 0.009, 0.001, 0.009]), accepted, 3, NOW)
    assert delay.n_events() == 2
    assert delay.quantile_s(1.0) == pytest.approx(0.001, abs=STEP_S + 1e-9)


def test_stamps_ahead_of_the_clock_have_no_delay_and_ancient_ones_the_longest() -> None:
    assert watched(np.array([-1e-6, -10.0])).quantile_s(1.0) == STEP_S
    assert watched(np.array([0.5, 4e6])).quantile_s(0.1) == pytest.approx(N_STEPS * STEP_S)


@pytest.mark.parametrize("stamp", [-1e15, -1e300, -math.inf, math.inf, 1e300])
def test_an_invalid_stamp_stays_inside_the_histogram(stamp: float) -> None:
    guarded = np.zeros(3 * N_STEPS, np.int64)
    histogram = guarded[N_STEPS : 2 * N_STEPS]
    observe_delays(np.full(4, stamp), np.ones(4, np.uint8), 4, NOW, STEP_S, FORGET_AT, histogram)
    assert guarded.sum() == histogram.sum() == 4
    assert histogram[-1 if stamp < 0 else 0] == 4


def test_a_full_histogram_is_divided_by_two() -> None:
    delay = DeliveryDelay()
    for _ in range(9):
        observe(delay, np.full(FORGET_AT // 10, 0.002))
    assert delay.n_events() == 0.9 * FORGET_AT
    observe(delay, np.full(FORGET_AT // 10, 0.002))
    assert delay.n_events() == FORGET_AT // 2
    assert delay.quantile_s(0.5) == pytest.approx(0.002, abs=STEP_S + 1e-9)


def test_dividing_by_two_keeps_the_tail() -> None:
    # 1 % of the events are 2 to 12 ms late, with hardly two equal delays.
    rng = np.random.default_rng(1)
    seconds = np.concatenate((rng.uniform(0, 0.001, 19_799), rng.uniform(0.002, 0.012, 200)))
    delay = watched(seconds)
    before = [delay.quantile_s(q) for q in (0.5, 0.99, 0.995, 0.999)]
    observe(delay, np.zeros(1))
    assert delay.n_events() == pytest.approx(FORGET_AT / 2, abs=1)
    after = [delay.quantile_s(q) for q in (0.5, 0.99, 0.995, 0.999)]
    np.testing.assert_allclose(after[::2], before[::2], atol=0.0005)
    assert after[3] == pytest.approx(before[3], rel=0.1)


def test_one_event_in_a_thousand_is_later_than_the_auto_grace() -> None:
    rng = np.random.default_rng(2)
    delay = DeliveryDelay()
    grace = AutoGrace(delay)
    late = []
    for _ in range(3000):
        seconds = np.where(rng.random(50) < 0.005, rng.uniform(0.002, 0.009, 50), rng.uniform(0, 0.001, 50))
        if delay.n_events() > 5000:
            late.append((seconds > grace.seconds).mean())
        observe(delay, seconds)
        grace.update()
    assert 0.0005 < np.mean(late) < 0.002


def test_old_delays_are_forgotten() -> None:
    delay = watched(np.full(15_000, 0.009))
    for _ in range(12):
        observe(delay, np.full(10_000, 0.001))
    assert delay.quantile_s(0.999) == pytest.approx(0.001, abs=STEP_S + 1e-9)
    delay.forget()
    assert delay.n_events() == 0
    assert math.isnan(delay.quantile_s(0.999))


@pytest.mark.parametrize(
    ("delay_s", "grace_s"),
    [(0.0, AUTO_MIN_S), (0.0001, AUTO_MIN_S), (0.002, 0.00201), (0.0123, AUTO_MAX_S), (1.0, AUTO_MAX_S)],
)
def test_the_auto_grace_follows_between_its_limits(delay_s: float, grace_s: float) -> None:
    grace = AutoGrace(watched(np.full(ENOUGH_EVENTS, delay_s + STEP_S / 2)))
    grace.update()
    assert grace.seconds == pytest.approx(grace_s, abs=1e-9)
    assert (AUTO_MIN_S, AUTO_MAX_S) == (0.0003, 0.010)


def test_the_auto_grace_waits_for_enough_events() -> None:
    delay = DeliveryDelay()
    grace = AutoGrace(delay)
    assert grace.seconds == AUTO_MAX_S
    observe(delay, np.full(ENOUGH_EVENTS - 1, 0.0015))
    grace.update()
    assert grace.seconds == AUTO_MAX_S
    observe(delay, np.full(1, 0.0015))
    grace.update()
    assert grace.seconds == pytest.approx(0.0015, abs=STEP_S + 1e-9)


def test_the_auto_grace_is_the_rare_late_delivery_and_not_the_usual_one() -> None:
    grace = AutoGrace(watched(np.concatenate((np.full(9_985, 0.001), np.full(15, 0.006)))))
    grace.update()
    assert grace.seconds == pytest.approx(0.006, abs=STEP_S + 1e-9)


def test_a_fixed_grace_stays() -> None:
    grace = FixedGrace(0.004)
    grace.update()
    assert grace.seconds == 0.004
