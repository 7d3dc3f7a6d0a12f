"""The rings between loop and recorder: in order across their end, and dropped rows are counted."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scripted_inlet import pull

from rtdecode.binning import FUTURE_TOLERANCE_S, BinRing, ClosedBin, EventColumns
from rtdecode.ingest.signals.counts import CountFeed
from rtdecode.ingest.signals.events import EventFeed, EventRules
from rtdecode.ingest.signals.layouts import StreamDescription
from rtdecode.kernels.recording import copy_events, count_recordable
from rtdecode.kernels.sequence import N_SEQUENCE_COUNTERS
from rtdecode.serve.recording.buffers import (
    DECODED_RING,
    EVENT_RING,
    SAMPLE_RING,
    DecodedRing,
    EventRing,
    RecordBuffers,
    SampleRing,
)

NOW = 100.0
N_CHANNELS = 3


def event_feed(time: Any, accepted: Any = None, first: int = 0) -> Any:
    """A feed with these events in its last pull, on channels first, first + 1, …"""
    stamps = np.atleast_1d(np.array(time, np.float64))
    n = len(stamps)
    return SimpleNamespace(
        columns=EventColumns(
            stamps,
            channel=np.arange(first, first + n, dtype=np.int32),
            accepted=np.ones(n, np.uint8) if accepted is None else np.array(accepted, np.uint8),
            lost_before=np.zeros(n, np.uint32),
        ),
        unit=(np.arange(first, first + n) % 256).astype(np.uint8),
    )


ORIGIN_S = 50.0


def count_feed(index: Any, counts: Any = None) -> Any:
    numbers = np.atleast_1d(np.array(index, np.int64))
    if counts is None:
        counts = numbers[:, None] % 256 + np.zeros((1, N_CHANNELS))
    accepted = np.ones(len(numbers), np.uint8)
    columns = SimpleNamespace(number=numbers, counts=np.array(counts).astype(np.uint8), accepted=accepted)
    return SimpleNamespace(columns=columns, end_s=ORIGIN_S + (numbers + 1) * 0.01)


def held(ring: EventRing) -> list[tuple[float, int, int]]:
    slots = np.arange(ring.tail, ring.head) % EVENT_RING
    columns = (ring.time[slots], ring.channel[slots], ring.unit[slots])
    return [(float(t), int(c), int(u)) for t, c, u in zip(*columns, strict=True)]


# The kernels


@settings(deadline=None, max_examples=80)
@given(
    events=st.lists(st.tuples(st.floats(0, 10) | st.just(np.nan), st.booleans()), max_size=30),
    n=st.integers(0, 30),
    not_after=st.floats(0, 10),
    size=st.integers(1, 12),
    tail=st.integers(0, 50),
    filled=st.integers(0, 12),
)
def test_events_are_copied_as_into_a_list(
    events: list[tuple[float, bool]], n: int, not_after: float, size: int, tail: int, filled: int
) -> None:
    n, head = min(n, len(events)), tail + min(filled, size)
    time = np.array([t for t, _ in events])
    accepted = np.array([ok for _, ok in events], np.uint8)
    channel = np.arange(len(events), dtype=np.int32)
    out_time, out_channel = np.full(size, -1.0), np.full(size, 999, np.uint16)
    out_unit = np.full(size, 99, np.uint8)
    recordable = [i for i in range(n) if accepted[i] and time[i] <= not_after]
    assert count_recordable(time, accepted, n, not_after) == len(recordable)
    kept = recordable[: size - (head - tail)]
    new_head = copy_events(
        time, channel, channel.astype(np.uint8), accepted, n, not_after, head, tail,
        out_time, out_channel, out_unit, 0,
    )  # fmt: skip
    assert new_head == head + len(kept)
    expected = np.full(size, 999)
    expected[(head + np.arange(len(kept))) % size] = kept
    assert out_channel.tolist() == expected.tolist()
    slots = (head + np.arange(len(kept))) % size
    assert out_time[slots].tolist() == time[kept].tolist()
    assert out_unit[slots].tolist() == kept


# Events


def test_good_events_are_kept_in_order() -> None:
    ring = EventRing()
    ring.add(event_feed([1.0, 0.5, 2.0], first=300), 3, NOW)
    ring.add(event_feed([3.0, 4.0]), 1, NOW)
    assert held(ring) == [(1.0, 300, 44), (0.5, 301, 45), (2.0, 302, 46), (3.0, 0, 0)]
    assert ring.dropped == 0


def test_refused_events_and_those_from_the_future_are_not_recorded() -> None:
    ring = EventRing()
    limit = NOW + FUTURE_TOLERANCE_S
    feed = event_feed([1.0, 2.0, limit, np.nextafter(limit, 1e9), np.nan, np.inf], [1, 0, 1, 1, 1, 1])
    ring.add(feed, 6, NOW)
    assert [channel for _, channel, _ in held(ring)] == [0, 2]
    assert ring.dropped == 0


def test_late_events_are_recorded() -> None:
    ring = EventRing()
    ring.add(event_feed([50.0, 1.0]), 2, NOW)
    assert len(held(ring)) == 2


def test_events_continue_across_the_end_of_the_ring() -> None:
    ring = EventRing()
    ring.head = ring.tail = 5 * EVENT_RING - 2
    ring.add(event_feed([1.0, 2.0, 3.0, 4.0, 5.0]), 5, NOW)
    assert [t for t, _, _ in held(ring)] == [1.0, 2.0, 3.0, 4.0, 5.0]
    assert ring.time[:3].tolist() == [3.0, 4.0, 5.0]
    assert ring.head == 5 * EVENT_RING + 3


def test_events_beyond_a_full_ring_are_counted_as_dropped() -> None:
    ring = EventRing()
    ring.tail, ring.head = 7, 7 + EVENT_RING - 2
    ring.add(event_feed([1.0, 2.0, 3.0, 4.0, 1e9], [1, 1, 0, 1, 1]), 5, NOW)
    assert (ring.head - ring.tail, ring.dropped) == (EVENT_RING, 1)
    ring.add(event_feed([5.0, 6.0]), 2, NOW)
    assert ring.dropped == 3
    assert held(ring)[-2:] == [(1.0, 0, 0), (2.0, 1, 1)]
    ring.tail += 1
    ring.add(event_feed([7.0, 8.0]), 2, NOW)
    assert ring.dropped == 4
    assert held(ring)[-1] == (7.0, 0, 0)


# Samples


def test_rows_are_numbered_from_the_first_sample() -> None:
    assert SampleRing(N_CHANNELS).t0_s is None
    ring = SampleRing(N_CHANNELS)
    ring.begin(50.0, 0.01)
    ring.add(count_feed([-1, 0, 1]), 3)
    # After an outage the feed numbers from 0 again.
    ring.begin(51.25, 0.01)
    ring.add(count_feed([-2, 0, 1]), 3)
    assert ring.t0_s == 50.0
    assert ring.row[: ring.head].tolist() == [-1, 0, 1, 123, 125, 126]
    np.testing.assert_allclose(ring.end_s[:3], [50.0, 50.01, 50.02])
    assert ring.counts[:3, 0].tolist() == [255, 0, 1]


def test_samples_continue_across_the_end_of_the_ring() -> None:
    ring = SampleRing(N_CHANNELS)
    ring.begin(0.0, 0.01)
    ring.head = ring.tail = 3 * SAMPLE_RING - 1
    ring.add(count_feed([10, 11, 12]), 3)
    slots = np.arange(ring.tail, ring.head) % SAMPLE_RING
    assert ring.row[slots].tolist() == [10, 11, 12]
    assert ring.counts[slots, 2].tolist() == [10, 11, 12]
    assert slots.tolist() == [SAMPLE_RING - 1, 0, 1]


def test_samples_beyond_a_full_ring_are_counted_as_dropped() -> None:
    ring = SampleRing(N_CHANNELS)
    ring.begin(0.0, 0.01)
    ring.head = SAMPLE_RING - 1
    ring.add(count_feed([5, 6, 7]), 3)
    assert (ring.head, ring.dropped) == (SAMPLE_RING, 2)
    ring.add(count_feed([8]), 1)
    assert (ring.head, ring.dropped) == (SAMPLE_RING, 3)
    assert ring.row[SAMPLE_RING - 1] == 5
    assert ring.row[0] == 0
    ring.tail = 2
    ring.add(count_feed([9]), 1)
    assert ring.row[0] == 9


# Bins


def closed_bin(b: int, late: int = 0, lost: int = 0) -> ClosedBin:
    return ClosedBin(b, np.full(N_CHANNELS, b % 256, np.uint8), np.zeros(0), 3 * b, late, lost, 0.0)


def test_a_published_bin_is_copied() -> None:
    ring = DecodedRing(N_CHANNELS, 2, 3)
    closed, values = closed_bin(9, 1, 2), np.array([1.5, -2.5], np.float32)
    out = np.array([7.0, 8.0, 9.0], np.float32)
    ring.add(closed, 10.5, values, out, 17, 4)
    closed.counts[:] = values[:] = out[:] = 77
    row: dict[str, NDArray[Any]] = {
        name: getattr(ring, name)[0]
        for name in ("bin", "t_bin", "values", "out", "flags", "model", "late", "lost", "counts")
    }
    assert [row[name].tolist() for name in ("values", "out", "counts")] == [
        [1.5, -2.5], [7.0, 8.0, 9.0], [9, 9, 9],
    ]  # fmt: skip
    assert [float(row[name]) for name in ("bin", "t_bin", "flags", "model", "late", "lost")] == [
        9, 10.5, 17, 4, 1, 2,
    ]  # fmt: skip


@pytest.mark.parametrize(("late", "stored"), [(65_535, 65_535), (65_536, 65_535), (2**32 - 1, 65_535)])
def test_a_flood_of_late_events_fits_its_column(late: int, stored: int) -> None:
    ring = DecodedRing(N_CHANNELS, 1, 0)
    ring.add(closed_bin(0, late, 2**32 - 1), 0.0, np.zeros(1, np.float32), None, 0, 0)
    assert (ring.late[0], ring.lost[0]) == (stored, 2**32 - 1)


def test_bins_beyond_a_full_ring_are_counted_as_dropped() -> None:
    ring = DecodedRing(N_CHANNELS, 1, 0)
    for b in range(DECODED_RING + 5):
        ring.add(closed_bin(b), float(b), np.full(1, b, np.float32), None, 0, 0)
    assert (ring.head, ring.dropped) == (DECODED_RING, 5)
    assert ring.bin.tolist() == list(range(DECODED_RING))
    ring.tail = 3
    ring.add(closed_bin(9000), 9000.0, np.zeros(1, np.float32), None, 0, 0)
    assert ring.bin[:2].tolist() == [9000, 1]
    assert ring.dropped == 5


# Together


class OnePull:
    """An inlet that returns the same five samples once."""

    def __init__(self, n_columns: int, rate_hz: float) -> None:
        self.stream = StreamDescription("M1", "Spikes", n_columns, rate_hz, "int32")
        self.time = np.arange(1, 6) * 0.01
        self.samples = np.arange(5 * n_columns, dtype=np.int32).reshape(5, n_columns)

    def pull(self, timeout_s: float) -> int:
        return 5


def test_a_pull_goes_to_the_ring_of_its_layout() -> None:
    counters = np.zeros(N_SEQUENCE_COUNTERS, np.int64)
    buffers = RecordBuffers(N_CHANNELS, 1)
    ring = BinRing(N_CHANNELS, 0.02)
    counting = CountFeed(cast(Any, OnePull(N_CHANNELS, 100.0)), ring, rules=EventRules(), counters=counters)
    n = pull(counting)
    counting.anchor(0.0, n)
    buffers.samples.begin(0.0, counting.period_s)
    buffers.add_samples(counting, n, NOW)
    assert (buffers.samples.head, buffers.events.head) == (5, 0)
    assert buffers.samples.row[:5].tolist() == [0, 1, 2, 3, 4]
    single = EventFeed(cast(Any, OnePull(3, 0.0)), BinRing(20, 0.02), rules=EventRules(), counters=counters)
    buffers.add_samples(single, pull(single), NOW)
    assert (buffers.samples.head, buffers.events.head) == (5, 5)
    assert buffers.events.channel[:5].tolist() == [0, 3, 6, 9, 12]


def test_all_that_was_dropped_is_one_number() -> None:
    buffers = RecordBuffers(N_CHANNELS, 1)
    assert buffers.dropped == 0
    buffers.events.dropped, buffers.samples.dropped, buffers.decoded.dropped = 1, 10, 100
    assert buffers.dropped == 111
