"""A clock jump is distinguished from a bad stamp, a pause, and a slow source."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtdecode.binning import FUTURE_TOLERANCE_S
from rtdecode.ingest.clock_watch import JUMP_CONFIRM_S, MAX_AGE_S, ClockWatch


def observe_all(
    watch: ClockWatch, ages_s: list[float], every_s: float = 0.02, start: float = 50.0
) -> list[float]:
    """The jumps detected in chunks of these ages, one every `every_s`."""
    found = []
    for i, age_s in enumerate(ages_s):
        now = start + i * every_s
        jump_s = watch.observe(now - age_s, now)
        if jump_s is not None:
            found.append(jump_s)
    return found


def test_possible_stamps_are_no_jump() -> None:
    rng = np.random.default_rng(0)
    ages_s = [*rng.uniform(-FUTURE_TOLERANCE_S, MAX_AGE_S, 500), 0.0, MAX_AGE_S - 1e-9]
    assert observe_all(ClockWatch(), [float(age_s) for age_s in ages_s]) == []


@pytest.mark.parametrize("age_s", [-3600.0, -0.5, -0.006, 1.1, 3600.0, -1e12, 1e12])
def test_one_bad_stamp_is_no_jump(age_s: float) -> None:
    assert observe_all(ClockWatch(), [0.001, age_s] * 200) == []
    assert observe_all(ClockWatch(), [0.001, *[age_s] * 12, 0.001]) == []


@pytest.mark.parametrize("age_s", [-3600.0, -0.5, -0.006, 1.1, 3600.0])
def test_a_quarter_second_of_impossible_stamps_is_a_jump(age_s: float) -> None:
    watch = ClockWatch()
    assert observe_all(watch, [0.001] * 10 + [age_s] * 13) == []
    assert observe_all(watch, [age_s], start=50.0 + 23 * 0.02) == [pytest.approx(age_s)]
    assert JUMP_CONFIRM_S == 0.25


@pytest.mark.parametrize("jump_s", [-1234.5, -0.1, 2.5, 1e6])
def test_the_jump_is_that_of_the_newest_event(jump_s: float) -> None:
    delays = np.random.default_rng(1).uniform(0.001, 0.004, 40)
    found = observe_all(ClockWatch(), [float(jump_s + d) for d in delays])
    assert found[0] == pytest.approx(jump_s + delays[:14].min(), abs=1e-9)
    assert found[0] - jump_s == pytest.approx(0.0025, abs=0.0025)


def test_a_jump_needs_three_chunks_however_far_apart_they_are() -> None:
    assert observe_all(ClockWatch(), [-9.0, -9.0], every_s=10.0) == []
    assert observe_all(ClockWatch(), [-9.0, -9.0, -9.0], every_s=10.0) == [pytest.approx(-9.0)]


def test_a_jump_is_reported_once() -> None:
    watch = ClockWatch()
    found = observe_all(watch, [7.0] * 14)
    assert len(found) == 1
    assert observe_all(watch, [7.0 - found[0]] * 100, start=60.0) == []
    assert observe_all(watch, [7.0] * 13, start=70.0) == []


def test_a_new_stream_starts_again() -> None:
    watch = ClockWatch()
    observe_all(watch, [-7.0] * 13)
    watch.restart()
    assert observe_all(watch, [-7.0] * 13, start=50.26) == []


def test_a_longer_grace_allows_older_events() -> None:
    assert observe_all(ClockWatch(3.0), [2.5] * 100) == []
    assert observe_all(ClockWatch(3.0), [3.5] * 14) == [pytest.approx(3.5)]


@pytest.mark.parametrize("stamp", [math.nan, math.inf, -math.inf])
def test_no_stamp_gives_an_infinite_jump(stamp: float) -> None:
    watch = ClockWatch()
    for i in range(20):
        jump_s = watch.observe(stamp, 50.0 + 0.02 * i)
        assert jump_s is None or math.isfinite(jump_s)
    found = [watch.observe(9.0 if i % 2 else stamp, 51.0 + 0.02 * i) for i in range(40)]
    assert all(jump_s is None or math.isfinite(jump_s) for jump_s in found)


@given(st.lists(st.floats(-10, 10), max_size=80))
def test_a_reported_jump_is_an_age_that_occurred(ages_s: list[float]) -> None:
    found = observe_all(ClockWatch(), ages_s)
    seen = [age_s for age_s in ages_s if not -FUTURE_TOLERANCE_S <= age_s <= MAX_AGE_S]
    assert len(found) <= len(seen) / 13
    for jump_s in found:
        assert min(abs(jump_s - age_s) for age_s in seen) < 1e-9
