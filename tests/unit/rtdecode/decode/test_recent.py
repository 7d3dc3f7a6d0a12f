"""The last bins since the reset, and those that a decoder in its warm-up lacks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtdecode.decode.recent import Mark, RecentBins

N_CHANNELS = 3


def row(i: int) -> np.ndarray[tuple[int], np.dtype[np.uint8]]:
    return np.array([i % 251, i % 7, i % 5], np.uint8)


@pytest.mark.parametrize(("width_s", "look_back"), [(0.02, 100), (0.064, 31), (1.0, 2), (5.0, 1)])
def test_look_back_is_two_seconds(width_s: float, look_back: int) -> None:
    recent = RecentBins(N_CHANNELS, width_s)
    assert recent.look_back == look_back
    assert recent.capacity > look_back


@settings(deadline=None)
@given(n=st.integers(0, 700), asked=st.integers(0, 300))
def test_the_last_bins_are_those_that_were_added_last(n: int, asked: int) -> None:
    recent = RecentBins(N_CHANNELS, 0.02)
    rows = [row(i) for i in range(n)]
    for each in rows:
        recent.add(each)
    if asked > min(n, recent.capacity):
        with pytest.raises(ValueError, match="bins of"):
            recent.last(asked)
    else:
        np.testing.assert_array_equal(recent.last(asked), np.array(rows[n - asked :]).reshape(-1, 3))


def test_the_last_bins_are_a_copy() -> None:
    recent = RecentBins(N_CHANNELS, 0.02)
    recent.add(row(1))
    recent.last(1)[:] = 9
    np.testing.assert_array_equal(recent.last(1)[0], row(1))


@settings(deadline=None)
@given(st.lists(st.integers(0, 300) | st.just("reset") | st.just("warm"), max_size=12))
def test_a_decoder_that_follows_its_lag_has_seen_the_last_bins_only(actions: list[int | str]) -> None:
    recent = RecentBins(1, 0.02)
    since_reset: list[int] = []
    seen: list[int] = []
    mark: Mark | None = None
    i = 0
    for action in [*actions, "warm"]:
        if action == "reset":
            recent.reset()
            since_reset = []
        elif action == "warm":
            fresh, n = recent.lag(mark)
            assert fresh or mark is not None
            if fresh:
                seen = []
            seen += [int(each) for each in recent.last(n)[:, 0]]
            mark = Mark(recent.resets, recent.stepped, len(seen))
            assert len(seen) >= min(len(since_reset), recent.look_back)
            assert len(seen) <= recent.capacity
            assert seen == since_reset[len(since_reset) - len(seen) :]
        else:
            for _ in range(action):
                i += 1
                recent.add(np.array([i % 251], np.uint8))
                since_reset.append(i % 251)
