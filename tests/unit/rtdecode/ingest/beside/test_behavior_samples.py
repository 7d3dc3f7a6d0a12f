"""Behaviour samples as trackers send them: which are kept, at which times."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from rtdecode.ingest.beside.behavior_samples import BehaviorSamples
from rtdecode.ingest.signals.layouts import StreamDescription

START_S = 500.0
DELAY_S = 0.004

Clock = Callable[[NDArray[np.float64]], NDArray[np.float64]]


class Tracker:
    """Plays samples, one column of which is their true time, through `BehaviorSamples`."""

    def __init__(self, rate_hz: float = 100.0) -> None:
        stream = StreamDescription("hand", "MoCap", 2, rate_hz, "float32")
        self.samples = BehaviorSamples(stream, START_S)
        self.times: list[float] = []
        self.values: list[NDArray[np.float32]] = []
        self.sent = 0

    def send(
        self,
        true_s: NDArray[np.float64],
        stamps: NDArray[np.float64],
        pull: int = 1,
        sent_s: NDArray[np.float64] | None = None,
    ) -> None:
        """Deliver samples DELAY_S after the last one of a pull was sent, by default when it is taken."""
        for at in range(0, len(true_s), pull):
            taken = true_s[at : at + pull]
            time = stamps[at : at + pull] + self.samples.judge.offset_s
            values = np.column_stack((taken - START_S, np.where(taken % 0.1 < 0.05, np.nan, 1.0)))
            self.sent += len(taken)
            now = float((true_s if sent_s is None else sent_s)[at : at + pull][-1]) + DELAY_S
            self.take(self.samples.pulled(time, values, len(taken), now, emptied=True, attentive=True))
        self.check()

    def take(self, block: tuple[NDArray[np.float64], NDArray[np.float32]] | None) -> None:
        if block is not None:
            self.times += block[0].tolist()
            self.values += list(block[1])

    def check(self) -> None:
        """Times increase, and each sample is kept, left out for a reason, or waits."""
        fates = self.samples.fates
        assert fates.received == self.sent == sum(fates[1:])
        assert fates.kept == len(self.times)
        # They are sent with the status.
        assert all(type(n) is int for n in fates)
        assert (np.diff(self.times) > 0).all()

    def errors_s(self) -> NDArray[np.float64]:
        return np.array(self.times) - START_S - np.array(self.values)[:, 0]


def taken(seconds: float, rate_hz: float = 100.0) -> NDArray[np.float64]:
    return START_S + np.arange(1, round(seconds * rate_hz) + 1) / rate_hz


@pytest.mark.parametrize("rate_hz", [0.0, 100.0])
def test_good_samples_are_kept_at_their_times_and_nan_costs_no_row(rate_hz: float) -> None:
    tracker = Tracker(rate_hz)
    tracker.send(taken(3.0), taken(3.0))
    assert len(tracker.times) == 300
    np.testing.assert_allclose(tracker.errors_s(), 0.0, atol=1e-4)
    assert tracker.samples.nan[0] == 0
    assert 100 < tracker.samples.nan[1] < 200


@pytest.mark.parametrize("offset_s", [1.79e9, -400.0, 86_400.0, 2.5])
@pytest.mark.parametrize("rate_hz", [0.0, 100.0])
def test_another_clock_is_shifted_onto_ours(offset_s: float, rate_hz: float) -> None:
    tracker = Tracker(rate_hz)
    tracker.send(taken(3.0), taken(3.0) + offset_s)
    assert len(tracker.times) > 250
    assert np.abs(tracker.errors_s()).max() < DELAY_S + 1e-3


@pytest.mark.parametrize("step_s", [-60.0, 3600.0, 5.0])
def test_a_clock_that_is_set_is_followed(step_s: float) -> None:
    tracker = Tracker()
    true_s = taken(4.0)
    tracker.send(true_s, true_s + np.where(true_s > START_S + 2.0, step_s, 0.0))
    assert len(tracker.times) > 350
    assert np.abs(tracker.errors_s()).max() < DELAY_S + 1e-3


@pytest.mark.parametrize("wild", [np.nan, np.inf, 3600.0, -3600.0])
@pytest.mark.parametrize("which", [0, 150])
def test_one_wild_stamp_costs_one_sample(wild: float, which: int) -> None:
    tracker = Tracker()
    stamps = taken(3.0)
    stamps[which] += wild
    tracker.send(taken(3.0), stamps)
    assert len(tracker.times) == 299


@pytest.mark.parametrize(("chunk", "pull"), [(10, 10), (10, 7), (25, 25), (4, 3)])
def test_samples_that_share_a_stamp_are_spread(chunk: int, pull: int) -> None:
    tracker = Tracker(0.0)
    true_s = taken(4.0)
    stamps = true_s.reshape(-1, chunk)[:, -1].repeat(chunk)
    tracker.send(true_s, stamps, pull, sent_s=stamps)
    tracker.take(tracker.samples.finish())
    tracker.check()
    # But those before the first stamp, of which only one has a time.
    assert len(tracker.times) >= 400 - chunk - pull
    np.testing.assert_allclose(tracker.errors_s()[chunk:], 0.0, atol=1e-6)


@pytest.mark.parametrize("rate_hz", [94.0, 99.8, 104.0])
def test_a_regular_stream_has_the_period_of_its_stamps(rate_hz: float) -> None:
    tracker = Tracker()
    true_s = taken(8.0, rate_hz)
    jitter = np.random.default_rng(2).uniform(-1e-3, 1e-3, len(true_s))
    tracker.send(true_s, true_s + jitter)
    assert len(tracker.times) == len(true_s)
    assert tracker.samples.true_period_s == pytest.approx(1 / rate_hz, rel=1e-3)
    assert np.abs(tracker.errors_s())[300:].max() < 6e-4


@settings(deadline=None, max_examples=200)
@given(
    errors=st.lists(
        st.sampled_from([0.0, 0.0, 0.0, 0.0, 0.003, -0.003, -0.02, 1.0, -5.0, 1e9, np.nan, -np.inf]),
        min_size=1,
        max_size=150,
    ),
    rate_hz=st.sampled_from([0.0, 100.0]),
    pull=st.integers(1, 12),
)
def test_whatever_the_stamps_are_each_sample_has_one_fate(
    errors: list[float], rate_hz: float, pull: int
) -> None:
    tracker = Tracker(rate_hz)
    true_s = START_S + np.arange(1, len(errors) + 1) / 100.0
    tracker.send(true_s, true_s + np.array(errors), pull)
    tracker.take(tracker.samples.finish())
    tracker.check()
    assert tracker.samples.fates.waiting == 0
    if tracker.times:
        assert tracker.times[-1] <= true_s[-1] + DELAY_S + 0.02
