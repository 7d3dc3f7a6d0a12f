"""The decisions of the loop: events in, instructions out, on a clock of the test's own."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
import pytest
from numpy.typing import NDArray
from scripted_inlet import ScriptedInlet

from rtdecode.binning import BinRing
from rtdecode.ingest.signals.events import EventRules
from rtdecode.ingest.signals.feed import Feed, make_feed
from rtdecode.ingest.signals.layouts import Layout
from rtdecode.kernels.sequence import N_SEQUENCE_COUNTERS
from rtdecode.messages import Flag
from rtdecode.serve.loop.core import LoopCore
from rtdecode.serve.loop.events import CoreSettings, Pull
from rtdecode.serve.loop.instructions import (
    BrokeOff,
    Dispose,
    Instruction,
    Publish,
    Record,
    Resumed,
    Search,
    Started,
    StopSearch,
    Warm,
)
from rtdecode.serve.loop.states import Judging, Outage, Running, Waiting

WIDTH_S = 0.02
N_CHANNELS = 4
TICK_S = 0.002
DELAY_S = 0.0005
START_S = 1000.0

Clock = Callable[[NDArray[np.float64]], NDArray[np.float64]]


@dataclass
class Run:
    """Plays a source through a core, a pull every 2 ms.

    Attributes:
        bins: number, flags, spikes and whether it was decoded, of each published bin.
        said: all other instructions.
    """

    layout: Layout = Layout.EVENTS
    settings: CoreSettings = field(default_factory=lambda: CoreSettings(grace_s=0.003))

    def __post_init__(self) -> None:
        self.core = LoopCore(self.settings, BinRing(N_CHANNELS, WIDTH_S))
        self.now = START_S
        self.bins: list[tuple[int, int, int, bool]] = []
        self.t_bin: list[float] = []
        self.said: list[Instruction] = []
        self.recorded = 0
        self.counters = np.zeros(N_SEQUENCE_COUNTERS, np.int64)
        self._inlet: ScriptedInlet | None = None
        self._sent: list[tuple[float, float]] = []

    def take(self, instructions: Iterator[Instruction]) -> None:
        for each in instructions:
            if isinstance(each, Publish):
                self.bins.append((each.closed.bin, each.flags, each.closed.spikes, each.decoded))
                self.t_bin.append(each.t_bin)
            elif isinstance(each, Record):
                self.recorded += int(each.feed.columns.accepted[: each.n].sum())
            elif not isinstance(each, Warm):
                self.said.append(each)

    def attach(self) -> None:
        columns, rate_hz = (N_CHANNELS, 50.0) if self.layout is Layout.COUNTS else (3, 0.0)
        self._inlet = ScriptedInlet(columns, "int32", rate_hz)
        self._inlet.opened_s = self.now
        feed: Feed = make_feed(
            self.layout, cast(Any, self._inlet), self.core.ring, rules=EventRules(), counters=self.counters
        )
        self._n = 0
        self.take(self.core.attached(feed, self.now))

    def lose(self) -> None:
        self._inlet = None
        self.take(self.core.lost("its outlet is gone", self.now))

    def play(self, seconds: float, clock: Clock = np.zeros_like, *, silent: bool = False) -> None:
        """Let time pass; an attached source sends, with `clock(seconds since now)` as its clock's error."""
        begun, period_s = self.now, 0.02 if self.layout is Layout.COUNTS else 0.004
        end = begun + seconds
        due = np.arange(begun + period_s, end + 1e-9, period_s)
        stamps = due + clock(due - begun)
        at = 0
        while self.now < end - 1e-9:
            self.now += TICK_S
            if self._inlet is None:
                self.take(self.core.passed(self.now))
                continue
            while at < len(due) and due[at] + DELAY_S <= self.now:
                if not silent:
                    counts = self.layout is Layout.COUNTS
                    row = [1] * N_CHANNELS if counts else [self._n % N_CHANNELS, 0, self._n]
                    self._inlet.send(stamps[at] + self.core.offset_s, row)
                    self._n += 1
                at += 1
            n = self._inlet.pull(0.0)
            self.take(self.core.pulled(Pull(n, self.now, attentive=True)))

    def check(self) -> None:
        """Every bin once, in order, at the end of its interval; what is not decoded is flagged."""
        numbers = [b for b, _, _, _ in self.bins]
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
        assert (np.diff(self.t_bin) > 0).all()
        assert max(self.t_bin) < self.now + WIDTH_S
        for _, flags, _, decoded in self.bins:
            assert decoded or flags & Flag.FAILSAFE

    def of(self, kind: type) -> list[Any]:
        return [each for each in self.said if isinstance(each, kind)]

    def flags_from(self, seconds: float) -> set[int]:
        """Flags of the bins that ended later than this after the start."""
        return {f for (_, f, _, _), t in zip(self.bins, self.t_bin, strict=True) if t > START_S + seconds}


LAYOUTS = pytest.mark.parametrize("layout", [Layout.EVENTS, Layout.COUNTS])


@LAYOUTS
def test_a_source_is_decoded_from_its_first_pull(layout: Layout) -> None:
    run = Run(layout)
    assert run.core.state == Waiting()
    run.play(0.1)
    assert run.bins == []
    run.attach()
    run.play(2.0)
    run.check()
    assert isinstance(run.core.state, Running)
    assert run.flags_from(0.2) == {0}
    assert len(run.of(Started)) == 1


@LAYOUTS
@pytest.mark.parametrize("offset_s", [1.79e9, -800.0, 3600.0, -1e9, 0.4])
def test_a_clock_of_its_own_costs_a_third_of_a_second_and_no_bin(layout: Layout, offset_s: float) -> None:
    run = Run(layout)
    run.attach()
    run.play(2.0, lambda t: np.full_like(t, offset_s))
    run.check()
    assert run.flags_from(0.6) == {0}
    assert run.core.offset_s == pytest.approx(-offset_s, abs=0.03)
    assert len(run.bins) == pytest.approx(2.0 / WIDTH_S, abs=3)
    # Nothing that was decoded is missing a spike.
    whole = 4 if layout is Layout.COUNTS else 5
    decoded = [n for _, flags, n, of in run.bins if of and not flags]
    assert np.mean(decoded) == pytest.approx(whole, rel=0.05)


@LAYOUTS
@pytest.mark.parametrize("wild", [math.nan, math.inf, -math.inf, 200_000.0, -200_000.0, 0.5])
@pytest.mark.parametrize("which", [0, 40])
def test_one_wild_stamp_costs_one_sample(layout: Layout, wild: float, which: int) -> None:
    run = Run(layout)
    run.attach()

    def clock(t: NDArray[np.float64]) -> NDArray[np.float64]:
        error = np.zeros_like(t)
        error[which] = wild
        return error

    run.play(2.0, clock)
    run.check()
    assert run.flags_from(0.2) == {0}
    assert all(resumed.bin == 1 for resumed in run.of(Resumed)) or which == 0
    assert int(run.core.left_out.sum()) == 1
    assert run.counters[0] - run.recorded - run.core.discarded == 1


@LAYOUTS
@pytest.mark.parametrize("step_s", [0.05, 7200.0, -7180.0])
def test_a_step_of_the_clock_is_flagged_until_it_is_followed(layout: Layout, step_s: float) -> None:
    run = Run(layout)
    run.attach()
    run.play(1.0)
    run.play(2.0, lambda t: np.full_like(t, step_s))
    run.check()
    (broke,) = run.of(BrokeOff)[-1:]
    (resumed,) = run.of(Resumed)[-1:]
    assert 0 < resumed.bin - broke.bin < 20
    assert run.flags_from(1.6) == {0}
    assert run.core.clock_jumps == 1


@LAYOUTS
@pytest.mark.parametrize("offset_s", [0.0, 7180.0, -980.0])
def test_a_source_that_returns_with_another_clock_is_decoded_again(layout: Layout, offset_s: float) -> None:
    run = Run(layout)
    run.attach()
    run.play(1.0)
    run.lose()
    assert isinstance(run.core.state, Outage)
    assert run.said[-2:] == [run.of(Dispose)[0], Search(replacing=False)]
    run.play(2.0)
    run.attach()
    assert isinstance(run.core.state, Judging)
    run.play(2.0, lambda t: np.full_like(t, offset_s))
    run.check()
    assert run.flags_from(3.8) == {0}
    assert len(run.bins) == pytest.approx(5.0 / WIDTH_S, abs=3)
    assert run.core.reconnects == 1


def test_silence_is_flagged_and_another_source_is_searched_until_it_ends() -> None:
    run = Run()
    run.attach()
    run.play(0.5)
    run.play(1.6, silent=True)
    run.play(0.5)
    run.check()
    assert [each for each in run.said if isinstance(each, Search | StopSearch)] == [
        Search(replacing=True),
        StopSearch(),
    ]
    assert run.flags_from(2.3) == {0}
    assert int(Flag.STALE) in {flags for _, flags, _, _ in run.bins}
    assert int(Flag.STALE | Flag.FAILSAFE) in {flags for _, flags, _, _ in run.bins}


@LAYOUTS
def test_our_own_clock_that_leaps_costs_no_million_of_bins(layout: Layout) -> None:
    run = Run(layout)
    run.attach()
    run.play(1.0)
    run.now += 3600.0
    run.play(2.0)
    assert len(run.bins) < 250
    assert run.flags_from(3602.0) == {0}
    assert run.core.clock_jumps == 1


def test_what_is_received_is_recorded_or_counted() -> None:
    run = Run()
    run.attach()
    run.play(1.0, lambda t: np.full_like(t, 1e6))
    run.play(1.0, lambda t: np.full_like(t, 1e6 + 40.0))
    left_out = int(run.core.left_out.sum())
    received = int(run.counters[0])
    assert received == pytest.approx(500, abs=2)
    assert run.recorded + run.core.discarded + left_out == received
    assert run.recorded > 300
