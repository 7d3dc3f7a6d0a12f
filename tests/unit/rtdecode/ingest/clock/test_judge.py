"""What a clock may do, and what is made of it: sources whose true event times are known."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rtdecode.ingest.clock.judge import ClockJudge
from rtdecode.ingest.clock.settings import JudgeSettings
from rtdecode.kernels.stamps import AHEAD, BEHIND, NOT_FINITE

F8 = npt.NDArray[np.float64]
START_S = 5000.0
MOST = 4096


@dataclass(frozen=True)
class Source:
    """Events at random, pushed in chunks, delivered late by a little.

    Attributes:
        rate_hz, seconds: of events.
        push_every_s: events are pushed together once in this time; 0 pushes each at once.
        delay_s: (fastest, largest) delivery, drawn evenly.
        clock: error of the source's clock at a true time since the start.
        seed: of the draws.
    """

    rate_hz: float = 300.0
    seconds: float = 10.0
    push_every_s: float = 0.0
    delay_s: tuple[float, float] = (0.0002, 0.001)
    clock: Callable[[F8], F8] = np.zeros_like
    seed: int = 0

    def draw(self) -> tuple[F8, F8, F8]:
        """True times, stamps and arrivals, all in the order of arrival."""
        rng = np.random.default_rng(self.seed)
        true = np.sort(rng.uniform(0.0, self.seconds, int(self.rate_hz * self.seconds)))
        pushed = np.ceil(true / self.push_every_s) * self.push_every_s if self.push_every_s else true
        delay = rng.uniform(*self.delay_s, len(true))
        if self.push_every_s:
            delay = delay[np.searchsorted(pushed, pushed)]
        arrival = np.maximum.accumulate(pushed + delay)
        return START_S + true, START_S + true + self.clock(true), START_S + arrival


@dataclass
class Outcome:
    """What became of each sample, and what the judge did.

    Attributes:
        error_s: stamp after the judge − true time, of every sample; NaN where it was left out.
        trusted: of every sample, the verdict of its pull.
        shifts: time since the start, seconds shifted, whether it was a jump.
    """

    error_s: F8
    trusted: npt.NDArray[np.bool_]
    judge: ClockJudge
    shifts: list[tuple[float, float, bool]] = field(default_factory=list)


def judged(
    true: F8, stamps: F8, arrival: F8, *, absent: tuple[tuple[float, float], ...] = (), most: int = MOST
) -> Outcome:
    """Pull as the loop does: whenever something has arrived, but not during `absent` (since the start)."""
    judge = ClockJudge(JudgeSettings(), START_S, most)
    outcome = Outcome(np.full(len(true), math.nan), np.zeros(len(true), bool), judge)
    time = np.zeros(most)
    at, now, attentive = 0, START_S, True
    while at < len(true):
        attentive = arrival[at] >= now
        now = max(now, float(arrival[at]))
        for begin, end in absent:
            if START_S + begin <= now < START_S + end:
                now, attentive = START_S + end, False
        n = min(int(np.searchsorted(arrival, now, side="right")) - at, most)
        time[:n] = stamps[at : at + n] + judge.offset_s
        verdict = judge.step(time, n, now, emptied=n < most)
        possible = judge.possible[:n].astype(bool)
        outcome.error_s[at : at + n][possible] = (time[:n] - true[at : at + n])[possible]
        outcome.trusted[at : at + n] = verdict.trusted
        drift_s = judge.learn(time, n, now, emptied=n < most, attentive=attentive)
        if verdict.jump_s or drift_s:
            outcome.shifts.append((now - START_S, verdict.jump_s + drift_s, bool(verdict.jump_s)))
        at += n
        now += 1e-5
    return outcome


@settings(max_examples=25, deadline=None)
@example(
    rate_hz=843.125, push_every_s=0.04, fastest_s=0.0, spread_s=0.015625,
    absent=[(1.0, 1.0), (2.0, 3.0)], seed=64,
)  # fmt: skip
@example(
    rate_hz=686.21875, push_every_s=0.001, fastest_s=0.0, spread_s=0.01953125, absent=[], seed=50,
)  # fmt: skip
@given(
    rate_hz=st.floats(2.0, 1000.0),
    push_every_s=st.sampled_from([0.0, 0.001, 0.01, 0.04]),
    fastest_s=st.floats(0.0, 0.03),
    spread_s=st.floats(0.0, 0.02),
    absent=st.lists(st.tuples(st.floats(0.5, 9.0), st.floats(0.001, 3.0)), max_size=3),
    seed=st.integers(0, 99),
)
def test_the_stamps_of_a_right_clock_are_never_touched(
    rate_hz: float, push_every_s: float, fastest_s: float, spread_s: float,
    absent: list[tuple[float, float]], seed: int,
) -> None:  # fmt: skip
    source = Source(rate_hz, 20.0, push_every_s, (fastest_s, fastest_s + spread_s), seed=seed)
    outcome = judged(*source.draw(), absent=tuple((a, a + d) for a, d in absent))
    assert outcome.shifts == []
    assert outcome.trusted.all()
    assert np.abs(outcome.error_s).max() < 1e-9


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("rate_hz", [20.0, 300.0])
def test_a_delivery_that_falls_behind_and_catches_up_is_no_clock(seed: int, rate_hz: float) -> None:
    """A sender that is starved for a while trickles what it has; its stamps stay as they are."""
    rng = np.random.default_rng(seed)
    true = START_S + np.sort(rng.uniform(0.0, 30.0, int(30 * rate_hz)))
    behind_s = np.interp(true - START_S, [0, 6, 9, 15, 18, 30], [0, 0, *rng.uniform(0.1, 4.0, 2), 0, 0])
    arrival = np.maximum.accumulate(true + 0.0005 + behind_s)
    outcome = judged(true, true, arrival)
    assert outcome.shifts == []
    assert np.abs(outcome.error_s).max() < 1e-9


@pytest.mark.parametrize("step_s", [-0.006, -0.02, -0.1, -0.2])
@pytest.mark.parametrize("delay_s", [(0.0002, 0.001), (0.002, 0.006)])
def test_a_step_back_that_is_possible_is_followed_in_a_fraction_of_a_second(
    step_s: float, delay_s: tuple[float, float]
) -> None:
    source = Source(300.0, 8.0, delay_s=delay_s, clock=lambda t: np.where(t > 4.0, step_s, 0.0))
    true, stamps, arrival = source.draw()
    outcome = judged(true, stamps, arrival)
    settled = (true > START_S + 4.0 + (0.3 if step_s < -0.01 else 3.9)) | (true < START_S + 4.0)
    assert np.abs(outcome.error_s[settled]).max() < delay_s[1]
    assert outcome.trusted.all()


@settings(max_examples=25, deadline=None)
@given(
    offset_s=st.one_of(st.floats(0.3, 3e9), st.floats(-3e9, -0.6)),
    rate_hz=st.floats(50.0, 1000.0),
    delay_s=st.sampled_from([(0.0002, 0.001), (0.002, 0.012), (0.02, 0.06)]),
)
def test_a_clock_of_its_own_is_shifted_within_the_delay_of_delivery(
    offset_s: float, rate_hz: float, delay_s: tuple[float, float]
) -> None:
    source = Source(rate_hz, 4.0, delay_s=delay_s, clock=lambda t: np.full_like(t, offset_s))
    outcome = judged(*source.draw())
    trusted = outcome.trusted
    assert trusted[-1]
    first = int(np.argmax(trusted))
    assert outcome.shifts[0][0] < 0.25 + 16 / rate_hz + 0.3
    used = outcome.error_s[first:]
    assert np.nanmin(used) > -1e-6
    assert np.nanmax(used) < delay_s[1] + 0.002
    assert not np.isfinite(outcome.error_s[:first]).any()


@settings(max_examples=40, deadline=None)
@given(
    wild=st.sampled_from([math.nan, math.inf, -math.inf, -1e9, 1e9, 0.0, -200.0, 200.0, 0.5, -40.0, 1e300]),
    which=st.integers(0, 400),
    n=st.integers(1, 2),
)
def test_a_wild_stamp_costs_its_own_sample(wild: float, which: int, n: int) -> None:
    true, stamps, arrival = Source(200.0, 3.0).draw()
    stamps[which : which + n] = wild if abs(wild) > 1e6 or wild == 0.0 else stamps[which] + wild
    outcome = judged(true, stamps, arrival)
    left_out = np.flatnonzero(np.isnan(outcome.error_s))
    assert list(left_out) == list(range(which, which + n))
    assert outcome.judge.impossible.sum() == n
    assert outcome.shifts == []
    others = np.delete(outcome.trusted, left_out)
    assert others.all()


def test_impossible_stamps_are_counted_by_kind() -> None:
    true, stamps, arrival = Source(200.0, 3.0).draw()
    stamps[[100, 200, 300, 400]] = [math.nan, 1e12, -1e12, -math.inf]
    judge = judged(true, stamps, arrival).judge
    assert [int(judge.impossible[k]) for k in (AHEAD, BEHIND, NOT_FINITE)] == [1, 1, 2]


@settings(max_examples=25, deadline=None)
@given(
    step_s=st.one_of(st.floats(0.02, 3e9), st.floats(-3e9, -0.6)),
    rate_hz=st.floats(100.0, 1000.0),
    delay_s=st.sampled_from([(0.0002, 0.001), (0.002, 0.012), (0.02, 0.06)]),
)
def test_after_a_large_step_nothing_untrusted_goes_out_and_the_clock_is_right_again(
    step_s: float, rate_hz: float, delay_s: tuple[float, float]
) -> None:
    source = Source(rate_hz, 10.0, delay_s=delay_s, clock=lambda t: np.where(t > 5.0, step_s, 0.0))
    true, stamps, arrival = source.draw()
    outcome = judged(true, stamps, arrival)
    wrong = np.abs(outcome.error_s) > delay_s[1] + 0.003
    assert not (wrong & outcome.trusted).any()
    assert outcome.trusted[-1]
    settled = true > START_S + 6.0
    assert np.isfinite(outcome.error_s[settled]).mean() > 0.99
    assert np.nanmax(np.abs(outcome.error_s[settled])) < delay_s[1] - delay_s[0] + 0.002
    assert [shift for shift in outcome.shifts if shift[2]] == outcome.shifts[:1]


@pytest.mark.parametrize("step_s", [0.0015, 0.003, 0.006, 0.01, 0.05, 0.2])
@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("delay_s", [(0.0002, 0.001), (0.001, 0.006)])
def test_a_small_step_is_followed(step_s: float, sign: int, delay_s: tuple[float, float]) -> None:
    source = Source(500.0, 24.0, delay_s=delay_s, clock=lambda t: np.where(t > 12.0, sign * step_s, 0.0))
    true, stamps, arrival = source.draw()
    outcome = judged(true, stamps, arrival)
    settled = true > START_S + 19.0
    assert np.isfinite(outcome.error_s[settled]).all()
    assert np.abs(outcome.error_s[settled]).max() < 0.0015 + delay_s[1]
    assert np.isnan(outcome.error_s).mean() < 0.02


@settings(max_examples=10, deadline=None)
@given(
    ppm=st.floats(-500.0, 500.0),
    rate_hz=st.floats(50.0, 300.0),
    delay_s=st.sampled_from([(0.0002, 0.001), (0.002, 0.008)]),
)
def test_a_drifting_clock_is_followed(ppm: float, rate_hz: float, delay_s: tuple[float, float]) -> None:
    source = Source(rate_hz, 120.0, delay_s=delay_s, clock=lambda t: ppm * 1e-6 * t)
    outcome = judged(*source.draw())
    assert np.isfinite(outcome.error_s).all()
    assert outcome.trusted.all()
    assert np.abs(outcome.error_s).max() < delay_s[1] + 0.006
    assert not any(jumped for _, _, jumped in outcome.shifts)


def test_stamps_without_any_sense_are_never_trusted() -> None:
    true, stamps, arrival = Source(200.0, 6.0).draw()
    stamps[:] = np.random.default_rng(3).uniform(0.0, 1e6, len(stamps))
    outcome = judged(true, stamps, arrival)
    assert not (outcome.trusted & np.isfinite(outcome.error_s)).any()
    assert not outcome.trusted[3:].any()
    assert outcome.shifts == []


def test_a_backlog_longer_than_a_pull_is_believed() -> None:
    source = Source(3000.0, 10.0)
    outcome = judged(*source.draw(), absent=((2.0, 8.0),), most=512)
    assert np.abs(outcome.error_s).max() < 1e-9
    assert outcome.trusted.all()
    assert outcome.shifts == []


def test_our_own_clock_that_leaps_is_no_step_of_the_source() -> None:
    judge = ClockJudge(JudgeSettings(), 100.0, 8)
    time = np.zeros(8)
    for i in range(100):
        now = 100.0 + 0.01 * i
        time[0] = now - 0.001 + judge.offset_s
        assert judge.step(time, 1, now, emptied=True).trusted
        judge.learn(time, 1, now, emptied=True, attentive=True)
    judge.restart(9000.0)
    for i in range(100):
        now = 9000.0 + 0.01 * i
        time[0] = now - 0.001 + judge.offset_s
        assert judge.step(time, 1, now, emptied=True).trusted
        judge.learn(time, 1, now, emptied=True, attentive=True)
    assert judge.offset_s == 0.0


@pytest.mark.parametrize("seed", range(5))
def test_spikes_of_a_block_that_come_by_electrode_are_no_clock_that_steps_back(seed: int) -> None:
    """A vendor's block of 20 ms holds the spikes of one electrode after the other, each in order."""
    rng = np.random.default_rng(seed)
    true = np.sort(rng.uniform(0.0, 30.0, 6000))
    electrode, block = rng.integers(0, 32, 6000), np.floor(true / 0.02)
    order = np.lexsort((true, electrode, block))
    sent = (block[order] + 1) * 0.02 + rng.uniform(0.001, 0.004, 1600)[block[order].astype(int)]
    arrival = np.maximum.accumulate(sent + rng.uniform(0.0, 0.0002, 6000))
    outcome = judged(START_S + true[order], START_S + true[order], START_S + arrival)
    assert outcome.shifts == []
    assert outcome.trusted.all()
