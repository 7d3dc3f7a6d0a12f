"""The rule for living channels at its edges, and that every model uses it."""

from __future__ import annotations

import numpy as np
import pytest

from rtdecode.errors import RtdecodeError
from rtdecode.models.alive import DEAD_BELOW_HZ, alive_channels, check_some_alive


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("bin_width_s", [0.01, 0.02, 0.045, 0.05, 0.064])
def test_a_channel_exactly_at_the_threshold_is_alive(bin_width_s: float, dtype: type) -> None:
    n_spikes = 18
    n_bins = round(n_spikes / (DEAD_BELOW_HZ * bin_width_s))
    assert n_bins * bin_width_s * DEAD_BELOW_HZ == pytest.approx(n_spikes)
    counts = np.zeros((n_bins, 3), dtype)
    counts[:n_spikes, 0] = counts[: n_spikes - 1, 1] = counts[: n_spikes + 1, 2] = 1
    assert alive_channels(counts, bin_width_s).tolist() == [True, False, True]


def test_a_channel_with_the_same_count_in_every_bin_is_dead() -> None:
    counts = np.array([[0, 3, 3, 255], [0, 3, 4, 255]], np.uint8)
    assert alive_channels(counts, 0.02).tolist() == [False, False, True, False]


def test_a_saturated_channel_is_dead_where_its_sd_in_float32_is_rounded() -> None:
    saturated = np.full((200_000, 2), 255, np.float32)
    assert saturated.std(axis=0).max() > 0
    assert not alive_channels(saturated, 0.02).any()


def test_several_recordings_count_as_one() -> None:
    first, second = np.zeros((1000, 2), np.uint8), np.ones((1000, 2), np.uint8)
    first[0, 1] = 1
    assert alive_channels([first], 0.02).tolist() == [False, True]
    assert alive_channels([second], 0.02).tolist() == [False, False]
    assert alive_channels([first, second, first[:0]], 0.02).tolist() == [True, True]


def test_without_a_bin_no_channel_is_alive() -> None:
    empty = np.zeros((0, 3), np.uint8)
    assert (
        alive_channels(empty, 0.02).tolist() == alive_channels([empty, empty], 0.02).tolist() == [False] * 3
    )


def test_an_array_without_a_living_channel_is_refused() -> None:
    check_some_alive(np.array([False, True]))
    with pytest.raises(RtdecodeError, match=r"monday.h5: no channel fires at 0.05 Hz or more. Fix: use"):
        check_some_alive(np.array([False, False]), "monday.h5")
