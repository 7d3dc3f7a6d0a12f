"""The simulated subject follows the screen after its delay, and does not depend on how time is divided."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtdecode.errors import RtdecodeError
from rtdecode.tools.simulator.array import ArraySettings, array_on_day
from rtdecode.tools.simulator.subject import AT_REST, Seen, Subject, SubjectSettings

TUNING = array_on_day(ArraySettings(n_channels=10), 2, 0)
RIGHT = Seen(cursor=(0.0, 0.0), target=(80.0, 0.0), radius=15.0)


def subject(own_hand: bool = False, seed: int = 4, **changed: float) -> Subject:
    return Subject(SubjectSettings(**changed), TUNING, seed, own_hand=own_hand)


@given(chunks=st.lists(st.integers(1, 60), min_size=1, max_size=40), seed=st.integers(0, 99))
@settings(max_examples=30, deadline=None)
def test_behaviour_does_not_depend_on_how_time_is_divided(chunks: list[int], seed: int) -> None:
    n = sum(chunks)
    rng = np.random.default_rng(seed)
    screens = [
        (10 * k * 0.001, Seen(tuple(rng.uniform(-50, 50, 2)), tuple(rng.uniform(-80, 80, 2)), 15.0))
        for k in range(n // 10 + 1)
    ]

    def live(steps: list[int]) -> tuple[bytes, bytes, object]:
        one, shown, spikes = subject(seed=seed), 0, []
        for step in steps:
            # Each is shown at its time, as in a session.
            while shown < len(screens) and screens[shown][0] < (one.tick + step) * 0.001 - 1e-9:
                one.see(*screens[shown])
                shown += 1
            spikes.append(one.fire(one.move(step)))
        times = np.concatenate([time for time, _ in spikes])
        channels = np.concatenate([channel for _, channel in spikes])
        return times.tobytes(), channels.tobytes(), (one.hand, one.velocity)

    whole = live([n])
    assert live(chunks) == whole
    assert live([1] * n) == whole


@pytest.mark.parametrize("delay_s", [0.0, 0.05, 0.4])
def test_it_responds_to_the_screen_after_its_delay(delay_s: float) -> None:
    one = subject(delay_s=delay_s)
    one.move(100)
    one.see(0.1, RIGHT)
    one.move(round(delay_s * 1000))
    assert one.velocity == (0.0, 0.0)
    one.move(40)
    assert one.velocity[0] > 10


def test_the_intended_velocity_points_to_the_target_and_is_lower_near_it() -> None:
    def intended(cursor: tuple[float, float], target: tuple[float, float]) -> np.ndarray:  # type: ignore[type-arg]
        one = subject()
        one.see(0.0, Seen(cursor, target, 15.0))
        one.move(1000)
        return np.array(one.velocity)

    far = intended((-60.0, -60.0), (90.0, 90.0))
    assert np.hypot(*far) == pytest.approx(SubjectSettings().full_speed, rel=1e-3)
    assert far[0] == pytest.approx(far[1])
    near = intended((0.0, 10.0), (0.0, 50.0))
    np.testing.assert_allclose(near, [0.0, 40 * SubjectSettings().slowing_hz], atol=1e-3)
    np.testing.assert_array_equal(intended((0.0, 0.0), (0.0, 0.99 * AT_REST * 15.0)), 0.0)


def test_it_rests_without_target_or_cursor() -> None:
    for seen in (Seen((10.0, 10.0), None, 15.0), Seen(None, (80.0, 0.0), 15.0)):
        one = subject()
        one.see(0.0, seen)
        one.move(500)
        assert one.velocity == (0.0, 0.0)


def test_its_own_hand_reaches_the_target_and_stays() -> None:
    one = subject(own_hand=True)
    one.see(0.0, RIGHT)
    one.move(1500)
    there = np.array(one.hand)
    assert np.hypot(*(there - [80.0, 0.0])) < AT_REST * 15.0
    one.move(500)
    np.testing.assert_allclose(one.hand, there, atol=0.5)


def test_a_still_cursor_moves_the_hand_to_its_limit_and_no_further() -> None:
    one = subject(realign_s=1e9)
    one.see(0.0, RIGHT)
    one.move(5000)
    assert one.hand[0] == SubjectSettings().arm_mm
    assert one.hand[1] == 0.0


def test_the_felt_hand_position_follows_the_seen_cursor() -> None:
    one = subject(delay_s=0.0, realign_s=0.5)
    one.see(0.0, Seen((30.0, -20.0), None, 15.0))
    one.move(500)
    np.testing.assert_allclose(one.hand, np.array([30.0, -20.0]) * (1 - np.exp(-1)), rtol=0.01)


def test_shared_noise_is_shared_and_has_unit_variance() -> None:
    one = subject()
    drive = one.move(200_000)
    noise = drive[:, 5:]
    assert noise.shape[1] == 3
    assert noise[:, :2].std(axis=0) == pytest.approx(1.0, abs=0.15)
    # Each with its own time constant: 0.15 and 1 s.
    for column, tau in ((0, 150), (1, 1000)):
        at_tau = np.corrcoef(noise[:-tau, column], noise[tau:, column])[0, 1]
        assert at_tau == pytest.approx(np.exp(-1), abs=0.12)


def test_an_invalid_delay_is_refused() -> None:
    with pytest.raises(RtdecodeError, match="--delay: must be between 0 and 10000 ms, not -1"):
        SubjectSettings(delay_s=-0.001)
