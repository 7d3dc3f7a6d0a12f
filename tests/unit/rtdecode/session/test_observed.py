"""Intervals are merged and intersected as a count of the time on a fine grid would."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from rtdecode.session.observed import intersected, merged

BOUNDS = st.tuples(st.integers(0, 40), st.integers(1, 9)).map(lambda pair: (pair[0], pair[0] + pair[1]))
INTERVALS = st.lists(BOUNDS, max_size=12).map(lambda rows: np.array(rows, np.float64).reshape(-1, 2))
MIDDLES = np.arange(50) + 0.5


def covered(intervals: np.ndarray) -> np.ndarray:
    """bool[50], which unit of time is in any of the intervals."""
    inside = (intervals[:, :1] < MIDDLES) & (intervals[:, 1:] > MIDDLES)
    return np.asarray(inside.any(axis=0))


def is_sorted_and_apart(intervals: np.ndarray) -> bool:
    return bool((intervals[:, 0] < intervals[:, 1]).all() and (intervals[1:, 0] > intervals[:-1, 1]).all())


@given(INTERVALS)
def test_merged_intervals_cover_the_same_time(intervals: np.ndarray) -> None:
    found = merged(intervals)
    assert is_sorted_and_apart(found)
    assert np.array_equal(covered(found), covered(intervals))


@given(INTERVALS, INTERVALS)
def test_intersected_intervals_cover_what_both_cover(one: np.ndarray, other: np.ndarray) -> None:
    found = intersected(merged(one), merged(other))
    assert is_sorted_and_apart(merged(found))
    assert np.array_equal(covered(found), covered(one) & covered(other))


def test_all_time_changes_nothing() -> None:
    intervals = np.array([[0.0, 1.0], [2.0, 5.0]])
    assert np.array_equal(intersected(np.array([[-np.inf, np.inf]]), intervals), intervals)
