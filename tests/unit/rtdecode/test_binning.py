"""Binning as in docs/time.md: like the plain Python below, whatever the chunks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from rtdecode.binning import (
    FUTURE_TOLERANCE_S,
    RING_BINS,
    BinRing,
    CountBinning,
    EventBinning,
    EventColumns,
    SampleColumns,
)
from rtdecode.kernels import binning as kernels

N_CHANNELS = 3
#: Ahead of every clock in these tests.
FAR_AHEAD_S = 1e6

Row = tuple[int, tuple[int, ...], int, int, int, float]


@dataclass
class Reference:
    """The rules for one event or sample at a time; without a ring, which could be full."""

    carry: bool
    n_channels: int = N_CHANNELS
    open: int = 0
    closed: list[Row] = field(default_factory=list)
    counters: list[int] = field(default_factory=lambda: [0] * kernels.N_TIME_COUNTERS)

    def __post_init__(self) -> None:
        self._clear()

    def _clear(self) -> None:
        self.counts = [0] * self.n_channels
        self.spikes = self.late = self.lost = 0
        self.fed_until_s = -math.inf

    def close_before(self, b: int) -> None:
        while self.open < b:
            counts = tuple(min(count, 255) for count in self.counts)
            self.closed.append((self.open, counts, self.spikes, self.late, self.lost, self.fed_until_s))
            self._clear()
            self.open += 1

    def put(self, b: int, t: float, counts: Sequence[int], lost_before: int) -> None:
        self.close_before(b)
        n = sum(counts)
        kept = b == self.open or (self.carry and b == self.open - 1)
        if b < self.open:
            self.late += n
            self.counters[kernels.LATE_CARRIED if kept else kernels.LATE_DROPPED] += n
        self.counters[kernels.BINNED if kept else kernels.LATE_SAMPLES] += 1
        if kept:
            self.counts = [have + more for have, more in zip(self.counts, counts, strict=True)]
            self.spikes += n
            self.fed_until_s = max(self.fed_until_s, t)
        self.lost += lost_before

    def pass_over(self, counter: int | None, lost_before: int) -> None:
        if counter is not None:
            self.counters[counter] += 1
        self.lost += lost_before


def take_all(ring: BinRing) -> list[Row]:
    rows: list[Row] = []
    while (closed := ring.take()) is not None:
        counts = tuple(int(count) for count in closed.counts)
        rows.append((closed.bin, counts, closed.spikes, closed.late, closed.lost, closed.fed_until_s))
    return rows


def bin_cut(
    binning: EventBinning | CountBinning,
    columns: EventColumns | SampleColumns,
    now: Sequence[float],
    cuts: Sequence[int],
    clock: dict[int, float] | None = None,
) -> tuple[list[Row], BinRing]:
    """Bins of rows cut into chunks, taken as in rtdecode/serve/loop.py; clock[i] closes bins before row i."""
    clock = clock or {}
    rows: list[Row] = []
    for start, stop in pairwise(sorted({0, *(cut for cut in cuts if cut < len(now)), *clock, len(now)})):
        if start in clock:
            while not binning.close_until(clock[start]):
                rows += take_all(binning.ring)
            rows += take_all(binning.ring)
        chunk: Any = type(columns)(*(column[start:stop] for column in columns))
        first = 0
        while first < stop - start:
            first = binning.add(chunk, stop - start, now[stop - 1], first)
            rows += take_all(binning.ring)
    return rows, binning.ring


def counters_of(ring: BinRing) -> list[int]:
    return [int(count) for count in ring.time_counters]


# Events


@dataclass(frozen=True)
class EventStream:
    """Events in the order of their arrival; `now` is the clock when each of them had arrived."""

    time: list[float]
    channel: list[int]
    accepted: list[int]
    lost_before: list[int]
    now: list[float]
    origin_s: float
    bin_width_s: float
    not_before_s: float

    def edges(self) -> NDArray[np.float64]:
        return self.origin_s + np.arange(-100, 3000, dtype=np.float64) * self.bin_width_s

    def bin_of(self, t: float) -> int:
        return int(np.searchsorted(self.edges(), t, side="right")) - 1 - 100

    def reference(self, carry: bool, clock: dict[int, float] | None = None) -> Reference:
        bins = Reference(carry)
        for i, t in enumerate(self.time):
            if clock and i in clock:
                bins.close_before(self.bin_of(clock[i]))
            if not self.accepted[i]:
                bins.pass_over(None, self.lost_before[i])
            elif t > self.now[i] + FUTURE_TOLERANCE_S:
                bins.pass_over(kernels.FUTURE, self.lost_before[i])
            elif t < self.not_before_s:
                bins.pass_over(kernels.DISCARDED, self.lost_before[i])
            else:
                one = [int(c == self.channel[i]) for c in range(N_CHANNELS)]
                bins.put(self.bin_of(t), t, one, self.lost_before[i])
        return bins

    def binned(
        self, carry: bool, n_bins: int, cuts: Sequence[int], clock: dict[int, float] | None = None
    ) -> tuple[list[Row], BinRing]:
        ring = BinRing(N_CHANNELS, self.bin_width_s, n_bins)
        binning = EventBinning(ring, self.origin_s, not_before_s=self.not_before_s, carry=carry)
        columns = EventColumns(
            np.array(self.time),
            np.array(self.channel, np.int32),
            np.array(self.accepted, np.uint8),
            np.array(self.lost_before, np.uint32),
        )
        return bin_cut(binning, columns, self.now, cuts, clock)


@st.composite
def event_streams(draw: st.DrawFn) -> EventStream:
    """Mostly orderly events, with late, repeated, future, refused and edge-stamped ones between."""
    origin_s = draw(st.sampled_from([0.0, 0.1, 1234.5678, 98765.4321]))
    width_s = draw(st.sampled_from([0.02, 0.064, 1 / 3, 0.0123]))
    kinds = st.sampled_from(["next"] * 6 + ["edge", "edge", "late", "future", "past", "refused", "far"])
    time, accepted, lost, now = [], [], [], []
    latest = origin_s
    for kind in draw(st.lists(kinds, max_size=50)):
        t = latest
        if kind in ("next", "refused"):
            t = latest = latest + width_s * draw(st.floats(0, 1.5))
        elif kind == "far":
            t = latest = latest + width_s * draw(st.integers(90, 210))
        elif kind == "edge":
            k = math.ceil((latest - origin_s) / width_s) + draw(st.integers(0, 2))
            t = latest = max(latest, origin_s + k * width_s)
        elif kind == "late":
            t = latest - width_s * draw(st.floats(0, 3))
        elif kind == "future":
            t = FAR_AHEAD_S + draw(st.floats(0, 100))
        else:
            t = origin_s - draw(st.floats(1e-6, 100))
        time.append(t)
        accepted.append(int(kind != "refused"))
        lost.append(draw(st.sampled_from([0, 0, 0, 1, 7])))
        # The clock of a source may be a little ahead of ours, by up to 5 ms.
        now.append(latest - 0.003)
    channel = draw(st.lists(st.integers(0, N_CHANNELS - 1), min_size=len(time), max_size=len(time)))
    not_before_s = draw(st.sampled_from([origin_s, origin_s + 1.5 * width_s, -math.inf]))
    if not_before_s == -math.inf:
        time = [max(t, origin_s) for t in time]
    return EventStream(time, channel, accepted, lost, now, origin_s, width_s, not_before_s)


@settings(deadline=None, max_examples=100)
@given(
    stream=event_streams(),
    cuts=st.lists(st.integers(0, 50), max_size=4),
    carry=st.booleans(),
    n_bins=st.sampled_from([2, RING_BINS]),
    data=st.data(),
)
def test_bins_closed_by_the_clock_stay_closed(
    stream: EventStream, cuts: list[int], carry: bool, n_bins: int, data: st.DataObject
) -> None:
    n = len(stream.time)
    at = data.draw(st.lists(st.integers(0, max(n - 1, 0)), max_size=5)) if n else []
    ahead = st.floats(-1, 3) | st.integers(0, 150)
    clock = {i: stream.now[i] + stream.bin_width_s * data.draw(ahead) for i in at}
    expected = stream.reference(carry, clock)
    rows, ring = stream.binned(carry, n_bins, cuts, clock)
    assert rows == expected.closed
    assert counters_of(ring) == expected.counters


def make_binning(**changes: Any) -> tuple[BinRing, EventBinning]:
    ring = BinRing(N_CHANNELS, changes.pop("bin_width_s", 0.02), changes.pop("n_bins", RING_BINS))
    return ring, EventBinning(ring, changes.pop("origin_s", 0.0), **changes)


def add(binning: EventBinning, *time: float, now: float = 1e3, channel: int = 0) -> int:
    n = len(time)
    events = EventColumns(
        np.array(time), np.full(n, channel, np.int32), np.ones(n, np.uint8), np.zeros(n, np.uint32)
    )
    return binning.add(events, n, now)


@pytest.mark.parametrize("width_s", [0.02, 0.045, 0.064, 1 / 3, 0.0123, 1e-3 * math.pi])
@pytest.mark.parametrize("origin_s", [0.0, 0.1, 1.1, 12345.678901, 987654.321])
def test_an_event_on_an_edge_opens_the_bin_that_starts_there(width_s: float, origin_s: float) -> None:
    for k in [*range(1, 200), 4321, 999_999, 12_345_678]:
        edge = origin_s + k * width_s
        assert kernels.bin_index(edge, origin_s, width_s) == k
        assert kernels.bin_index(math.nextafter(edge, -math.inf), origin_s, width_s) == k - 1
        assert kernels.bin_index(math.nextafter(edge, math.inf), origin_s, width_s) == k
        assert kernels.bin_index(origin_s - k * width_s, origin_s, width_s) == -k


@pytest.mark.parametrize("origin_s", [0.1, 12345.678901])
def test_the_end_of_a_bin_is_the_start_of_the_next(origin_s: float) -> None:
    ring, binning = make_binning(origin_s=origin_s, bin_width_s=0.0123)
    for b in range(60):
        end_s = binning.bin_end_s(b)
        assert binning.complete_at_s(b) == end_s
        add(binning, math.nextafter(end_s, -math.inf), now=end_s)
        assert ring.open_bin == b
        add(binning, end_s, now=end_s)
        assert ring.open_bin == b + 1
    assert {row[2] for row in take_all(ring)[1:]} == {2}


def test_the_clock_closes_a_bin_at_its_very_end() -> None:
    ring, binning = make_binning(origin_s=12345.678901, bin_width_s=0.0123)
    for b in range(60):
        assert binning.close_until(math.nextafter(binning.bin_end_s(b), -math.inf))
        assert ring.open_bin == b
        assert binning.close_until(binning.bin_end_s(b))
        assert ring.open_bin == b + 1


def test_more_than_5_ms_ahead_is_the_future() -> None:
    ring, binning = make_binning()
    limit = 0.019 + FUTURE_TOLERANCE_S
    add(binning, math.nextafter(limit, math.inf), now=0.019)
    assert (ring.open_bin, counters_of(ring)[kernels.FUTURE]) == (0, 1)
    add(binning, limit, now=0.019)
    assert (ring.open_bin, counters_of(ring)[kernels.FUTURE]) == (1, 1)
    assert FUTURE_TOLERANCE_S == 0.005
    assert int(ring.spikes[1]) == 1


def test_an_impossible_stamp_is_neither_binned_nor_moves_the_watermark() -> None:
    ring, binning = make_binning(not_before_s=0.0)
    add(binning, math.nan, 0.045, math.inf, math.nan, 0.046, now=0.05)
    assert (ring.open_bin, int(ring.spikes[2]), float(ring.fed_until_s[2])) == (2, 2, 0.046)
    assert sum(row[2] for row in take_all(ring)) == 0
    assert counters_of(ring) == [0, 0, 3, 0, 2, 0]


def test_late_events_are_carried_by_one_bin_and_no_further() -> None:
    for carry, kept in ((True, 2), (False, 1)):
        ring, binning = make_binning(carry=carry)
        add(binning, 0.061, 0.059, 0.039, 0.001)
        assert int(ring.spikes[3]) == int(ring.counts[3].sum()) == kept
        assert int(ring.late[3]) == 3
        assert counters_of(ring) == [kept - 1, 4 - kept, 0, 0, kept, 4 - kept]
        assert [row[2:5] for row in take_all(ring)] == [(0, 0, 0)] * 3


def test_counts_saturate_while_spikes_are_counted_on() -> None:
    ring, binning = make_binning()
    add(binning, *np.linspace(0.0, 0.019, 300), channel=1)
    add(binning, 0.0195, channel=2)
    assert ring.counts[0].tolist() == [0, 255, 1]
    assert int(ring.spikes[0]) == 301


def test_a_full_ring_accepts_no_more_until_its_bins_are_taken() -> None:
    ring, binning = make_binning()
    assert add(binning, 0.001, 0.021, 1.981, 2.001, 2.5) == 3
    assert (ring.next_bin, ring.open_bin) == (0, RING_BINS - 1)
    kept = ring.counts.copy()
    assert add(binning, 2.001) == 0
    assert not ring.open_up_to(RING_BINS)
    assert not binning.close_until(2.001)
    np.testing.assert_array_equal(ring.counts, kept)
    rows = take_all(ring)
    assert [row[0] for row in rows] == list(range(RING_BINS - 1))
    assert [row[2] for row in rows] == [1, 1] + [0] * (RING_BINS - 3)
    assert add(binning, 2.001) == 1
    assert [row[2] for row in take_all(ring)] == [1]


def test_after_a_leap_of_the_clock_one_ring_of_bins_is_closed_at_a_time() -> None:
    ring, binning = make_binning(n_bins=10)
    rows: list[Row] = []
    rounds = 0
    while not binning.close_until(1.0):
        rows += take_all(ring)
        rounds += 1
    rows += take_all(ring)
    assert [row[0] for row in rows] == list(range(50))
    assert rounds >= 5


def test_a_taken_bin_stays_readable_until_its_row_is_used_again() -> None:
    ring, binning = make_binning()
    add(binning, 0.001, channel=2)
    add(binning, 0.021)
    closed = ring.take()
    add(binning, *(0.02 * b + 0.001 for b in range(2, RING_BINS)))
    assert closed.counts.tolist() == [0, 0, 1]
    assert np.shares_memory(closed.counts, ring.counts)


def test_the_open_bin_can_be_emptied() -> None:
    ring, binning = make_binning()
    add(binning, 0.001, 0.021, channel=1)
    ring.empty_open_bin()
    add(binning, 0.041)
    assert [row[1:3] + row[5:] for row in take_all(ring)] == [
        ((0, 1, 0), 1, 0.001),
        ((0, 0, 0), 0, -math.inf),
    ]


# Counts

PERIODS = [
    (0.001, 0.02),
    (0.02, 0.02),
    (0.005, 0.02),
    (0.008, 0.02),
    (0.015, 0.02),
    (1 / 30, 0.045),
    (0.0125, 0.064),
    (1 / 77, 0.02),
]


@pytest.mark.parametrize(("period_s", "width_s"), PERIODS)
def test_a_sample_belongs_to_the_bin_of_its_centre(period_s: float, width_s: float) -> None:
    p, width = Fraction(period_s).limit_denominator(10**4), Fraction(width_s).limit_denominator(10**4)
    divides = (width / p).denominator == 1
    n_ties = 0
    for n in [*range(5000), *range(3_600_000, 3_601_000)]:
        centre = (n + Fraction(1, 2)) * p / width
        if centre.denominator == 1:
            n_ties += 1
            assert kernels.sample_bin(n, period_s, width_s) in (centre, centre - 1)
        else:
            assert kernels.sample_bin(n, period_s, width_s) == centre.numerator // centre.denominator
    assert not (divides and n_ties)


@pytest.mark.parametrize(("period_s", "width_s"), PERIODS)
def test_the_last_sample_is_the_inverse_of_the_sample_bin(period_s: float, width_s: float) -> None:
    for b in [*range(-3, 2000), 180_000, 12_345_678]:
        last = kernels.last_sample(b, period_s, width_s)
        assert kernels.sample_bin(last, period_s, width_s) <= b
        assert kernels.sample_bin(last + 1, period_s, width_s) > b
    bins = [kernels.sample_bin(n, period_s, width_s) for n in range(2000)]
    assert set(bins) == set(range(bins[-1] + 1))


@dataclass(frozen=True)
class SampleStream:
    counts: list[tuple[int, ...]]
    index: list[int]
    time: list[float]
    lost_before: list[int]
    now: list[float]
    period_s: float
    bin_width_s: float
    anchor_bin: int

    def bin_of(self, index: int) -> int:
        return self.anchor_bin + math.floor((index + 0.5) * self.period_s / self.bin_width_s)

    def reference(self, carry: bool) -> Reference:
        bins = Reference(carry)
        bins.close_before(self.anchor_bin)
        bins.closed.clear()
        for i, index in enumerate(self.index):
            if self.time[i] > self.now[i] + FUTURE_TOLERANCE_S:
                bins.pass_over(kernels.FUTURE, self.lost_before[i])
            elif index < 0:
                bins.pass_over(kernels.DISCARDED, self.lost_before[i])
            else:
                b = self.bin_of(index)
                bins.put(b, self.time[i], self.counts[i], self.lost_before[i])
                if b == bins.open and self.bin_of(index + 1) > b:
                    bins.close_before(b + 1)
        return bins

    def binned(self, carry: bool, n_bins: int, cuts: Sequence[int]) -> tuple[list[Row], BinRing]:
        ring = BinRing(N_CHANNELS, self.bin_width_s, n_bins)
        for b in range(self.anchor_bin + 1):
            ring.open_up_to(b)
            take_all(ring)
        binning = CountBinning(ring, self.period_s, anchor_bin=self.anchor_bin, carry=carry)
        n = len(self.index)
        columns = SampleColumns(
            np.array(self.time, np.float64),
            np.array(self.counts, np.uint8).reshape(n, N_CHANNELS),
            np.array(self.index, np.int64),
            np.ones(n, np.uint8),
            np.array(self.lost_before, np.uint32),
        )
        return bin_cut(binning, columns, self.now, cuts)


@st.composite
def sample_streams(draw: st.DrawFn) -> SampleStream:
    period_s, width_s = draw(st.sampled_from(PERIODS))
    kinds = st.sampled_from(["next"] * 8 + ["skip", "far", "back", "future", "backlog"])
    counts = st.tuples(*[st.sampled_from([0, 0, 1, 2, 200, 255])] * N_CHANNELS)
    indices, time, now, last = [], [], [], -1
    for kind in draw(st.lists(kinds, max_size=50)):
        if kind in ("next", "skip", "far"):
            per_bin = width_s / period_s
            last += {"next": 1, "skip": draw(st.integers(2, 9)), "far": int(120 * per_bin)}[kind]
            index = last
        elif kind == "back":
            index = max(0, last - draw(st.integers(0, int(3 * width_s / period_s))))
            last = max(last, index)
        else:
            index = last if kind == "future" else -draw(st.integers(1, 9))
        indices.append(index)
        time.append(FAR_AHEAD_S if kind == "future" else (index + 1) * period_s)
        now.append((last + 1) * period_s)
    n = len(indices)
    return SampleStream(
        counts=draw(st.lists(counts, min_size=n, max_size=n)),
        index=indices,
        time=time,
        lost_before=draw(st.lists(st.sampled_from([0, 0, 0, 5]), min_size=n, max_size=n)),
        now=now,
        period_s=period_s,
        bin_width_s=width_s,
        anchor_bin=draw(st.sampled_from([0, 7])),
    )


def orderly(index: Sequence[int]) -> SampleStream:
    time = [(i + 1) * 0.02 for i in index]
    ones: list[tuple[int, ...]] = [(1, 0, 2)] * len(time)
    now = np.maximum.accumulate([0.0, *time]).tolist()[1:]
    return SampleStream(ones, list(index), time, [0] * len(time), now, 0.02, 0.02, 0)


@settings(deadline=None, max_examples=400)
@given(
    stream=event_streams() | sample_streams(),
    cuts=st.lists(st.integers(0, 50), max_size=8),
    carry=st.booleans(),
    n_bins=st.sampled_from([2, 5, RING_BINS]),
)
@example(orderly([0, 1, 1]), [], True, 2)  # the ring is full at the last sample of a bin
@example(orderly([*range(RING_BINS), RING_BINS - 1]), [], True, RING_BINS)
def test_any_chunks_give_the_bins_of_the_reference(
    stream: EventStream | SampleStream, cuts: list[int], carry: bool, n_bins: int
) -> None:
    expected = stream.reference(carry)
    rows, ring = stream.binned(carry, n_bins, cuts)
    assert rows == expected.closed
    assert counters_of(ring) == expected.counters
    assert ring.open_bin == ring.next_bin == expected.open
    slot = ring.open_bin % n_bins
    assert ring.counts[slot].tolist() == [min(count, 255) for count in expected.counts]
    found = ring.spikes[slot], ring.late[slot], ring.lost[slot]
    assert found == (expected.spikes, expected.late, expected.lost)


@pytest.mark.parametrize(("period_s", "width_s"), PERIODS)
def test_a_bin_closes_with_its_last_sample(period_s: float, width_s: float) -> None:
    ring = BinRing(N_CHANNELS, width_s)
    binning = CountBinning(ring, period_s, anchor_bin=0)
    one = np.ones(1, np.uint8), np.zeros(1, np.uint32)
    for n in range(500):
        stamp = np.array([(n + 1) * period_s])
        sample = SampleColumns(stamp, np.ones((1, N_CHANNELS), np.uint8), np.array([n]), *one)
        binning.add(sample, 1, 1e3)
        take_all(ring)
        b = math.floor((n + 0.5) * period_s / width_s)
        is_last = n == kernels.last_sample(b, period_s, width_s)
        assert ring.open_bin == b + is_last
        assert binning.complete_at_s(b) >= stamp[0] - 1e-9
        assert (binning.complete_at_s(b) == pytest.approx(stamp[0], abs=1e-9)) == is_last


def test_bins_begin_with_the_interval_of_a_sample() -> None:
    ring = BinRing(1, 0.02)
    binning = CountBinning(ring, 0.01, anchor_bin=4)
    binning.end_s = 5.005
    assert binning.bin_end_s(4) == pytest.approx(5.025)
    assert binning.complete_at_s(4) == pytest.approx(5.025)
    # The bin in which the outage ended is over at the start of the first sample's interval.
    assert binning.bin_end_s(3) == binning.complete_at_s(3) == pytest.approx(5.005)


@pytest.mark.parametrize("true_s", [0.0205, 0.0196])
def test_bins_follow_the_period_of_the_source(true_s: float) -> None:
    binning = CountBinning(BinRing(1, 0.04), 0.02, anchor_bin=2)
    binning.last, binning.end_s, binning.true_period_s, binning.jitter_s = 99, 7.0, true_s, 0.001
    assert binning.bin_end_s(51) == pytest.approx(7.0)
    assert binning.bin_end_s(52) == pytest.approx(7.0 + 2 * true_s)
    assert binning.complete_at_s(52) == pytest.approx(7.0 + 2 * true_s + 0.004)
    assert binning.origin_s == pytest.approx(7.0 - 100 * true_s)
    for b in (2, 51, 52, 300):
        assert binning.bin_at(binning.bin_end_s(b) - 1e-6) == b
        assert binning.bin_at(binning.bin_end_s(b) + 1e-6) == b + 1


def test_without_its_last_sample_a_bin_closes_at_the_stamp_of_that_sample() -> None:
    ring = BinRing(1, 0.02)
    binning = CountBinning(ring, 0.008, anchor_bin=0)
    # Samples 0 and 1 end in bin 0, sample 2 has its centre on the edge and opens bin 1.
    assert kernels.last_sample(0, 0.008, 0.02) == 1
    binning.close_until(0.0159)
    assert ring.open_bin == 0
    binning.close_until(0.016)
    assert ring.open_bin == 1
