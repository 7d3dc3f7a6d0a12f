"""Order, losses, restarts and age of received messages, without sockets or clocks."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import msgpack  # type: ignore[import-untyped]
import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rtdecode.client.frames import Unreadable, read_frames
from rtdecode.client.status import Status
from rtdecode.client.tracker import MAX_WAITING, OFFSET_READS, ClockOffset, CursorTracker, Link
from rtdecode.messages import Cursor, Flag
from rtdecode.testing.fake_daemon import CLOCK_ZERO_S, CURSOR, STATUS, cursor_map

BIN_S = 0.02
STALE_AFTER_S = 0.25


def cursor(seq: int, published_s: float | None = None, **changes: Any) -> Cursor:
    """A cursor published at `published_s` of the client's clock, by a daemon whose clock has another zero."""
    published_s = seq * BIN_S if published_s is None else published_s
    return msgspec.convert(
        {**CURSOR, "seq": seq, "bin": seq, "t_pub": published_s + CLOCK_ZERO_S, **changes}, Cursor
    )


def seq_of(cursor: Cursor | None) -> int | None:
    return None if cursor is None else cursor.seq


def packed(topic: bytes, **message: Any) -> list[bytes]:
    return [topic, msgpack.packb(message)]


def test_messages_of_both_topics_are_typed() -> None:
    read = read_frames(packed(b"cursor", **{**CURSOR, "seq": 7, "flags": 5}))
    assert isinstance(read, Cursor)
    assert (read.seq, read.value, read.flags, read.out) == (7, [1.5, -2.5], 5, msgspec.UNSET)
    status = read_frames(packed(b"status", **STATUS))
    assert isinstance(status, Status)
    assert (status.state, status.names, status.bin_width_s) == ("running", ["x", "y"], 0.02)
    assert (status.out, status.recording, status.warnings) == (None, None, [])


def test_an_output_stage_is_read_and_keys_of_a_later_daemon_are_ignored() -> None:
    read = read_frames(packed(b"cursor", **CURSOR, out=[0.25, 3], confidence=[0.5]))
    assert isinstance(read, Cursor)
    assert read.out == [0.25, 3.0]
    assert isinstance(read_frames(packed(b"status", **STATUS, weather={"rain": True})), Status)


@pytest.mark.parametrize(
    ("frames", "reason"),
    [
        ([], "two frames, this one 0"),
        ([b"cursor"], "two frames, this one 1"),
        ([b"cursor", b"", b""], "two frames, this one 3"),
        (packed(b"cursors", **CURSOR), "unknown topic b'cursors'"),
        ([b"cursor", b"\xc1"], "not a cursor message"),
        (packed(b"cursor", v=1, seq=3), "not a cursor message"),
        (packed(b"cursor", **{**CURSOR, "value": "left"}), "not a cursor message"),
        (packed(b"cursor", **{**CURSOR, "value": [1.0, math.nan]}), "NaN or infinite"),
        (packed(b"cursor", **CURSOR, out=[math.inf]), "NaN or infinite"),
        (packed(b"cursor", **{**CURSOR, "t_pub": math.nan}), "NaN or infinite"),
        (packed(b"cursor", **{**CURSOR, "v": 2}), "version is 2, and this client reads 1: upgrade"),
        (packed(b"cursor", v=3, position={"x": 1.0}), "version is 3, and this client reads 1: upgrade"),
        (packed(b"status", **{**STATUS, "v": 2}), "version is 2, and this client reads 1: upgrade"),
        (packed(b"status", v=1, state="running"), "not a status message"),
    ],
)
def test_an_unreadable_message_has_a_reason(frames: list[bytes], reason: str) -> None:
    read = read_frames(frames)
    assert isinstance(read, Unreadable)
    assert reason in read.reason
    assert "\n" not in read.reason


@settings(deadline=None, max_examples=300)
@given(st.lists(st.binary(max_size=60) | st.sampled_from([b"cursor", b"status"]), max_size=4))
@example([b"cursor", b"\x91" * 200_000])
@example([b"status", b"\x81\xa1v" * 100_000])
@example([b"cursor", b"\xdf\xff\xff\xff\xff"])
@example([b"cursor", b"\x81\xa2\xff\xfe\x01"])
def test_any_frames_are_at_worst_unreadable(frames: list[bytes]) -> None:
    tracker = CursorTracker(STALE_AFTER_S)
    message = read_frames(frames)
    tracker.add(message, 0.0)
    assert tracker.malformed == isinstance(message, Unreadable)
    assert bool(tracker.problem) == isinstance(message, Unreadable)


flips = st.lists(st.tuples(st.integers(0, 300), st.integers(0, 255)), min_size=1, max_size=4)


@settings(deadline=None, max_examples=300)
@given(topic=st.sampled_from([b"cursor", b"status"]), damage=flips, seed=st.integers(0, 2**64 - 1))
def test_damaged_messages_never_break_the_tracker(
    topic: bytes, damage: list[tuple[int, int]], seed: int
) -> None:
    data = bytearray(msgpack.packb({**CURSOR, "seq": seed} if topic == b"cursor" else STATUS))
    for at, value in damage:
        data[at % len(data)] = value
    tracker = CursorTracker(STALE_AFTER_S)
    for k in range(3):
        tracker.add(cursor(k), k * BIN_S)
        tracker.add(read_frames([topic, bytes(data)]), k * BIN_S)
        tracker.take(k * BIN_S)
    assert 0.0 <= tracker.age_s(1.0) <= math.inf
    tracker.take_newest(1.0)
    tracker.add(cursor(3), 3 * BIN_S)
    assert seq_of(tracker.take_newest(3 * BIN_S)) == 3


#: The step of each message's number; 0 sends the same message again.
steps = st.lists(st.integers(0, 5), max_size=30)


@settings(deadline=None)
@given(lives=st.lists(st.tuples(st.integers(0, 40), st.integers(0, 500), steps), min_size=1, max_size=5))
def test_gaps_restarts_and_duplicates_are_counted(lives: list[tuple[int, int, list[int]]]) -> None:
    tracker = CursorTracker(math.inf)
    sent, taken, missed, duplicates, restarts = 0, [], 0, 0, 0
    expected: list[tuple[int, int]] = []
    last = -1
    now = 0.0
    for first, first_bin, run in lives:
        # A new daemon with a first number beyond the old one's last cannot be recognised by it.
        seq = min(first, last) if last >= 0 else first
        restarts += last >= 0
        for step in [None, *run]:
            if step == 0:
                duplicates += 1
            else:
                now += BIN_S
                seq += step or 0
                missed += (step or 1) - 1
                expected.append((seq, seq + first_bin))
            message = cursor(seq, now, bin=seq + first_bin)
            tracker.add(message, now)
            sent += 1
            if (got := tracker.take(now)) is not None:
                taken.append((got.seq, got.bin))
        last = seq
    assert taken == expected
    assert (tracker.missed, tracker.duplicates, tracker.restarts) == (missed, duplicates, restarts)
    assert tracker.skipped == 0
    assert len(taken) == sent - duplicates


@pytest.mark.parametrize("changes", [{"bin": 3}, {"t_pub": 5.0}], ids=["bin", "t_pub"])
def test_a_new_daemon_with_a_higher_number_is_recognised_by_its_bin_or_clock(
    changes: dict[str, float],
) -> None:
    tracker = CursorTracker(STALE_AFTER_S)
    tracker.add(cursor(10), 0.2)
    tracker.add(cursor(20, 0.4, **changes), 0.4)
    assert (tracker.restarts, tracker.missed) == (1, 0)
    assert tracker.link(0.4) is Link.LIVE


def test_cursors_of_the_old_daemon_are_dropped_at_a_restart() -> None:
    tracker = CursorTracker(STALE_AFTER_S)
    for seq in (5, 6, 7):
        tracker.add(cursor(seq), 0.15)
    # The new one runs on another machine with an earlier clock.
    tracker.add(cursor(0, 0.15, t_pub=3.0), 0.15)
    assert seq_of(tracker.take(0.15)) == 0
    assert tracker.take(0.15) is None
    assert (tracker.restarts, tracker.skipped, tracker.age_s(0.25)) == (1, 3, pytest.approx(0.1))


def test_the_link_is_the_state_of_the_newest_cursor() -> None:
    tracker = CursorTracker(STALE_AFTER_S)
    assert (tracker.link(0.0), tracker.age_s(0.0), tracker.take(0.0)) == (Link.WAITING, math.inf, None)
    tracker.add(msgspec.convert(STATUS, Status), 0.0)
    assert tracker.link(0.0) is Link.WAITING
    tracker.add(cursor(0), 0.0)
    assert tracker.link(0.0) is Link.LIVE
    assert tracker.link(STALE_AFTER_S) is Link.LIVE
    assert tracker.link(STALE_AFTER_S + 0.01) is Link.LOST
    for seq, flag in enumerate((Flag.STALE, Flag.FAILSAFE, Flag.PAUSED, Flag.PAUSED | Flag.GAP), start=1):
        tracker.add(cursor(seq, flags=int(flag)), seq * BIN_S)
        assert tracker.link(seq * BIN_S) is Link.HELD
    tracker.add(cursor(5, flags=int(Flag.CATCH_UP | Flag.GAP | Flag.SWAPPED)), 5 * BIN_S)
    assert tracker.link(5 * BIN_S) is Link.LIVE
    tracker.add(cursor(6, flags=int(Flag.STALE)), 6 * BIN_S)
    assert tracker.link(1.0) is Link.LOST


def test_the_newest_is_returned_once() -> None:
    tracker = CursorTracker(STALE_AFTER_S)
    for seq in range(4):
        tracker.add(cursor(seq), 0.06)
    assert seq_of(tracker.take_newest(0.06)) == 3
    assert tracker.take_newest(0.06) is None
    assert tracker.take(0.06) is None
    assert seq_of(tracker.newest) == 3
    assert (tracker.missed, tracker.skipped) == (0, 0)


def test_at_most_a_thousand_cursors_wait() -> None:
    tracker = CursorTracker(math.inf)
    for seq in range(MAX_WAITING + 500):
        tracker.add(cursor(seq), 0.0)
    taken = []
    while (got := tracker.take(1e9)) is not None:
        taken.append(got.seq)
    assert taken == list(range(500, MAX_WAITING + 500))
    assert (tracker.skipped, tracker.missed) == (500, 0)


@settings(deadline=None)
@given(
    pauses_s=st.lists(
        st.sampled_from([0.001, 0.016, 0.05, 0.2, 0.3, 1.0, 7.0, 15.0]), min_size=1, max_size=40
    ),
    delays_s=st.lists(st.floats(0.0, 0.005), min_size=1, max_size=20),
    newest=st.booleans(),
)
def test_a_reader_at_any_pace_gets_no_old_cursor(
    pauses_s: list[float], delays_s: list[float], newest: bool
) -> None:
    tracker = CursorTracker(STALE_AFTER_S)
    now, seq = 0.0, 0
    taken: list[int] = []
    for pause_s in pauses_s:
        now += pause_s
        while seq * BIN_S + delays_s[seq % len(delays_s)] <= now:
            tracker.add(cursor(seq), now)
            seq += 1
        take = tracker.take_newest if newest else tracker.take
        while (got := take(now)) is not None:
            # The fastest delivery seen is up to a bin and a delay above the true offset.
            assert now - got.seq * BIN_S <= STALE_AFTER_S + BIN_S + 0.005 + 1e-6
            taken.append(got.seq)
        if seq:
            # Each read ends with the newest cursor, which is never old.
            assert taken[-1] == seq - 1
            assert tracker.link(now) is Link.LIVE
    assert all(a < b for a, b in pairwise(taken))
    if not newest:
        assert len(taken) + tracker.skipped == seq


def test_a_backlog_that_ends_in_the_past_is_skipped() -> None:
    # ZeroMQ keeps the oldest messages of a long stall: even the newest of them are old.
    tracker = CursorTracker(STALE_AFTER_S)
    tracker.add(cursor(0), 0.0)
    assert tracker.take_newest(0.0) is not None
    for seq in range(1, 1001):
        tracker.add(cursor(seq), 60.0)
    assert tracker.take_newest(60.0) is None
    assert tracker.link(60.0) is Link.LOST
    assert tracker.age_s(60.0) == pytest.approx(40.0)
    tracker.add(cursor(3000), 60.001)
    assert seq_of(tracker.take_newest(60.001)) == 3000
    assert tracker.missed == 1999


def test_the_fastest_delivery_gives_the_offset() -> None:
    offset = ClockOffset()
    assert offset.seconds == math.inf
    for received_s, published_s in ((10.0, 3.0), (11.0, 4.5), (12.0, 5.0)):
        offset.observe(received_s, published_s)
    assert offset.seconds == 6.5


def test_the_offset_follows_a_clock_that_is_set_or_drifts() -> None:
    offset = ClockOffset()
    for k in range(1000):
        offset.observe(k * BIN_S, k * BIN_S)
    assert offset.seconds == 0.0
    # The daemon's machine slept for an hour: its messages seem an hour old.
    reads = 0
    while offset.seconds < 3600.0:
        reads += 1
        offset.observe(3600.0 + reads * BIN_S, reads * BIN_S)
        assert reads <= 2 * OFFSET_READS
    assert reads > OFFSET_READS
    for k in range(100_000):
        offset.observe(1e4 + k * BIN_S, k * BIN_S * (1 - 1e-4))
    drifted = 1e4 + 100_000 * BIN_S * 1e-4
    assert drifted - 2 * OFFSET_READS * BIN_S * 1e-4 <= offset.seconds + 1e-9 <= drifted + 1e-6


def test_a_backlog_counts_as_one_read() -> None:
    offset = ClockOffset()
    offset.observe(0.0, 0.0)
    for k in range(5000):
        offset.observe(1000.0, k * BIN_S)
    assert offset.seconds == 0.0


def test_the_fake_cursor_is_a_cursor() -> None:
    assert isinstance(read_frames([b"cursor", msgpack.packb(cursor_map(3))]), Cursor)
