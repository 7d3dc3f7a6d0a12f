"""Sources that go wrong at random: stamps, clocks, deliveries and connections, against what must always hold.

RTDECODE_CAMPAIGN=500 in the environment plays as many sources of each layout.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any, cast

import numpy as np
import pytest
from scripted_inlet import ScriptedInlet

from rtdecode.binning import BinRing
from rtdecode.ingest.signals.events import EventRules
from rtdecode.ingest.signals.feed import make_feed
from rtdecode.ingest.signals.layouts import Layout
from rtdecode.kernels import binning
from rtdecode.kernels.sequence import DROPPED_UNIT, DUPLICATE, N_SEQUENCE_COUNTERS, OUT_OF_RANGE, RECEIVED
from rtdecode.messages import Flag
from rtdecode.serve.loop.core import LoopCore
from rtdecode.serve.loop.events import CoreSettings, Pull
from rtdecode.serve.loop.instructions import Dispose, Instruction, Publish, Record, Warm

WIDTH_S = 0.02
N_CHANNELS = 64
TICK_S = 0.002
DELAY_S = 0.0005

#: What arrives is stamped so much ahead at most; and it may be carried into the next bin.
AHEAD_S, LATE_S = 0.006, 2 * WIDTH_S + 0.004

#: While a step of the clock too small to be impossible is not followed yet, only silence flags it.
SMALL_STEP_S = 0.25

LAYOUTS = {
    Layout.EVENTS: (3, "int32", 0.0),
    Layout.SNIPPETS: (6, "int16", 0.0),
    Layout.CHANNEL: (1, "int16", 0.0),
    Layout.COUNTS: (N_CHANNELS, "int16", 50.0),
}


class Campaign:
    """A source whose sample i is a spike on channel i % N_CHANNELS: each bin shows when it was taken."""

    def __init__(self, layout: Layout, seed: int) -> None:
        self.layout, self.rng = layout, np.random.default_rng(seed)
        self.core = LoopCore(CoreSettings(), BinRing(N_CHANNELS, WIDTH_S))
        self.counters = np.zeros(N_SEQUENCE_COUNTERS, np.int64)
        self.now, self.recorded, self.received, self.spikes = 1000.0, 0, 0, 0
        self.period_s = 0.02 if layout is Layout.COUNTS else 0.004
        self.taken_s: list[float] = []
        self.offset_s = 0.0
        self.bins: list[tuple[int, float, int, bool, Any]] = []
        self.inlet: ScriptedInlet | None = None
        self.waiting: list[tuple[float, float, Any]] = []

    def take(self, instructions: Iterator[Instruction]) -> None:
        for each in instructions:
            if isinstance(each, Publish):
                channels = np.flatnonzero(each.closed.counts)
                self.bins.append((each.closed.bin, each.t_bin, each.flags, each.decoded, channels))
                assert each.t_bin <= self.now + WIDTH_S
                self.spikes += each.closed.spikes
            elif isinstance(each, Warm):
                self.spikes += each.closed.spikes
            elif isinstance(each, Record):
                self.recorded += int(each.feed.columns.accepted[: each.n].sum())
            elif isinstance(each, Dispose):
                self.waiting.clear()

    def attach(self) -> None:
        columns, dtype, rate_hz = LAYOUTS[self.layout]
        self.inlet = ScriptedInlet(columns, dtype, rate_hz)
        self.inlet.opened_s = self.now
        rules = EventRules()
        feed = make_feed(
            self.layout, cast(Any, self.inlet), self.core.ring, rules=rules, counters=self.counters
        )
        self.take(self.core.attached(feed, self.now))

    def row(self, i: int) -> list[int]:
        if self.layout is Layout.COUNTS:
            return [int(c == i % N_CHANNELS) for c in range(N_CHANNELS)]
        return [i % N_CHANNELS, 0, i, 0, 0, 0][: LAYOUTS[self.layout][0]]

    def play(
        self,
        seconds: float,
        *,
        drift: float = 0.0,
        jitter_s: float = 0.0,
        wild: float = 0.0,
        held_s: float = 0.0,
        behind_s: float = 0.0,
        double: bool = False,
        silent: bool = False,
    ) -> None:
        """Let the source run for a while, with faults."""
        begun, due = self.now, self.now + self.period_s
        end, held_until = begun + seconds, begun + held_s
        while self.now < end:
            self.now += TICK_S
            while due <= self.now and not silent:
                i = len(self.taken_s)
                self.taken_s.append(due)
                self.offset_s += drift * self.period_s
                stamp = due + self.offset_s + self.rng.uniform(-jitter_s, jitter_s)
                if self.rng.random() < wild:
                    stamp = float(
                        self.rng.choice([np.nan, np.inf, -np.inf, stamp + 1e6, stamp - 1e4, stamp + 0.5])
                    )
                # A sender that is starved falls behind in the first half, and catches up in the second.
                late_s = behind_s * (1.0 - abs(2.0 * (due - begun) / seconds - 1.0))
                self.waiting += [(max(due + DELAY_S + late_s, held_until), stamp, self.row(i))] * (1 + double)
                due += self.period_s
            if self.inlet is None:
                self.waiting.clear()
                self.take(self.core.passed(self.now))
                continue
            while self.waiting and self.waiting[0][0] <= self.now:
                _, stamp, row = self.waiting.pop(0)
                self.inlet.send(stamp + self.core.offset_s, row)
                self.received += 1
            n = self.inlet.pull(0.0)
            self.take(self.core.pulled(Pull(n, self.now, attentive=True)))

    def fault(self) -> None:
        """Something happens."""
        rng = self.rng
        match rng.integers(10):
            case 0:
                self.offset_s += float(rng.choice([1.8e9, -1e4, 3600.0, -60.0, 2.0, -0.7, 0.3, 0.05]))
                self.play(1.0)
            case 1:
                self.play(3.0, drift=float(rng.choice([5e-4, -5e-4, 2e-4])))
            case 2:
                self.play(1.0, jitter_s=float(rng.choice([1e-4, 1e-3])))
            case 3:
                self.play(1.0, wild=float(rng.choice([0.01, 0.1, 0.5])))
            case 4:
                self.play(float(rng.choice([0.1, 0.4, 1.5])), silent=True)
            case 5:
                self.take(self.core.lost("its outlet is gone", self.now))
                self.inlet = None
                self.play(float(rng.choice([0.01, 0.5, 1.2])))
                self.offset_s = float(rng.choice([0.0, 0.0, 7200.0, -300.0]))
                self.attach()
            case 6:
                self.play(1.0, held_s=float(rng.choice([0.03, 0.15, 0.5])))
            case 7:
                self.play(3.0, behind_s=float(rng.choice([0.02, 0.2, 1.4])))
            case 8 if self.layout is Layout.EVENTS:
                self.play(0.5, double=True)
            case _:
                self.take(self.core.corrected(self.now))
        self.play(float(rng.choice([0.2, 1.0])))

    def check(self) -> None:
        numbers = [b for b, *_ in self.bins]
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
        assert (np.diff([t for _, t, *_ in self.bins]) > 0).all()
        left_out = self.core.discarded + int(self.core.left_out.sum())
        left_out += int(self.counters[[DUPLICATE, OUT_OF_RANGE, DROPPED_UNIT]].sum())
        assert self.counters[RECEIVED] == self.received == self.recorded + left_out
        # Each sample has one spike, so those of all bins are the samples that were binned.
        ring = self.core.ring
        in_time = ring.time_counters
        left_out += int(in_time[[binning.LATE_SAMPLES, binning.FUTURE, binning.DISCARDED]].sum())
        assert self.received == in_time[binning.BINNED] + left_out
        assert (
            in_time[binning.BINNED]
            == self.spikes + ring.broken_off + ring.spikes[ring.open_bin % ring.n_bins]
        )
        taken_s = np.array(self.taken_s)
        for b, t_bin, flags, decoded, channels in self.bins:
            assert decoded or flags & Flag.FAILSAFE
            if flags:
                continue
            around = np.searchsorted(taken_s, t_bin)
            for channel in channels:
                near = np.arange(max(0, around - N_CHANNELS), min(len(taken_s), around + N_CHANNELS))
                near = near[near % N_CHANNELS == channel]
                age_s = t_bin - taken_s[near]
                assert ((age_s > -AHEAD_S) & (age_s < LATE_S)).any(), (b, t_bin, channel, age_s)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_whatever_happens_no_bin_is_missing_and_nothing_wrong_goes_unflagged(layout: Layout) -> None:
    for seed in range(int(os.environ.get("RTDECODE_CAMPAIGN", "8"))):
        source = Campaign(layout, seed)
        source.attach()
        source.play(0.5)
        for _ in range(3):
            source.fault()
        try:
            source.check()
        except AssertionError as error:
            raise AssertionError(f"seed {seed}: {error}") from error
