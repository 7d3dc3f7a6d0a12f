"""Items are stamped once the clock is known; impossible numbers are left out, new counts are segments."""

from __future__ import annotations

import numpy as np
import pytest

from rtdecode.tools.bridge.items import Block, Restart, Spike, Tally, Tick
from rtdecode.tools.bridge.stamper import Stamper, StamperSettings

RATE_HZ, ORIGIN_S, DELAY_S = 30_000.0, 100.0, 0.0002


class Device:
    """Sends a spike every 10 ms, numbered from 0, as fast as it can."""

    def __init__(self, stamper: Stamper, begun_s: float = ORIGIN_S) -> None:
        self.stamper, self.begun_s, self.k = stamper, begun_s, 0
        self.released: list[tuple[int, float]] = []

    def spikes(self, n: int, drift: float = 0.0) -> float:
        """Send the next n spikes; returns the time of the last arrival."""
        for _ in range(n):
            taken_s = self.begun_s + 0.01 * self.k
            self.offer(Spike(round(300 * self.k * (1 + drift)), self.k % 96, self.k), taken_s + DELAY_S)
            self.k += 1
        return taken_s + DELAY_S

    def offer(self, spike: Spike, arrival_s: float) -> None:
        self.stamper.offer(spike, arrival_s)
        for each in self.stamper.release(arrival_s):
            assert isinstance(each.item, Spike)
            self.released.append((each.item.unit, each.stamp))


@pytest.fixture
def tally() -> Tally:
    return Tally()


def test_what_is_held_at_first_is_released_with_true_stamps(tally: Tally) -> None:
    device = Device(Stamper(RATE_HZ, tally))
    device.spikes(100)
    assert device.released == []
    assert device.stamper.n_held == 100
    device.spikes(100)
    assert [unit for unit, _ in device.released] == list(range(200))
    np.testing.assert_allclose(
        [stamp for _, stamp in device.released],
        ORIGIN_S + 0.01 * np.arange(200) + DELAY_S,
        rtol=0,
        atol=1e-4,
    )


def test_what_was_lost_before_an_item_is_told_with_it(tally: Tally) -> None:
    stamper = Stamper(RATE_HZ, tally)
    lost = []
    for k in range(200):
        tally.lost_spikes = k // 50
        stamper.offer(Spike(300 * k, 0, k), ORIGIN_S + 0.01 * k)
        lost += [each.lost for each in stamper.release(ORIGIN_S + 0.01 * k)]
    assert lost == [k // 50 for k in range(200)]


def test_a_delay_that_is_known_is_subtracted(tally: Tally) -> None:
    device = Device(Stamper(RATE_HZ, tally, StamperSettings(delay_s=DELAY_S)))
    device.spikes(200)
    assert device.released[-1][1] == pytest.approx(ORIGIN_S + 1.99, abs=1e-4)


@pytest.mark.parametrize("sample", [0, 10**9, 2**52])
def test_an_impossible_sample_number_costs_its_own_spike(tally: Tally, sample: int) -> None:
    device = Device(Stamper(RATE_HZ, tally))
    now = device.spikes(300)
    device.offer(Spike(sample, 1, 999_999), now)
    device.spikes(100)
    assert [unit for unit, _ in device.released] == list(range(400))
    assert tally.garbled == {"sample number is impossible": 1}
    assert (tally.lost_spikes, device.stamper.segments) == (1, 1)


@pytest.mark.parametrize("sample", [10**6, 2**52])
@pytest.mark.parametrize("when", [0, 1, 50])
def test_an_impossible_number_before_the_clock_is_known_costs_no_other(
    tally: Tally, sample: int, when: int
) -> None:
    device = Device(Stamper(RATE_HZ, tally))
    now = device.spikes(when) if when else ORIGIN_S
    device.offer(Spike(sample, 1, 999_999), now)
    device.spikes(300 - when)
    assert [unit for unit, _ in device.released] == list(range(300))
    assert (tally.lost_spikes, sum(tally.garbled.values())) == (1, 1)


@pytest.mark.parametrize("announced", [False, True])
def test_a_counter_that_begins_anew_loses_no_spike(tally: Tally, announced: bool) -> None:
    stamper = Stamper(RATE_HZ, tally)
    device = Device(stamper)
    ended_s = device.spikes(500)
    again = Device(stamper, ended_s + 2.0)
    if announced:
        stamper.offer(Restart(), ended_s + 2.0)
    again.spikes(300)
    assert [unit for unit, _ in again.released] == list(range(300))
    stamps = np.array([stamp for _, stamp in again.released])
    np.testing.assert_allclose(stamps, ended_s + 2.0 + 0.01 * np.arange(300) + DELAY_S, rtol=0, atol=1e-4)
    assert (tally.lost_spikes, stamper.segments) == (0, 2)


def test_a_counter_that_leaps_ahead_begins_a_segment(tally: Tally) -> None:
    device = Device(Stamper(RATE_HZ, tally))
    now = device.spikes(300)
    for k in range(300):
        device.offer(Spike(10**8 + 300 * k, 0, 1000 + k), now + 0.01 * (k + 1))
    assert [unit for unit, _ in device.released] == [*range(300), *range(1000, 1300)]
    assert device.stamper.segments == 2


def test_a_late_delivery_keeps_its_stamps(tally: Tally) -> None:
    device = Device(Stamper(RATE_HZ, tally))
    now = device.spikes(300)
    for k in range(300, 500):
        device.offer(Spike(300 * k, 0, k), now + 2.0)
    assert device.stamper.segments == 1
    assert device.released[-1] == (499, pytest.approx(ORIGIN_S + 4.99 + DELAY_S, abs=1e-4))


def test_spikes_may_run_ahead_of_the_data_or_behind_them(tally: Tally) -> None:
    """On connections of their own, after the machine was held up for 5 s."""
    stamper, released = Stamper(RATE_HZ, tally), []
    now = ORIGIN_S
    for k in range(300):
        now = ORIGIN_S + 0.01 * k + DELAY_S
        stamper.offer(Spike(300 * k, 0, k), now)
        stamper.offer(Tick(300 * k), now)
        released += list(stamper.release(now))
    for spikes, ticks in (((300, 700), (300, 500)), ((700, 800), (500, 800))):
        for k in range(*spikes):
            stamper.offer(Spike(300 * k, 0, k), now + 5.0)
        for k in range(*ticks):
            stamper.offer(Tick(300 * k), now + 5.0)
    released += list(stamper.release(now + 5.0))
    assert [each.item.unit for each in released if isinstance(each.item, Spike)] == list(range(800))
    assert (stamper.segments, tally.lost_spikes, tally.garbled) == (1, 0, {})


@pytest.mark.parametrize("spikes_first", [True, False])
def test_spikes_and_data_begin_anew_together(tally: Tally, spikes_first: bool) -> None:
    stamper, units = Stamper(RATE_HZ, tally), []
    for start in range(2):
        for k in range(300):
            now = ORIGIN_S + 10.0 * start + 0.01 * k
            pair = [Spike(300 * k, 0, 300 * start + k), Tick(300 * k + 100)]
            for item in pair if spikes_first else reversed(pair):
                stamper.offer(item, now)
            units += [each.item.unit for each in stamper.release(now) if isinstance(each.item, Spike)]
    assert units == list(range(600))
    assert (stamper.segments, tally.lost_spikes, tally.garbled) == (2, 0, {})


def test_what_was_held_when_the_count_began_anew_is_counted_as_lost(tally: Tally) -> None:
    device = Device(Stamper(RATE_HZ, tally))
    now = device.spikes(20)
    device.stamper.offer(Block(6000, np.zeros((300, 2), np.float32)), now)
    device.stamper.offer(Restart(), now)
    assert (tally.lost_spikes, tally.lost_samples) == (20, 300)
    assert tally.garbled == {"counted anew before its clock was known": 21}


def test_what_is_held_is_released_with_the_clock_there_is_when_the_count_begins_anew(tally: Tally) -> None:
    stamper, rng = Stamper(RATE_HZ, tally), np.random.default_rng(0)
    for k in range(200):
        stamper.offer(Spike(300 * k, 0, k), ORIGIN_S + 0.01 * k + rng.exponential(0.05))
    assert not stamper.settled
    stamper.offer(Restart(), ORIGIN_S + 2.0)
    assert len(list(stamper.release(ORIGIN_S + 2.0))) == 200
    assert tally.lost_spikes == 0


def test_after_the_longest_hold_stamps_are_as_good_as_they_are(tally: Tally) -> None:
    stamper, rng = Stamper(RATE_HZ, tally), np.random.default_rng(0)
    n = 0
    for k in range(400):
        arrival_s = ORIGIN_S + 0.01 * k + rng.exponential(0.05)
        stamper.offer(Tick(300 * k), arrival_s)
        stamper.offer(Spike(300 * k, 0, k), arrival_s)
        n += len(list(stamper.release(ORIGIN_S + 0.01 * k)))
        assert n == 0 or k > 300
    assert n > 390
    assert stamper.clock.bound_s(ORIGIN_S + 4.0) > 0.0005


def test_a_wrong_rate_is_named_and_nothing_is_released(tally: Tally) -> None:
    device = Device(Stamper(RATE_HZ, tally))
    device.spikes(400, drift=1 / 3)
    assert device.released == []
    assert device.stamper.wrong_rate_hz == pytest.approx(40_000.0, rel=0.01)
