"""Feeds as the loop uses them: anchored, interrupted, resumed; and nothing is compiled once live."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scripted_inlet import ScriptedInlet, pull

from rtdecode.binning import BinRing
from rtdecode.ingest.connection.inlet import MAX_PULL
from rtdecode.ingest.signals.counts import CountFeed
from rtdecode.ingest.signals.events import EventFeed, EventRules
from rtdecode.kernels import binning as time_counters
from rtdecode.kernels import sequence

N_CHANNELS = 6
WIDTH_S = 0.02


def event_rows(channel: Any, seq: Any) -> NDArray[np.int32]:
    channel = np.atleast_1d(channel)
    return np.stack((channel, np.zeros_like(channel), np.broadcast_to(seq, channel.shape)), axis=1)


@dataclass(frozen=True)
class Taken:
    bin: int
    t_bin: float
    counts: tuple[int, ...]


class Loop:
    """The part of rtdecode/serve/loop.py that concerns feeds, without LSL and without a clock."""

    def __init__(self) -> None:
        self.ring = BinRing(N_CHANNELS, WIDTH_S)
        self.counters = np.zeros(sequence.N_SEQUENCE_COUNTERS, np.int64)
        self.feed: EventFeed | CountFeed | None = None
        self.edges: Any = None
        self.taken: list[Taken] = []
        self.decode_from = 0

    def event_feed(self) -> tuple[EventFeed, ScriptedInlet]:
        inlet = ScriptedInlet(3)
        return EventFeed(cast(Any, inlet), self.ring, rules=EventRules(), counters=self.counters), inlet

    def count_feed(self, period_s: float) -> tuple[CountFeed, ScriptedInlet]:
        inlet = ScriptedInlet(N_CHANNELS, "int16", 1.0 / period_s)
        return CountFeed(cast(Any, inlet), self.ring, rules=EventRules(), counters=self.counters), inlet

    def begin(self, feed: EventFeed | CountFeed, origin_s: float, n: int, now: float) -> None:
        self.feed = feed
        feed.anchor(origin_s, n)
        self.edges = feed.binning
        self.take_in(n, now)

    def turn(self, now: float, grace_s: float = 0.003) -> None:
        n = 0
        if self.feed is not None:
            n = pull(self.feed)
            if n:
                self.take_in(n, now)
        if n < MAX_PULL:
            self.close(now - grace_s)

    def take_in(self, n: int, now: float) -> None:
        feed = self.feed
        if feed.binning is None and not self.reanchor(n):
            return
        at = 0
        while at < n:
            at = feed.add(at, n, now)
            self.take()

    def lose(self) -> None:
        self.feed = None
        self.take()
        self.ring.empty_open_bin()
        self.decode_from = 1 << 62

    def attach(self, feed: EventFeed | CountFeed) -> None:
        self.feed = feed
        if isinstance(feed, EventFeed):
            self.reanchor(0)

    def reanchor(self, n: int) -> bool:
        resume = self.ring.open_bin + 1
        if not self.feed.resume(self.edges, n):
            return False
        self.edges = self.feed.binning
        self.decode_from = resume
        return True

    def close(self, t: float) -> None:
        while not self.edges.close_until(t):
            self.take()
        self.take()

    def take(self) -> None:
        while (closed := self.ring.take()) is not None:
            counts = tuple(int(count) for count in closed.counts)
            self.taken.append(Taken(closed.bin, self.edges.bin_end_s(closed.bin), counts))


def check_taken(loop: Loop, expected: list[tuple[float, tuple[int, ...]]], first: int = 0) -> None:
    taken = loop.taken[first:]
    assert [row.bin for row in taken] == list(range(first, first + len(expected)))
    assert [row.counts for row in taken] == [counts for _, counts in expected]
    assert [row.t_bin for row in taken] == pytest.approx([t_bin for t_bin, _ in expected])


def check_order(taken: list[Taken]) -> None:
    assert [row.bin for row in taken] == list(range(len(taken)))
    assert (np.diff([row.t_bin for row in taken]) > 0).all()


# Events


def test_bin_0_begins_at_the_anchor() -> None:
    loop = Loop()
    feed, inlet = loop.event_feed()
    inlet.send([9.99, 10.0, 10.015, 10.021], event_rows([0, 1, 1, 2], range(4)))
    loop.begin(feed, 10.0, pull(feed), 10.022)
    loop.close(10.05)
    check_taken(loop, [(10.02, (0, 2, 0, 0, 0, 0)), (10.04, (0, 0, 1, 0, 0, 0))])
    assert int(loop.ring.time_counters[time_counters.DISCARDED]) == 1


def test_the_first_bin_may_begin_at_the_oldest_good_event() -> None:
    feed, inlet = Loop().event_feed()
    assert feed.first_bin_start(0, 8.0, 10.0) is None
    inlet.send([7.0, 9.5, 9.2, 9.1, 12.0], event_rows([0, 1, 2, N_CHANNELS, 0], range(5)))
    n = pull(feed)
    assert feed.first_bin_start(n, 8.0, 10.0) == 9.2
    assert feed.first_bin_start(n, 9.3, 10.0) == 9.5
    assert feed.first_bin_start(n, 9.6, 10.0) is None


@settings(deadline=None, max_examples=60)
@given(
    origin_s=st.floats(0, 1e5),
    lost_at=st.floats(0, 0.3),
    silent_s=st.floats(0, 5),
    seed=st.integers(0, 1000),
    edge=st.booleans(),
)
def test_after_an_outage_of_events_the_first_decoded_bin_is_whole(
    origin_s: float, lost_at: float, silent_s: float, seed: int, edge: bool
) -> None:
    rng, loop = np.random.default_rng(seed), Loop()
    feed, inlet = loop.event_feed()
    loop.begin(feed, origin_s, 0, origin_s)
    before = origin_s + np.sort(rng.uniform(0, lost_at, 40))
    inlet.send(before, event_rows(rng.integers(0, N_CHANNELS, 40), range(40)))
    loop.turn(origin_s + lost_at)
    loop.lose()
    first_in_outage = loop.ring.open_bin
    back = origin_s + lost_at + silent_s
    for now in np.linspace(origin_s + lost_at, back, 5):
        loop.turn(float(now), 0.0)
    feed, inlet = loop.event_feed()
    loop.attach(feed)
    resumed = loop.decode_from
    start_s = loop.edges.bin_end_s(resumed - 1)
    # The outlet kept its events while nobody was connected.
    after = back + np.sort(rng.uniform(-0.1, 0.2, 200))
    if edge:
        after = np.sort(np.append(after, start_s))
    channel = rng.integers(0, N_CHANNELS, len(after))
    inlet.send(after, event_rows(channel, 1000 + np.arange(len(after))))
    loop.turn(back + 0.2)
    loop.turn(back + 0.3)
    check_order(loop.taken)
    assert resumed > first_in_outage
    end_s = start_s
    for row in (row for row in loop.taken if row.bin >= resumed):
        inside = (after >= end_s) & (after < row.t_bin)
        assert row.counts == tuple(np.bincount(channel[inside], minlength=N_CHANNELS))
        end_s = row.t_bin
    assert end_s > start_s
    assert not any(any(row.counts) for row in loop.taken if first_in_outage <= row.bin < resumed)


def test_events_are_read() -> None:
    loop = Loop()
    feed, inlet = loop.event_feed()
    inlet.send([0.001, 0.002, 0.003, 0.021], event_rows([5, 0, 5, 1], [100, 101, 103, 104]))
    loop.begin(feed, 0.0, pull(feed), 0.03)
    assert loop.ring.counts[:2].tolist() == [[1, 0, 0, 0, 0, 2], [0, 1, 0, 0, 0, 0]]
    assert loop.counters[[sequence.RECEIVED, sequence.LOST]].tolist() == [4, 1]


def test_counters_continue_over_feeds_and_sequence_numbers_do_not() -> None:
    loop = Loop()
    for first in (5, 900):
        feed, inlet = loop.event_feed()
        inlet.send([0.1, 0.2, 0.3], event_rows([0, 0, 0], [first, first + 1, first + 3]))
        pull(feed)
    assert loop.counters[[sequence.RECEIVED, sequence.LOST]].tolist() == [6, 2]


# Counts


def test_the_first_whole_sample_after_the_anchor_opens_bin_0() -> None:
    loop = Loop()
    feed, inlet = loop.count_feed(0.01)
    inlet.send(5.0 + 0.01 * np.arange(1, 8), np.arange(7)[:, None] + np.zeros((7, N_CHANNELS)))
    n = pull(feed)
    assert feed.first_bin_start(n, 5.012, 6.0) == pytest.approx(5.02)
    assert feed.first_bin_start(n, 6.0, 7.0) is None
    loop.begin(feed, 5.02, n, 5.07)
    assert feed.columns.number[:n].tolist() == [-2, -1, 0, 1, 2, 3, 4]
    check_taken(loop, [(5.04, (2 + 3,) * N_CHANNELS), (5.06, (4 + 5,) * N_CHANNELS)])
    assert int(loop.ring.time_counters[time_counters.DISCARDED]) == 2
    inlet.send(5.08, np.ones(N_CHANNELS))
    loop.turn(5.08)
    check_taken(loop, [(5.08, (6 + 1,) * N_CHANNELS)], first=2)


def test_bin_ends_follow_the_stamps_of_a_drifting_source() -> None:
    loop = Loop()
    feed, inlet = loop.count_feed(0.02)
    stamps = 7.0 + 0.02 * (1 + 2e-4) * np.arange(1, 40_001)
    inlet.send(stamps[:1], np.ones(N_CHANNELS))
    loop.begin(feed, 7.0, pull(feed), stamps[0])
    for i in range(1, 40_000, 50):
        inlet.send(stamps[i : i + 50], np.ones((len(stamps[i : i + 50]), N_CHANNELS)))
        loop.turn(stamps[min(i + 49, 39_999)])
    check_order(loop.taken)
    np.testing.assert_allclose([row.t_bin for row in loop.taken], stamps, atol=0.002)
    assert {row.counts for row in loop.taken} == {(1,) * N_CHANNELS}
    assert loop.counters.tolist() == [40_000, *[0] * (sequence.N_SEQUENCE_COUNTERS - 1)]


@dataclass(frozen=True)
class CountOutage:
    """An outage of a counts stream; samples after it have a 1 on channel 1, those before have nothing."""

    period_s: float
    origin_s: float
    n_before: int
    silent_s: float
    jitter: float
    delay_s: float
    pulls: list[int]
    seed: int
    grace_s: float = 0.010

    def run(self) -> tuple[Loop, int]:
        """The loop after the outage, and the first bin in it."""
        rng, loop = np.random.default_rng(self.seed), Loop()
        feed, inlet = loop.count_feed(self.period_s)
        inlet.send(self.origin_s + self.period_s, np.zeros(N_CHANNELS))
        loop.begin(feed, self.origin_s, pull(feed), self.origin_s + self.period_s)
        for i in range(2, self.n_before + 2):
            inlet.send(self.origin_s + i * self.period_s, np.zeros(N_CHANNELS))
            loop.turn(self.origin_s + i * self.period_s)
        lost_at = self.origin_s + (self.n_before + 1.4) * self.period_s
        loop.turn(lost_at)
        loop.lose()
        first_in_outage = loop.ring.open_bin
        back = lost_at + self.silent_s
        for now in np.linspace(lost_at, back, 5):
            loop.turn(float(now), 0.0)
        feed, inlet = loop.count_feed(self.period_s)
        loop.attach(feed)
        sent, now = 0, back
        for n in self.pulls:
            number = np.arange(sent, sent + n)
            stamps = back + (number + rng.uniform(-self.jitter, self.jitter, n)) * self.period_s
            rows = np.zeros((n, N_CHANNELS))
            rows[:, 1] = 1
            sent += n
            came = max(float(stamps[-1]), back + (sent - 1) * self.period_s) + self.delay_s
            while now + 0.001 < came:
                now += 0.001
                loop.turn(now, self.grace_s)
            inlet.send(stamps, rows)
            now = came
            loop.turn(now, self.grace_s)
        return loop, first_in_outage


@settings(deadline=None, max_examples=60)
@given(
    st.builds(
        CountOutage,
        period_s=st.sampled_from([0.001, 0.005, 0.01, 0.02]),
        origin_s=st.floats(0, 1e5),
        n_before=st.integers(0, 40),
        silent_s=st.floats(0.001, 5),
        jitter=st.sampled_from([0.0, 0.1, 0.3]),
        delay_s=st.sampled_from([0.0, 0.007]),
        pulls=st.just([1] * 60) | st.lists(st.integers(1, 8), min_size=6, max_size=30),
        seed=st.integers(0, 1000),
    )
)
@example(CountOutage(0.02, 85320.60078541827, 13, 0.1374896787190218, 0.3, 0.0, [1] * 30, 53))
@example(
    CountOutage(0.005, 56920.387482221224, 4, 0.07726563869608709, 0.3, 0.0, [8, 8, 8, 7, 4, 2, 8, 1], 1)
)
def test_after_an_outage_of_counts_the_first_decoded_bin_is_whole(outage: CountOutage) -> None:
    outage = replace(outage, grace_s=outage.delay_s + 0.003)
    loop, first_in_outage = outage.run()
    resumed = loop.decode_from
    assert first_in_outage < resumed < 1 << 62
    assert not any(row.counts[1] for row in loop.taken if first_in_outage <= row.bin < resumed)
    decoded = [row for row in loop.taken if row.bin >= resumed]
    if decoded and outage.jitter == 0.0 and max(outage.pulls) == 1:
        assert all(row.counts[1] == round(WIDTH_S / outage.period_s) for row in decoded)
    check_order(loop.taken)


def test_a_counts_source_that_delivers_late_is_decoded_again() -> None:
    # The grace waits 10 ms at most, and 45 ms late is still the same clock.
    loop, _ = CountOutage(0.01, 100.0, 20, 1.0, 0.0, 0.045, [1] * 100, 0).run()
    assert loop.decode_from < 1 << 62


def test_counts_resume_only_past_the_bin_that_was_published_last() -> None:
    loop = Loop()
    feed, inlet = loop.count_feed(0.02)
    inlet.send(10.02, np.ones(N_CHANNELS))
    loop.begin(feed, 10.0, pull(feed), 10.02)
    loop.lose()
    loop.close(10.09)
    assert loop.ring.open_bin == 4
    feed, inlet = loop.count_feed(0.02)
    loop.attach(feed)
    assert not feed.resume(loop.edges, 0)
    for stamp in (10.05, 10.07, 10.09):
        inlet.send(stamp, np.ones(N_CHANNELS))
        if resumed := feed.resume(loop.edges, pull(feed)):
            break
    assert resumed
    # Bin 3 was published as the bin up to 10.08; a sample's interval begins at 10.09, and with it bin 5.
    assert feed.binning.anchor_bin == 5
    assert feed.binning.bin_end_s(4) == pytest.approx(10.09)
    assert feed.columns.number[0] < 0


# Kernels compiled for other types in the middle of a bin would cost a second of silence, so what a
# fresh process compiles before it goes live must be all it ever needs.
SIGNATURES = """
import sys
import numpy as np
import pylsl
sys.path[:0] = sys.argv[1:]
from decoding import artifact_of
from scripted_inlet import ScriptedInlet
from rtdecode.binning import BinRing
from rtdecode.decode.load import load_decoder
from rtdecode.decode.stage import DecodeStage
from rtdecode.ingest.clock.delay import AutoGrace, DeliveryDelay
from rtdecode.ingest.signals.counts import CountFeed
from rtdecode.ingest.signals.events import EventRules, EventFeed
from rtdecode.ingest.signals.raster import RasterFeed
from rtdecode.ingest.clock.judge import ClockJudge
from rtdecode.ingest.clock.settings import JudgeSettings
from rtdecode.ingest.connection.inlet import MAX_PULL
from rtdecode.kernels import binning, delay, recording, sequence, stamps
from rtdecode.kernels.decoders import wiener
from rtdecode.serve.recording.buffers import RecordBuffers
from rtdecode.kernels.sequence import N_SEQUENCE_COUNTERS
from rtdecode.serve.settings import ServeSettings
from rtdecode.serve.warmup import compile_kernels

KERNELS = [
    k for module in (binning, delay, recording, sequence, stamps, wiener) for k in vars(module).values()
    if hasattr(k, "signatures")
]

def signatures():
    return {k.py_func.__qualname__: len(k.signatures) for k in KERNELS}

def pull(feed):
    n = feed.inlet.pull(0.0)
    judge = ClockJudge(JudgeSettings(), float(feed.columns.time[0]), MAX_PULL)
    now = float(feed.columns.time[n - 1])
    judge.step(feed.columns.time, n, now, emptied=True)
    judge.learn(feed.columns.time, n, now, emptied=True, attentive=True)
    feed.read(n, judge.possible)
    return n

class Inlet(ScriptedInlet):
    seq = 0

    def pull(self, timeout_s):
        rows = np.zeros((5, self.samples.shape[1]))
        if self.stream.rate_hz == 0.0:
            rows[:, 2] = np.arange(self.seq, self.seq + 5)
        self.send([0.01 * (self.seq + i) for i in range(5)], rows)
        self.seq += 5
        return super().pull(timeout_s)

run = {"weight": np.ones((8, 3, 3), np.float32), "bias": np.zeros(3)}
artifact = artifact_of("wiener", n_channels=8, run=run)
settings = ServeSettings(streams=("M1",))
stage = DecodeStage(load_decoder(artifact), artifact)
compile_kernels(stage, artifact)
compiled = signatures()
for feed_type, dtypes, rate_hz in (
    (EventFeed, ("int32",), 0.0),
    (CountFeed, ("int16", "int32", "int64", "float32", "float64"), 100.0),
    (RasterFeed, ("int8", "int16", "int32", "int64"), 2000.0),
):
    for dtype in dtypes:
        n_columns = 3 if feed_type is EventFeed else 8
        ring, buffers = BinRing(8, artifact.bin_width_s), RecordBuffers(8, 1)
        rules, counted = EventRules(settings.carry_late), np.zeros(N_SEQUENCE_COUNTERS, np.int64)
        make = lambda: feed_type(Inlet(n_columns, dtype, rate_hz), ring, rules=rules, counters=counted)
        feed, observed = make(), DeliveryDelay()
        grace = AutoGrace(observed)
        n = pull(feed)
        oldest = feed.first_bin_start(n, -5.0, pylsl.local_clock())
        feed.anchor(oldest, n)
        for i in range(60):
            now = pylsl.local_clock() if i % 2 else float(feed.inlet.time[n - 1])
            observed.observe(feed.inlet.time, feed.columns.accepted, n, now)
            buffers.add_samples(feed, n, now)
            at = 0
            while at < n:
                at = feed.add(at, n, now)
                while (closed := ring.take()) is not None:
                    stage.step(closed.counts, 0)
                    stage.warm(closed.counts)
                    grace.update()
            while not feed.binning.close_until(float(feed.inlet.time[n - 1]) - grace.seconds):
                while ring.take() is not None:
                    pass
            feed.binning.complete_at_s(ring.open_bin)
            if i == 30:
                before, feed = feed.binning, make()
                feed.inlet.seq = int(100 * before.bin_end_s(ring.open_bin)) + 5
                n = pull(feed)
                assert feed.resume(before, n)
            n = pull(feed)
        observed.quantile_s(0.5)
used = {name for name, count in signatures().items() if count}
assert len(used) >= 11, used
print({name: (compiled[name], count) for name, count in signatures().items() if count != compiled[name]})
print({name: count for name, count in compiled.items() if name in used and count != 1})
"""


def test_no_kernel_is_compiled_again_once_live() -> None:
    support = Path(__file__).parents[4] / "support"
    command = [sys.executable, "-c", SIGNATURES, str(support), str(support / "live")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    again, not_once = done.stdout.splitlines()
    assert again == "{}"
    assert not_once == "{}"


def test_dropped_units_are_left_out_counted_and_still_shown() -> None:
    inlet, counters = ScriptedInlet(3, "int32", 0.0), np.zeros(sequence.N_SEQUENCE_COUNTERS, np.int64)
    rules = EventRules(drop_units=frozenset({255, 3}))
    feed = EventFeed(cast(Any, inlet), BinRing(8, 0.02), rules=rules, counters=counters)
    units = [0, 255, 1, 255, 3, 0]
    inlet.send(np.arange(6) * 0.01, np.column_stack(([1, 2, 3, 4, 5, 8], units, np.arange(6))))
    n = pull(feed)
    # The last one is on a channel that the array does not have.
    assert feed.columns.accepted[:n].tolist() == [1, 0, 1, 0, 0, 0]
    assert (counters[sequence.DROPPED_UNIT], counters[sequence.OUT_OF_RANGE]) == (3, 1)
    assert {u: int(feed.by_unit[u]) for u in np.flatnonzero(feed.by_unit)} == {0: 1, 1: 1, 3: 1, 255: 2}
    assert (feed.n_first, feed.n_beyond) == (0, 1)
