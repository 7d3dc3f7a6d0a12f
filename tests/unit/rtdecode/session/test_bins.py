"""Binning, spreading and interpolation against plain references."""

from __future__ import annotations

import math
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from numpy.typing import NDArray

from rtdecode.errors import RtdecodeError
from rtdecode.kernels.sessions import bin_events, merge_rows
from rtdecode.session.bins import behavior_at, bin_session, events_of, spread_counts
from rtdecode.session.layout import Behavior, Counts, Events, Features, Session
from rtdecode.session.read import read_session

COUNTS = npst.arrays("u1", st.tuples(st.integers(0, 8), st.just(3)), elements=st.integers(0, 5))


def reference_bins(events: Events, origin_s: float, width_s: float, n_bins: int, n_channels: int) -> NDArray:
    counts = np.zeros((n_bins, n_channels), np.int64)
    edges = [origin_s + k * width_s for k in range(n_bins + 1)]
    for t, channel in zip(events.time, events.channel, strict=True):
        for k in range(n_bins):
            if edges[k] <= t < edges[k + 1]:
                counts[k, channel] += 1
    return np.minimum(counts, 255)


def events_session(time: list[float], channel: list[int], n_channels: int = 3) -> Session:
    return Session(n_channels, events=Events(np.array(time, "f8"), np.array(channel, "u2")))


@given(
    st.lists(st.tuples(st.floats(0, 1), st.integers(0, 2)), max_size=40),
    st.sampled_from([0.02, 0.05, 0.1, 0.3, 1 / 3]),
    st.sampled_from([0.0, 0.1, 1e5 + 0.7]),
)
@settings(deadline=None)
def test_events_are_binned_by_the_edges(
    stamped: list[tuple[float, int]], width_s: float, origin_s: float
) -> None:
    n_bins = int(1 / width_s)
    # Stamps on the edges show errors of rounding.
    edges = [(k * width_s, k % 3) for k in range(n_bins + 1)]
    times = np.array([origin_s + t for t, _ in stamped + edges])
    events = Events(times, np.array([channel for _, channel in stamped + edges], "u2"))
    counts = np.zeros((n_bins, 3), np.uint8)
    bin_events(events.time, events.channel, origin_s, width_s, np.arange(len(counts)), counts)
    np.testing.assert_array_equal(counts, reference_bins(events, origin_s, width_s, n_bins, 3))


def test_counts_saturate() -> None:
    counts = np.zeros((1, 1), np.uint8)
    bin_events(np.zeros(300), np.zeros(300, np.uint16), 0.0, 1.0, np.arange(len(counts)), counts)
    assert counts[0, 0] == 255
    merged = np.zeros((1, 1), np.uint8)
    merge_rows(np.full((2, 1), 200, np.uint16), np.zeros(2, np.int64), merged)
    assert merged[0, 0] == 255


@given(npst.arrays("u2", st.tuples(st.integers(0, 12), st.just(2)), elements=st.integers(0, 300)), st.data())
@settings(deadline=None)
def test_merged_rows_are_the_sums(values: NDArray[np.uint16], data: st.DataObject) -> None:
    bins = data.draw(npst.arrays("i8", len(values), elements=st.integers(-1, 5)))
    merged = np.zeros((4, 2), np.uint8)
    merge_rows(values, bins, merged)
    expected = [[min(255, int(values[bins == k, c].sum())) for c in range(2)] for k in range(4)]
    assert merged.tolist() == expected


@given(COUNTS, st.floats(1e-3, 1), st.floats(-1e6, 1e6), st.integers(0, 2**32))
@settings(deadline=None)
def test_spread_counts_bin_to_the_same_counts(
    values: NDArray[np.uint8], width_s: float, t0_s: float, seed: int
) -> None:
    events = spread_counts(Counts(values, width_s, t0_s), seed)
    assert (np.diff(events.time) >= 0).all()
    counts = np.zeros_like(values)
    bin_events(events.time, events.channel, t0_s, width_s, np.arange(len(counts)), counts)
    np.testing.assert_array_equal(counts, values)


def test_the_spreading_rule_is_the_documented_one() -> None:
    values = np.array([[2, 0, 1], [0, 3, 0]], "u1")
    rng = np.random.default_rng(7)
    expected = []
    for row in range(2):
        for channel in range(3):
            expected += [(10.0 + (row + rng.random()) * 0.064, channel) for _ in range(values[row, channel])]
    expected.sort(key=lambda event: event[0])
    events = spread_counts(Counts(values, 0.064, 10.0), seed=7)
    assert list(zip(events.time.tolist(), events.channel.tolist(), strict=True)) == expected
    other = spread_counts(Counts(values, 0.064, 10.0), seed=8)
    assert (events.time != other.time).any()


def test_events_of_reports_synthetic_times() -> None:
    recorded = events_session([0.1], [0])
    assert events_of(recorded) == (recorded.events, False)
    events, synthetic = events_of(Session(1, counts=Counts(np.ones((2, 1), "u1"), 0.1, 0.0)))
    assert synthetic
    assert len(events.time) == 2
    with pytest.raises(RtdecodeError, match="holds no spikes: neither /events nor /counts"):
        bin_session(Session(1), 0.02)


def test_events_are_binned_from_the_start_of_the_session_in_complete_bins() -> None:
    session = events_session([5.0, 5.019, 5.02, 5.059], [0, 1, 1, 2])
    binned = bin_session(session, 0.02)
    assert binned.counts.tolist() == [[1, 1, 0], [0, 1, 0]]
    assert binned.t_bin.tolist() == [5.0 + 0.02, 5.0 + 2 * 0.02]
    assert (binned.origin_s, binned.bin_width_s, binned.synthetic_times) == (5.0, 0.02, False)


def test_behaviour_extends_a_session_of_events() -> None:
    behavior = Behavior(np.array([4.97, 5.1]), np.zeros((2, 1), "f4"), ("x",), ("mm",))
    events = Events(np.array([5.0]), np.zeros(1, "u2"))
    binned = bin_session(Session(1, events=events, behavior=behavior), 0.02)
    assert binned.origin_s == 4.97
    assert binned.counts.ravel().tolist() == [0, 1, 0, 0, 0, 0]


def test_counts_of_the_requested_width_are_unchanged() -> None:
    values = np.array([[0, 300], [7, 1]], "u2")
    width_s = float(np.float32(0.064))
    counts = Counts(values, width_s, 3.0)
    crowd = Events(np.zeros(9), np.zeros(9, "u2"))
    for session in (Session(2, counts=counts), Session(2, counts=counts, events=crowd)):
        binned = bin_session(session, 0.064)
        assert binned.counts.tolist() == [[0, 255], [7, 1]]
        assert binned.counts.dtype == np.uint8
        assert binned.t_bin.tolist() == [3.0 + width_s, 3.0 + 2 * width_s]
        assert not binned.synthetic_times


def test_events_are_used_before_counts_of_another_width() -> None:
    counts = Counts(np.full((10, 1), 9, "u1"), 0.01, 0.0)
    binned = bin_session(Session(1, counts=counts, events=Events(np.array([0.03]), np.zeros(1, "u2"))), 0.02)
    assert binned.counts.ravel().tolist() == [0, 1, 0, 0, 0]
    assert not binned.synthetic_times


@given(COUNTS, st.sampled_from([(0.001, 0.02), (0.005, 0.02), (0.008, 0.02), (0.02, 0.064), (1 / 3, 1.0)]))
@settings(deadline=None)
def test_finer_counts_are_summed_by_their_centre(
    values: NDArray[np.uint8], widths: tuple[float, float]
) -> None:
    period_s, width_s = widths
    values = np.tile(values, (9, 1))
    binned = bin_session(Session(3, counts=Counts(values, period_s, 1.0)), width_s)
    n_bins = math.floor(len(values) * period_s / width_s + 1e-9)
    expected = np.zeros((n_bins, 3), np.int64)
    for n, row in enumerate(values):
        k = math.floor((n + 0.5) * period_s / width_s)
        if k < n_bins:
            expected[k] += row
    np.testing.assert_array_equal(binned.counts, np.minimum(expected, 255))
    np.testing.assert_array_equal(binned.t_bin, 1.0 + np.arange(1, n_bins + 1) * width_s)


def test_coarser_counts_are_spread_with_the_seed() -> None:
    counts = Counts(np.full((10, 2), 3, "u1"), 0.064, 2.0)
    session = Session(2, counts=counts)
    binned = bin_session(session, 0.02, seed=5)
    assert binned.synthetic_times
    assert binned.counts.shape == (32, 2)
    assert binned.counts.sum() == 60
    events = spread_counts(counts, seed=5)
    np.testing.assert_array_equal(binned.counts, reference_bins(events, 2.0, 0.02, 32, 2))
    assert (binned.counts != bin_session(session, 0.02, seed=6).counts).any()


def test_ten_bins_of_64_ms_are_32_of_20_ms() -> None:
    session = Session(1, counts=Counts(np.zeros((10, 1), "u1"), 0.064, 0.0))
    assert len(bin_session(session, 0.02).counts) == 32
    assert len(bin_session(Session(1, counts=Counts(np.zeros((11, 1), "u1"), 0.064, 0.0)), 0.02).counts) == 35


@pytest.mark.parametrize("width_s", [0.0, -0.02, math.nan, math.inf])
def test_a_bin_width_must_be_positive(width_s: float) -> None:
    with pytest.raises(RtdecodeError, match="bin width"):
        bin_session(events_session([0.0], [0]), width_s)


def test_a_stray_stamp_is_an_error_not_a_terabyte() -> None:
    with pytest.raises(RtdecodeError, match=r"spans 1700000000 s.*by one clock"):
        bin_session(events_session([0.0, 1.7e9], [0, 0], n_channels=96), 0.02)


def interpolated(times: list[float], values: list[Any], asked: list[float]) -> NDArray[np.float32]:
    array = np.array(values, "f4").reshape(len(times), -1) if times else np.zeros((0, 1), "f4")
    d = array.shape[1]
    return behavior_at(Behavior(np.array(times, "f8"), array, ("x",) * d, ("mm",) * d), np.array(asked))


def test_behaviour_is_interpolated_column_by_column() -> None:
    at = interpolated([1.0, 1.1, 1.2], [[0, 10], [1, 20], [3, 0]], [1.0, 1.05, 1.1, 1.15, 1.2])
    assert at.dtype == np.float32
    np.testing.assert_allclose(at, [[0, 10], [0.5, 15], [1, 20], [2, 10], [3, 0]], atol=1e-6)


NAN = np.nan


def test_a_value_that_is_nan_is_missing_for_its_column_alone() -> None:
    time = np.arange(6) / 10
    whole = np.stack([time, -time, 2 * time], axis=1)
    holed = whole.copy()
    holed[1:3, 1], holed[:, 2] = NAN, NAN
    t = np.array([0.0, 0.05, 0.15, 0.2, 0.35, 0.5])
    before, after = (interpolated([*time], [*values], [*t]) for values in (whole, holed))
    np.testing.assert_array_equal(after[:, 0], before[:, 0])
    np.testing.assert_allclose(after[:, 1], before[:, 1], atol=1e-6)
    assert np.isnan(after[:, 2]).all()


@pytest.mark.parametrize(
    ("times", "values", "asked", "expected"),
    [
        # The median interval is 0.1 s, so a hole is what is longer than 0.5 s.
        (
            [0.0, 0.1, 0.2, 0.7, 1.3, 1.4],
            [0, 1, 2, 7, 13, 14],
            [-0.01, 0.0, 0.45, 0.7, 0.71, 1.29, 1.3, 1.4, 1.41],
            [NAN, 0, 4.5, 7, NAN, NAN, 13, 14, NAN],
        ),
        # Slow behaviour has no holes of its own.
        ([0.0, 1.0, 2.0, 4.9, 8.0], [0, 1, 2, 4.9, 8], [0.5, 3.0, 6.0], [0.5, 3.0, 6.0]),
        ([0.0, 1.0, 2.0, 5.1], [0, 1, 2, 5.1], [3.0], [NAN]),
        ([1.0], [5], [0.9, 1.0, 1.1], [NAN, 5, NAN]),
        ([], [], [0.0], [NAN]),
    ],
)
def test_behaviour_is_nan_outside_and_in_holes(
    times: list[float], values: list[float], asked: list[float], expected: list[float]
) -> None:
    np.testing.assert_allclose(interpolated(times, values, asked).ravel(), expected, rtol=1e-6)


@given(
    st.lists(st.floats(0, 0.4), min_size=2, max_size=20),
    st.lists(st.floats(-1, 9), max_size=20),
)
@settings(deadline=None)
def test_interpolation_agrees_with_numpy(steps: list[float], asked: list[float]) -> None:
    time = np.cumsum(np.array(steps) + 1e-3)
    values = np.sin(np.arange(len(time)))[:, np.newaxis].astype("f4")
    t = np.array(asked + time.tolist())
    expected = np.interp(t, time, values[:, 0], left=np.nan, right=np.nan)
    at = behavior_at(Behavior(time, values, ("x",), ("mm",)), t)
    np.testing.assert_allclose(at.ravel(), expected, atol=1e-6)


@pytest.mark.sessions
def test_a_real_recording_at_three_widths(data_dir: Path) -> None:
    session = read_session(data_dir / "indy" / "indy_20161005_06.h5")
    recorded = bin_session(session, 0.064)
    np.testing.assert_array_equal(recorded.counts, session.counts.values)
    fine = bin_session(session, 0.02)
    assert fine.synthetic_times
    assert len(fine.counts) == 18_697
    # 16 × 20 ms are 5 × 64 ms: over such stretches no spike may be lost or moved.
    n = len(fine.counts) // 16
    np.testing.assert_array_equal(
        fine.counts[: n * 16].reshape(n, 16, 96).sum(axis=1),
        session.counts.values[: n * 5].astype(int).reshape(n, 5, 96).sum(axis=1),
    )
    at = behavior_at(session.behavior, recorded.t_bin)
    np.testing.assert_allclose(at, session.behavior.values, atol=1e-3)


@pytest.mark.parametrize("rate_hz", [48.0, 49.9, 53.0])
def test_counts_are_where_the_stamps_of_their_source_say(rate_hz: float) -> None:
    end = 7.0 + np.arange(1, 501) / rate_hz + np.random.default_rng(0).uniform(-1e-3, 1e-3, 500)
    values = np.random.default_rng(1).poisson(1.0, (500, 3)).astype(np.uint8)
    counts = Counts(values, 1 / rate_hz, 7.0, end, announced_width_s=0.02)
    session = Session(3, counts=counts)
    for width_s in (0.02, 1 / rate_hz):
        binned = bin_session(session, width_s)
        np.testing.assert_array_equal(binned.counts, values)
        np.testing.assert_array_equal(binned.t_bin, end)
    # As while decoding, by the announced width: three rows each, the last two are no whole bin.
    merged = bin_session(session, 0.06)
    np.testing.assert_array_equal(merged.counts, values[:498].reshape(166, 3, 3).sum(axis=1))
    np.testing.assert_allclose(merged.t_bin, end[2:498:3])
    back = np.searchsorted(counts.edges, spread_counts(counts).time, side="right") - 1
    np.testing.assert_array_equal(np.bincount(back, minlength=500), values.sum(axis=1))
    assert session.end_s == end[-1]


@st.composite
def gapped(draw: st.DrawFn) -> tuple[Session, float]:
    """Sessions of 2 s of events, fine or coarse counts, or features, with gaps, and a bin width."""
    edges = draw(st.lists(st.integers(0, 200), min_size=2, max_size=8, unique=True).map(sorted))
    observed = np.array(edges[: len(edges) // 2 * 2]).reshape(-1, 2) / 100.0 + draw(st.sampled_from([0, 3e3]))
    start_s = float(observed[0, 0])
    values = draw(npst.arrays("u1", (200, 2), elements=st.integers(0, 3)))
    kind = draw(st.sampled_from(["events", "counts", "alone"]))
    ends_s = start_s + np.arange(1, 201) * 0.01
    features = Features(ends_s, values.astype("f4"), ("a", "b"), ("power", "count"), ("", ""), 0.01)
    events = spread_counts(Counts(values, 0.01, start_s - 0.1)) if kind == "events" else None
    counts = Counts(values, 0.01, start_s - 0.1) if kind == "counts" else None
    width_s = draw(st.sampled_from([0.005, 0.01, 0.02, 0.03]))
    return Session(2, events=events, counts=counts, features=features, observed=observed), width_s


@given(gapped())
@settings(deadline=None)
def test_bins_that_touch_a_gap_are_left_out(drawn: tuple[Session, float]) -> None:
    session, width_s = drawn
    binned = bin_session(session, width_s)
    # The same grid without gaps: that of events, or of counts as events, begins where they were observed.
    whole = replace(session, observed=None)
    if session.events is not None or (session.counts is not None and width_s < session.counts.bin_width_s):
        whole = replace(whole, observed=np.array([[session.start_s, session.end_s]]))
    every = bin_session(whole, width_s)
    ends = every.t_bin
    inside = [
        any(a - 1e-6 * width_s <= end - width_s and end <= b + 1e-6 * width_s for a, b in session.observed)
        for end in ends
    ]
    rows = np.flatnonzero(inside)
    np.testing.assert_array_equal(binned.number, rows)
    np.testing.assert_array_equal(binned.counts, every.counts[rows])
    np.testing.assert_array_equal(binned.t_bin, ends[rows])
    np.testing.assert_array_equal(binned.features, every.features[rows])
    assert binned.starts.tolist() == [0, *(np.flatnonzero(np.diff(rows) > 1) + 1).tolist()]
    assert binned.origin_s == every.origin_s


def test_intervals_that_touch_have_no_gap_and_hundreds_bin_fast() -> None:
    rng = np.random.default_rng(0)
    events = Events(np.sort(rng.uniform(0, 2000, 400_000)), rng.integers(0, 100, 400_000).astype("u2"))
    starts = np.arange(574) * 3.5
    trials = Session(100, events=events, observed=np.stack([starts, starts + 1.5], axis=1))
    bin_session(trials, 0.02)
    began = time.process_time()
    assert bin_session(trials, 0.02).starts.tolist() == (np.arange(574) * 75).tolist()
    assert time.process_time() - began < 0.5
    touching = replace(trials, observed=np.array([[1.0, 2.005], [2.005, 3.0], [3.0 + 1e-9, 4.0]]))
    binned = bin_session(touching, 0.02)
    assert binned.starts.tolist() == [0]
    assert binned.number.tolist() == list(range(150))


def test_all_observed_is_as_without_intervals() -> None:
    rng = np.random.default_rng(1)
    counts = Counts(rng.poisson(0.5, (500, 3)).astype("u1"), 0.01, 7.0)
    for width_s in (0.004, 0.01, 0.03):
        plain = bin_session(Session(3, counts=counts), width_s)
        seen = bin_session(Session(3, counts=counts, observed=np.array([[7.0, counts.end_s]])), width_s)
        assert seen.counts.tobytes() == plain.counts.tobytes()
        assert seen.t_bin.tobytes() == plain.t_bin.tobytes()
        assert (seen.starts.tolist(), plain.starts.tolist(), plain.number) == ([0], [0], None)
