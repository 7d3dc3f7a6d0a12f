"""Windows begin where the trials do, hold what the recording holds, and leave nothing out unsaid."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from rtdecode.calibrate.signals.trial_windows import (
    bins_in_window,
    continuous_windows,
    take_windows,
    trial_windows,
)
from rtdecode.errors import RtdecodeError
from rtdecode.session.bins import BinnedSession
from rtdecode.session.layout import Trials

ORIGIN_S = 12.34


def in_bins(n_bins: int, width_s: float = 0.02) -> BinnedSession:
    """Every count holds its own bin's number."""
    counts = (np.arange(n_bins) % 256).astype(np.uint8)[:, np.newaxis].repeat(3, axis=1)
    return BinnedSession(counts, ORIGIN_S + np.arange(1, n_bins + 1) * width_s, ORIGIN_S, width_s, False)


def trials_at(*seconds: tuple[float, float]) -> Trials:
    """Trials between these seconds after the origin."""
    start, stop = np.array(seconds).T if seconds else np.zeros((2, 0))
    return Trials(ORIGIN_S + start, ORIGIN_S + stop)


def test_a_window_is_as_many_bins_as_are_nearest() -> None:
    assert bins_in_window(2.0, 0.020) == 100
    assert bins_in_window(2.0, 0.064) == 31
    for window_s, width_s in ((0.0, 0.02), (0.005, 0.02), (np.nan, 0.02), (2.0, 0.0), (np.inf, 0.02)):
        with pytest.raises(RtdecodeError, match="does not hold a bin"):
            bins_in_window(window_s, width_s)


@given(st.integers(0, 500), st.integers(1, 120), st.integers(1, 150))
def test_continuous_windows_are_all_that_fit(n_bins: int, window: int, hop: int) -> None:
    first = continuous_windows(n_bins, window, hop)
    expected = [k for k in range(0, n_bins, hop) if k + window <= n_bins]
    assert first.tolist() == expected
    assert first.dtype == np.int64


@pytest.mark.parametrize(("window", "hop"), [(0, 1), (1, 0), (10, -1)])
def test_continuous_windows_refuse(window: int, hop: int) -> None:
    with pytest.raises(RtdecodeError, match="at least 1 bin, got"):
        continuous_windows(100, window, hop)


def test_trials_on_the_grid_give_their_own_bins() -> None:
    cut = trial_windows(trials_at((0.0, 2.0), (3.0, 7.0), (8.0, 12.5)), in_bins(1000))
    assert cut.window_bins == 100
    assert cut.first.tolist() == [0, 150, 250, 400, 500]
    assert cut.trial.tolist() == [0, 1, 1, 2, 2]
    assert (cut.n_short, cut.n_outside) == (0, 0)


def test_a_window_holds_only_bins_that_lie_wholly_in_the_trial() -> None:
    # 2.03 s from the middle of a bin: the first whole bin is bin 1, and 100 more fit behind it.
    cut = trial_windows(trials_at((0.010, 2.040), (4.010, 6.0)), in_bins(1000))
    assert cut.first.tolist() == [1]
    assert cut.n_short == 1


def test_windows_of_one_trial_overlap_by_the_hop() -> None:
    cut = trial_windows(trials_at((1.0, 5.0)), in_bins(1000), window_s=2.0, hop_s=0.5)
    assert cut.first.tolist() == [50, 75, 100, 125, 150]


def test_short_trials_are_counted_or_run_on() -> None:
    trials = trials_at((1.0, 2.0), (4.0, 6.0), (7.0, 7.0), (9.0, 10.5))
    skipped = trial_windows(trials, in_bins(600))
    assert skipped.first.tolist() == [200]
    assert skipped.trial.tolist() == [1]
    assert skipped.n_short == 3
    extended = trial_windows(trials, in_bins(600), extend_short=True)
    assert extended.first.tolist() == [50, 200, 350, 450]
    assert extended.trial.tolist() == [0, 1, 2, 3]
    assert (extended.n_short, extended.n_outside) == (0, 0)


def test_windows_outside_the_recording_are_counted_once_per_trial() -> None:
    trials = trials_at((-1.0, 1.5), (-2.0, 3.0), (9.0, 12.0), (9.5, 10.0), (50.0, 60.0))
    cut = trial_windows(trials, in_bins(500), extend_short=True)
    # Of the second trial the first window begins before the recording, the second does not.
    assert cut.first.tolist() == [0]
    assert cut.trial.tolist() == [1]
    assert cut.n_outside == 4
    assert trial_windows(trials, in_bins(500)).n_short == 1


def test_no_trials_no_windows() -> None:
    cut = trial_windows(trials_at(), in_bins(500))
    assert cut.first.shape == cut.trial.shape == (0,)
    windows = take_windows(np.zeros((500, 3), np.uint8), np.zeros((500, 2)), cut.first, cut.window_bins)
    assert windows.counts.shape == (0, 3, 100)
    assert windows.targets.shape == (0, 2, 100)
    assert windows.weight.shape == (0, 1, 100)


@given(
    st.lists(st.tuples(st.floats(-2.0, 30.0), st.floats(0.0, 9.0)), max_size=8),
    st.sampled_from([0.02, 0.064]),
    st.floats(0.2, 3.0),
    st.floats(0.1, 3.0),
    st.booleans(),
)
def test_every_trial_is_in_a_window_or_counted(
    spans: list[tuple[float, float]], width_s: float, window_s: float, hop_s: float, extend: bool
) -> None:
    trials, binned = trials_at(*[(start, start + length) for start, length in spans]), in_bins(1000, width_s)
    cut = trial_windows(trials, binned, window_s, hop_s, extend)
    assert len(set(cut.trial.tolist())) + cut.n_short + cut.n_outside == len(spans)
    assert (np.diff(cut.trial) >= 0).all()
    start_s = ORIGIN_S + cut.first * width_s
    end_s = start_s + cut.window_bins * width_s
    assert (start_s >= trials.start[cut.trial] - 1e-6).all()
    assert (cut.first >= 0).all()
    assert (cut.first + cut.window_bins <= 1000).all()
    late = end_s > trials.stop[cut.trial] + 1e-6
    if not extend:
        assert not late.any()
    else:
        # Only a trial's sole window runs on.
        assert all((cut.trial == row).sum() == 1 for row in cut.trial[late])


def known_except(n_bins: int, *unknown: slice) -> NDArray[np.float32]:
    """Two outputs that hold the bin's number, one of them NaN where unknown."""
    targets = np.arange(n_bins, dtype=np.float32)[:, np.newaxis].repeat(2, axis=1)
    for bins in unknown:
        targets[bins, 1] = np.nan
    return targets


def test_windows_hold_what_the_recording_holds() -> None:
    binned, targets = in_bins(200), known_except(200, slice(30, 35), slice(100, 150))
    first = np.array([0, 25, 100, 150])
    windows = take_windows(binned.counts, targets, first, 50)
    assert windows.counts.dtype == np.uint8
    assert windows.targets.dtype == windows.weight.dtype == np.float32
    for n, begin in enumerate(first):
        np.testing.assert_array_equal(windows.counts[n], binned.counts[begin : begin + 50].T)
        labelled = np.isfinite(targets[begin : begin + 50]).all(axis=1)
        np.testing.assert_array_equal(windows.weight[n, 0], labelled)
        np.testing.assert_array_equal(
            windows.targets[n], np.where(labelled, np.arange(begin, begin + 50), 0.0)[np.newaxis].repeat(2, 0)
        )
    # The third window is unknown throughout, and still there.
    assert not windows.weight[2].any()


def test_windows_that_do_not_fit_are_refused() -> None:
    counts, targets = np.zeros((100, 3), np.uint8), np.zeros((100, 2))
    with pytest.raises(RtdecodeError, match="100 bins of counts and 99 of behaviour"):
        take_windows(counts, targets[:99], np.array([0]), 50)
    with pytest.raises(RtdecodeError, match="begins at bin 51, and the recording has 100 bins"):
        take_windows(counts, targets, np.array([0, 51]), 50)
    with pytest.raises(RtdecodeError, match="begins at bin -1"):
        take_windows(counts, targets, np.array([-1, 3]), 50)
