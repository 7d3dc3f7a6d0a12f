"""The simulated array fires by its tuning, and the simulated arm moves to the targets of its trials."""

from __future__ import annotations

import numpy as np
import pytest

from rtdecode.session.layout import Session
from rtdecode.tools.simulator.scripted import (
    BEHAVIOR_HZ,
    N_TARGETS,
    CentreOut,
    draw_tuning,
    simulate_session,
)
from rtdecode.tools.simulator.units import Tuning

TASK = CentreOut(n_channels=32)
ROUND_S = 2 * (TASK.movement_s + TASK.hold_s)


@pytest.fixture(scope="module")
def tuning() -> Tuning:
    return draw_tuning(TASK, 5)


@pytest.fixture(scope="module")
def session(tuning: Tuning) -> Session:
    return simulate_session(TASK, tuning, 40.0, 7, "sim-1")


def rate_hz(session: Session) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return np.bincount(session.events.channel, minlength=session.n_channels) / 40.0


def test_a_session_is_whole(session: Session) -> None:
    assert session.trials is not None
    assert (session.n_channels, session.name) == (32, "sim-1")
    time, channel = session.events.time, session.events.channel
    assert (np.diff(time) >= 0).all()
    assert 0 <= time[0] < 0.1
    assert 39.9 < time[-1] < 40.0
    assert set(channel.tolist()) == set(range(32))
    assert time.dtype == np.float64
    assert channel.dtype == np.uint16
    assert session.behavior.names == ("x", "y", "vx", "vy")
    assert session.behavior.units == ("mm", "mm", "mm/s", "mm/s")
    assert session.behavior.values.shape == (4000, 4)
    assert session.behavior.values.dtype == np.float32
    np.testing.assert_allclose(np.diff(session.behavior.time), 1 / BEHAVIOR_HZ)
    assert session.behavior.time[-1] == pytest.approx(40.0)
    assert session.attrs["subject"] == "simulated"


def test_the_same_seeds_give_the_same_session(tuning: Tuning, session: Session) -> None:
    again = simulate_session(TASK, draw_tuning(TASK, 5), 40.0, 7, "sim-1")
    other = simulate_session(TASK, tuning, 40.0, 8, "sim-1")
    np.testing.assert_array_equal(again.events.time, session.events.time)
    np.testing.assert_array_equal(again.events.channel, session.events.channel)
    assert (other.events.time[:100] != session.events.time[:100]).any()
    assert (draw_tuning(TASK, 6).baseline != tuning.baseline).all()


def test_every_trial_ends_on_its_target(session: Session) -> None:
    trials, behavior = session.trials, session.behavior
    target = trials.columns["target"]
    # The last return is not complete at the end of the session.
    assert len(trials.start) == int(40.0 / ROUND_S + 0.5)
    np.testing.assert_allclose(trials.start, np.arange(len(trials.start)) * ROUND_S)
    np.testing.assert_allclose(trials.stop - trials.start, TASK.movement_s + TASK.hold_s)
    np.testing.assert_allclose(np.hypot(*target.T), TASK.reach_mm, rtol=1e-6)
    for start, stop, goal in zip(trials.start, trials.stop, target, strict=True):
        at_stop = behavior.values[np.searchsorted(behavior.time, stop - 1e-9)]
        np.testing.assert_allclose(at_stop[:2], goal, atol=1e-3)
        if start > 0:
            at_start = behavior.values[np.searchsorted(behavior.time, start - 1e-9)]
            np.testing.assert_allclose(at_start[:2], 0, atol=1e-3)
    angles = np.degrees(np.arctan2(target[:, 1], target[:, 0])) / (360 / N_TARGETS)
    np.testing.assert_allclose(angles, np.round(angles), atol=1e-4)
    assert len(set(np.round(angles).astype(int) % N_TARGETS)) > 4


def test_velocity_is_the_derivative_of_position(session: Session) -> None:
    position, velocity = session.behavior.values[:, :2], session.behavior.values[:, 2:]
    central = (position[2:] - position[:-2]) * BEHAVIOR_HZ / 2
    peak = 1.875 * TASK.reach_mm / TASK.movement_s
    np.testing.assert_allclose(velocity[1:-1], central, atol=0.02 * peak)
    assert np.hypot(*velocity.T).max() == pytest.approx(peak, rel=0.01)


def test_units_fire_at_their_baseline_on_average(tuning: Tuning, session: Session) -> None:
    # Reaches go out and back, so drives cancel, except where a rate would be negative.
    assert (tuning.baseline >= 0).all()
    sd = np.sqrt(tuning.baseline / 40.0) + 0.25 * np.abs(tuning.position).max(axis=1) + 0.05
    assert (np.abs(rate_hz(session) - tuning.baseline) < 4 * sd).all()
    baselines = np.concatenate([draw_tuning(TASK, seed).baseline for seed in range(30)])
    assert baselines.mean() == pytest.approx(TASK.mean_rate_hz, rel=0.1)


def test_a_third_of_the_units_is_not_tuned(tuning: Tuning) -> None:
    drawn = [draw_tuning(TASK, seed) for seed in range(30)]
    depth = np.concatenate([np.hypot(*one.velocity.T) / one.baseline for one in drawn])
    assert (depth == 0).mean() == pytest.approx(1 / 3, abs=0.06)
    # No unit is tuned so deeply that it would be silent for half of the movements.
    assert depth.max() <= 1.0 + 1e-9
    position_depth = np.concatenate([np.hypot(*one.position.T) / one.baseline for one in drawn])
    np.testing.assert_allclose(position_depth, 0.5 * depth, atol=1e-12)


def test_spikes_follow_the_movement_without_a_lag() -> None:
    fast = Tuning.plain(np.array([40.0, 40.0]), np.array([[38.0, 0.0], [0.0, 0.0]]), np.zeros((2, 2)))
    session = simulate_session(CentreOut(n_channels=2), fast, 200.0, 3, "sim-2")
    vx = session.behavior.values[:, 2]
    edges = np.arange(len(vx) + 1) / BEHAVIOR_HZ
    tuned, flat = (np.histogram(session.events.time[session.events.channel == c], edges)[0] for c in range(2))
    assert abs(np.corrcoef(flat, vx)[0, 1]) < 0.03
    lags = range(-20, 21)
    found = [np.corrcoef(np.roll(tuned, lag)[30:-30], vx[30:-30])[0, 1] for lag in lags]
    assert max(found) > 0.15
    assert abs(lags[int(np.argmax(found))]) <= 2


def test_rates_are_never_negative() -> None:
    deep = Tuning.plain(np.array([5.0]), np.array([[500.0, 0.0]]), np.zeros((1, 2)))
    session = simulate_session(CentreOut(n_channels=1), deep, 30.0, 0, "sim-3")
    moving_left = session.behavior.values[:, 2] < -20
    steps = np.minimum((session.events.time * BEHAVIOR_HZ).astype(int), len(moving_left) - 1)
    assert moving_left[steps].mean() < 0.02


@pytest.mark.parametrize("duration_s", [0.5, 0.85, 1.0, 1.7, 3.333])
def test_any_duration_is_possible(tuning: Tuning, duration_s: float) -> None:
    session = simulate_session(TASK, tuning, duration_s, 0, "short")
    assert len(session.behavior.values) == int(round(duration_s * 1000) / 10)
    expected = sum(k * ROUND_S + ROUND_S / 2 <= duration_s + 1e-9 for k in range(5))
    assert len(session.trials.start) == len(session.trials.columns["target"]) == expected
    assert (session.trials.stop <= duration_s + 1e-9).all()
