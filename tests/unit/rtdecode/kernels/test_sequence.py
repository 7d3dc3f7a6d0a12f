"""Running numbers and sample grids: what is lost, repeated or out of order is counted as just that."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scripted_inlet import ScriptedInlet, pull

from rtdecode.binning import BinRing
from rtdecode.ingest.connection.inlet import MAX_PULL
from rtdecode.ingest.signals.counts import CountFeed
from rtdecode.ingest.signals.events import EventRules
from rtdecode.ingest.signals.rows import SEQUENCE_WINDOW
from rtdecode.kernels import sequence

N_CHANNELS = 4
I4 = NDArray[np.int32]


def as_int32(number: int) -> int:
    """The sequence number as the outlet sends it."""
    return (number + 2**31) % 2**32 - 2**31


# Events


@dataclass
class Reference:
    """`check_events` with sets of unbounded numbers instead of a ring."""

    window: int
    last: int | None = None
    first: int = 0
    seen: set[int] = field(default_factory=set)
    counters: list[int] = field(default_factory=lambda: [0] * sequence.N_SEQUENCE_COUNTERS)

    def check(self, channel: int, seq: int) -> tuple[int, int]:
        """Whether the event is accepted, and how many went missing right before it."""
        accepted, lost = self.place(seq)
        self.counters[sequence.RECEIVED] += 1
        if accepted and not 0 <= channel < N_CHANNELS:
            self.counters[sequence.OUT_OF_RANGE] += 1
            return 0, lost
        return int(accepted), lost

    def place(self, seq: int) -> tuple[bool, int]:
        step = 0 if self.last is None else as_int32(seq - self.last)
        if self.last is None or step >= sequence.RENUMBER_JUMP or step <= -self.window:
            self.counters[sequence.RENUMBERED] += self.last is not None
            # Numbers before the first one count as seen.
            self.last = self.first = seq
            self.seen = {seq}
            return True, 0
        number = self.last + step
        if step > 0:
            self.seen.add(number)
            self.last = number
            self.counters[sequence.LOST] += step - 1
            return True, step - 1
        if number in self.seen or number < self.first:
            self.counters[sequence.DUPLICATE] += 1
            return False, 0
        self.seen.add(number)
        self.counters[sequence.OUT_OF_ORDER] += 1
        self.counters[sequence.LOST] -= 1
        return True, 0


@dataclass
class Checked:
    """The results of `check_events` for a stream, chunk by chunk."""

    accepted: list[int]
    lost_before: list[int]
    channel: list[int]
    unit: list[int]
    counters: list[int]


def check(rows: Sequence[Sequence[int]], cuts: Sequence[int] = (), window: int = SEQUENCE_WINDOW) -> Checked:
    samples = np.array(rows, np.int32).reshape(-1, 3)
    state, seen = np.zeros(2, np.int64), np.ones(window, np.uint8)
    counters = np.zeros(sequence.N_SEQUENCE_COUNTERS, np.int64)
    parts = []
    for start, stop in pairwise([*sorted({0, *cuts}), len(samples)]):
        n = stop - start
        channel, unit = np.full(n, 99, np.int32), np.full(n, 99, np.uint8)
        accepted, lost_before = np.full(n, 99, np.uint8), np.full(n, 99, np.uint32)
        sequence.check_events(
            samples[start:stop],
            n,
            np.ones(n, np.uint8),
            N_CHANNELS,
            state,
            seen,
            unit,
            channel,
            accepted,
            lost_before,
            counters,
        )
        parts.append((accepted, lost_before, channel, unit))
    columns = (np.concatenate(column).tolist() for column in zip(*parts, strict=True))
    return Checked(*columns, counters.tolist())


def numbered(*numbers: int) -> list[tuple[int, int, int]]:
    return [(0, 0, as_int32(number)) for number in numbers]


def counted(checked: Checked, **expected: int) -> bool:
    names = {name: getattr(sequence, name.upper()) for name in expected}
    named = {name: checked.counters[i] for name, i in names.items()}
    others = [c for i, c in enumerate(checked.counters) if i not in names.values() and i != sequence.RECEIVED]
    return named == expected and not any(others)


@st.composite
def event_rows(draw: st.DrawFn, window: int) -> list[tuple[int, int, int]]:
    number = draw(st.sampled_from([0, 1, 12345, -3, 2**31 - 4, 2**32 - 4, -(2**31)]))
    steps = (
        st.just(1)
        | st.integers(-5, 6)
        | st.integers(-2 * window, 2 * window)
        | st.sampled_from([-window, 1 - window, window, window + 1, 2**24 - 1, 2**24, 2**31, -(2**24)])
    )
    rows = []
    for step in draw(st.lists(st.just(1) | steps, max_size=60)):
        at = number + step
        # An event out of order does not hold the outlet's numbering up.
        number = at if step > 0 or step <= -window else number
        rows.append((draw(st.sampled_from([0, 1, 3, 3, 4, -1, 2**31 - 1])), 0, as_int32(at)))
    return rows


@settings(deadline=None, max_examples=200)
@given(data=st.data(), window=st.sampled_from([8, SEQUENCE_WINDOW]), cuts=st.lists(st.integers(1, 59)))
def test_any_chunks_give_the_counts_of_the_reference(
    data: st.DataObject, window: int, cuts: list[int]
) -> None:
    rows = data.draw(event_rows(window))
    reference = Reference(window)
    expected = [reference.check(channel, seq) for channel, _, seq in rows]
    checked = check(rows, [cut for cut in cuts if cut < len(rows)], window)
    assert list(zip(checked.accepted, checked.lost_before, strict=True)) == expected
    assert checked.counters == reference.counters


@settings(deadline=None, max_examples=50)
@given(
    first=st.sampled_from([0, 2**31 - 300, 2**32 - 300]),
    order=st.permutations(range(1, 40)),
    twice=st.booleans(),
)
def test_events_that_all_arrive_are_accepted_once(first: int, order: list[int], twice: bool) -> None:
    arrivals = [0, *order, 40] * (2 if twice else 1)
    checked = check(numbered(*(first + i for i in arrivals)))
    assert sum(checked.accepted) == 41
    assert checked.counters[sequence.LOST] == 0
    assert checked.counters[sequence.DUPLICATE] == (41 if twice else 0)


def test_a_run_of_numbers_is_a_run_of_events_across_the_wrap() -> None:
    for first in (-50, 2**31 - 50, 2**32 - 50):
        checked = check(numbered(*range(first, first + 100)), [7, 50])
        assert counted(checked)
        assert checked.accepted == [1] * 100
        assert checked.counters[sequence.RECEIVED] == 100


FAR, GAP = SEQUENCE_WINDOW - 1, 3 * SEQUENCE_WINDOW


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [
        ((5, 6, 10, 11), {"lost": 3}),
        ((2**31 - 3, 2**31 - 2, 2**31 + 2, 2**31 + 3), {"lost": 3}),
        ((5, 6, 6, 5, 7), {"duplicate": 2}),
        ((5, 8, 6, 6, 9), {"lost": 1, "out_of_order": 1, "duplicate": 1}),
        # As late as the window, and later.
        ((0, 2, 1 + FAR, 2, 1), {"lost": FAR - 2, "out_of_order": 1, "duplicate": 1}),
        ((0, 2, 2 + FAR, 1), {"lost": FAR, "renumbered": 1}),
        # A gap longer than the window forgets no loss.
        ((0, 1, GAP, GAP - 1, GAP - 4000, 2 * GAP, 2 * GAP - 1), {"lost": 2 * GAP - 6, "out_of_order": 3}),
        # An outlet that restarts its numbering loses nothing.
        ((2_000_000, 2_000_001, 0, 1, 2, 2 + 2**24, 3 + 2**24), {"renumbered": 2}),
        ((0, 2**24 - 1), {"lost": 2**24 - 2}),
    ],
)
def test_what_happened_to_the_numbers_is_counted(numbers: tuple[int, ...], expected: dict[str, int]) -> None:
    checked = check(numbered(*numbers))
    assert counted(checked, **expected)
    assert checked.accepted.count(0) == expected.get("duplicate", 0)


def test_channels_that_the_array_does_not_have_are_counted_and_refused() -> None:
    rows = [(0, 0, 0), (N_CHANNELS, 0, 1), (-1, 0, 2), (2**31 - 1, 0, 3), (3, 0, 4), (-7, 0, 4)]
    checked = check(rows)
    assert counted(checked, out_of_range=3, duplicate=1)
    assert checked.accepted == [1, 0, 0, 0, 1, 0]


def test_units_are_kept_within_a_byte() -> None:
    checked = check([(0, unit, i) for i, unit in enumerate([0, 7, 255, 256, 2**31 - 1, -1, -(2**31)])])
    assert checked.unit == [0, 7, 255, 255, 255, 0, 0]
    assert checked.channel == [0] * 7


# Counts


@dataclass
class Numbered:
    index: NDArray[np.int64]
    lost_before: NDArray[np.int64]
    counts: NDArray[np.uint8]
    counters: NDArray[np.int64]
    end_s: NDArray[np.float64]
    period_s: float


def number(
    time: NDArray[np.floating[Any]],
    period_s: float,
    rows: NDArray[Any] | None = None,
    cuts: Sequence[int] = (),
) -> Numbered:
    """Samples through a CountFeed, as in the loop."""
    rows = np.zeros((len(time), 1), np.int32) if rows is None else rows
    inlet = ScriptedInlet(rows.shape[1], str(rows.dtype), 1.0 / period_s)
    counters = np.zeros(sequence.N_SEQUENCE_COUNTERS, np.int64)
    feed = CountFeed(
        cast(Any, inlet), BinRing(rows.shape[1], period_s), rules=EventRules(), counters=counters
    )
    taken = []
    for start, stop in pairwise(sorted({*range(0, len(time), MAX_PULL), *cuts, len(time)})):
        inlet.send(time[start:stop], rows[start:stop])
        n, columns = pull(feed), feed.columns
        np.testing.assert_array_equal(columns.accepted[:n], np.isfinite(columns.time[:n]))
        taken.append(
            [
                column[:n].copy()
                for column in (columns.number, columns.lost_before, columns.counts, feed.end_s)
            ]
        )
    index, lost, counts, end_s = (np.concatenate(parts) for parts in zip(*taken, strict=True))
    return Numbered(index, lost.astype(np.int64), counts, counters, end_s, feed.timing.true_period_s)


@pytest.mark.parametrize("period_s", [0.001, 0.02, 1 / 30])
@pytest.mark.parametrize("start_s", [0.0, 98765.4321])
def test_exact_stamps_with_gaps_lose_what_is_missing(period_s: float, start_s: float) -> None:
    sent = np.delete(np.arange(400), [1, 50, 51, 90, 91, 92, 93, 94, 200, 399])
    found = number(start_s + (sent + 1) * period_s, period_s, cuts=[1, 49, 50, 77])
    np.testing.assert_array_equal(found.index, sent)
    np.testing.assert_array_equal(found.lost_before, np.diff(sent, prepend=-1) - 1)
    assert found.counters[:8].tolist() == [390, 9, 0, 0, 0, 0, 0, 0]


@pytest.mark.parametrize("missing", [1, 2, 5, 1000])
def test_a_gap_is_as_long_as_its_samples_under_jitter(missing: int) -> None:
    rng = np.random.default_rng(missing)
    sent = np.concatenate((np.arange(300), np.arange(300, 600) + missing))
    found = number((sent + 1 + rng.uniform(-0.1, 0.1, 600)) * 0.02, 0.02)
    np.testing.assert_array_equal(found.index, sent)
    assert found.counters[:8].tolist() == [600, missing, 0, 0, 0, 0, 0, 0]


@pytest.mark.parametrize("width", [0.05, 0.2, 0.3])
def test_jittering_stamps_lose_nothing(width: float) -> None:
    wrong = []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        found = number((np.arange(1000) + 1 + rng.uniform(-width, width, 1000)) * 0.02, 0.02)
        if (
            found.counters[:8].tolist() != [1000, 0, 0, 0, 0, 0, 0, 0]
            or (found.index != np.arange(1000)).any()
        ):
            wrong.append((seed, found.counters.tolist()))
    assert not wrong


def test_a_first_stamp_that_is_off_loses_nothing() -> None:
    stamps = (np.arange(1000) + 1.0) * 0.02
    stamps[1:] += 0.3 * 0.02 * np.where(np.arange(999) % 2, 1, -1)
    for first in (-0.3, 0.3):
        stamps[0] = (1 + first) * 0.02
        found = number(stamps, 0.02)
        assert found.counters[:8].tolist() == [1000, 0, 0, 0, 0, 0, 0, 0]
        np.testing.assert_array_equal(found.index, np.arange(1000))


@pytest.mark.parametrize("ppm", [100, -100])
def test_the_grid_follows_a_source_whose_clock_drifts(ppm: int) -> None:
    period_s, n = 0.02, 180_000
    jitter = np.random.default_rng(1).uniform(-0.05, 0.05, n)
    true_s = (np.arange(n) + 1) * period_s * (1 + ppm * 1e-6)
    found = number(100.0 + true_s + jitter * period_s, period_s)
    assert found.counters[:8].tolist() == [n, 0, 0, 0, 0, 0, 0, 0]
    np.testing.assert_array_equal(found.index, np.arange(n))
    # By now the source is 18 samples off its nominal rate.
    assert np.abs(found.end_s[50:] - (100.0 + true_s[50:])).max() < 0.05 * period_s
    assert found.period_s == pytest.approx(period_s * (1 + ppm * 1e-6), rel=1e-3)


@pytest.mark.parametrize("rate_hz", [42.0, 47.0, 48.0, 49.9, 50.5, 55.0])
@pytest.mark.parametrize("jitter", [0.0, 0.1])
def test_a_source_of_another_rate_than_announced_loses_nothing(rate_hz: float, jitter: float) -> None:
    n = 2000
    true_s = 7.0 + (np.arange(n) + 1) / rate_hz
    stamps = true_s + np.random.default_rng(3).uniform(-jitter, jitter, n) * 0.02
    found = number(stamps, 0.02)
    assert found.counters[:8].tolist() == [n, 0, 0, 0, 0, 0, 0, 0]
    np.testing.assert_array_equal(found.index, np.arange(n))
    assert found.period_s == pytest.approx(1 / rate_hz, rel=1e-6 if not jitter else 1e-3)
    # From the fourth second on its samples are expected when they come.
    assert np.abs(found.end_s - true_s)[200:].max() < 1e-5 + 0.5 * jitter * 0.02


@pytest.mark.parametrize("work_s", [0.0, 0.001])
def test_a_source_that_sleeps_between_samples_is_followed(work_s: float) -> None:
    """`push_sample; sleep(1/50)`: each period is longer by what the machine does meanwhile."""
    stamps = np.cumsum(0.02 + work_s + np.random.default_rng(4).exponential(0.0003, 3000))
    found = number(stamps, 0.02)
    assert found.counters[:8].tolist() == [3000, 0, 0, 0, 0, 0, 0, 0]
    assert np.abs(found.end_s - stamps)[100:].max() < 0.004


def test_a_source_that_pauses_is_followed_at_once() -> None:
    stamps = (np.arange(400) + 1) * 0.02
    stamps[200:] += 0.033
    found = number(stamps, 0.02)
    assert int(found.lost_before.sum()) == 2
    assert np.abs(found.end_s - stamps)[215:].max() < 0.001


def test_a_sample_out_of_order_keeps_the_number_of_its_stamp_and_is_not_lost() -> None:
    order = np.array([0, 1, 2, 5, 3, 4, 6, 7])
    found = number((order + 1) * 0.01, 0.01)
    np.testing.assert_array_equal(found.index, order)
    assert found.counters[:8].tolist() == [8, 0, 0, 2, 0, 0, 0, 0]


def test_one_nan_stamp_does_not_shift_the_grid() -> None:
    stamps = (np.arange(50) + 1) * 0.02
    stamps[20] = np.nan
    found = number(stamps, 0.02)
    np.testing.assert_allclose(found.end_s, (np.arange(50) + 1) * 0.02, atol=1e-9)
    np.testing.assert_array_equal(found.index[21:], np.arange(21, 50))


@settings(deadline=None, max_examples=60)
@given(
    errors=st.lists(st.floats(-0.4, 0.4) | st.floats(-6, 6), min_size=1, max_size=60),
    cuts=st.lists(st.integers(1, 59), max_size=6),
)
def test_numbers_do_not_depend_on_the_chunks(errors: list[float], cuts: list[int]) -> None:
    time = (np.arange(len(errors)) + 1 + np.array(errors)) * 0.02
    whole, cut = number(time, 0.02), number(time, 0.02, cuts=[c for c in cuts if c < len(time)])
    np.testing.assert_array_equal(cut.index, whole.index)
    np.testing.assert_array_equal(cut.lost_before, whole.lost_before)
    np.testing.assert_array_equal(cut.counters, whole.counters)
    np.testing.assert_array_equal(cut.end_s, whole.end_s)
    assert whole.counters[sequence.RECEIVED] == len(errors)
    assert whole.lost_before.sum() >= whole.counters[sequence.LOST] >= 0


def one_row(*values: float, dtype: str) -> tuple[list[int], int]:
    """The counts of one sample, and the number of its values that are not counts."""
    found = number(np.array([1.0]), 0.02, np.array([values], dtype))
    return found.counts[0].tolist(), int(found.counters[sequence.NOT_A_COUNT])


@pytest.mark.parametrize("dtype", ["i2", "i4", "i8", "f4", "f8"])
def test_counts_are_kept_within_a_byte(dtype: str) -> None:
    assert one_row(0, 1, 254, 255, 256, 32767, dtype=dtype) == ([0, 1, 254, 255, 255, 255], 0)


def test_huge_counts_are_counts() -> None:
    assert one_row(2**31 - 1, -(2**31), dtype="i4") == ([255, 0], 1)
    assert one_row(2**40, -(2**40), 2**32 + 1, dtype="i8") == ([255, 0, 255], 1)
    assert one_row(1e30, -1e30, 256.0, dtype="f4") == ([255, 0, 255], 1)


@pytest.mark.parametrize("dtype", ["i1", "i2", "i4", "i8", "f4", "f8"])
def test_a_negative_count_is_counted_and_read_as_zero(dtype: str) -> None:
    assert one_row(-1, 3, -128, 127, dtype=dtype) == ([0, 3, 0, 127], 2)


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_a_value_that_is_not_whole_is_counted_and_read_as_zero(dtype: str) -> None:
    row = (np.nan, np.inf, -np.inf, 0.5, 2.0, -0.0)
    assert one_row(*row, dtype=dtype) == ([0, 0, 0, 0, 2, 0], 4)
