"""The benchmark's source: exact timestamps at the given rate and push interval."""

from __future__ import annotations

import math

import numpy as np
import pytest

from rtdecode.errors import RtdecodeError
from rtdecode.tools.bench import spike_source
from rtdecode.tools.bench.latency import LatencyBench
from rtdecode.tools.bench.spike_source import pushed_alone, pushed_together

RATE_HZ = 500.0
SECONDS = 20.0


class Time:
    """A clock that advances by sleeps, a little more than requested, and by every reading."""

    def __init__(self) -> None:
        self.now = 100.0

    def local_clock(self) -> float:
        self.now += 1e-6
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds + 6e-5


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Time:
    clock = Time()
    monkeypatch.setattr(spike_source, "pylsl", clock)
    monkeypatch.setattr(spike_source, "time", clock)
    return clock


def assert_rate(n: int) -> None:
    assert abs(n - RATE_HZ * SECONDS) < 4 * math.sqrt(RATE_HZ * SECONDS)


def test_each_spike_is_pushed_by_itself_at_its_time(clock: Time) -> None:
    stamps = []
    for stamp in pushed_alone(RATE_HZ, SECONDS, np.random.default_rng(0)):
        assert stamp.shape == (1,)
        # A push waits for its own spike and for those before it, never for a later one.
        assert 0 <= clock.now - stamp[0] < 0.001
        stamps.append(stamp[0])
    assert (np.diff(stamps) > 0).all()
    assert stamps[0] > 100.0
    assert stamps[-1] < 100.0 + SECONDS + 0.001
    assert_rate(len(stamps))


def test_spikes_are_pushed_together_at_intervals(clock: Time) -> None:
    n, pushed = 0, [100.0]
    for stamps in pushed_together(RATE_HZ, 0.005, SECONDS, np.random.default_rng(0)):
        assert pushed[-1] <= stamps[0] <= stamps[-1] <= clock.now
        assert (np.diff(stamps) >= 0).all()
        pushed.append(clock.now)
        n += len(stamps)
    assert min(np.diff(pushed)) > 0.0049
    assert_rate(n)


@pytest.mark.parametrize("push_ms", [-1.0, 0.05, 1001.0, math.nan])
def test_a_push_interval_out_of_range_is_refused(push_ms: float) -> None:
    with pytest.raises(
        RtdecodeError, match=rf"--push: must be 0, or between 0.1 and 1000 ms, not {push_ms:g}"
    ):
        LatencyBench(push_ms=push_ms)
