"""Permuted channels: never reported on real days, and found where connectors were swapped."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest

from rtdecode.calibrate.channels.permutation import candidates, find_permutation
from rtdecode.calibrate.channels.statistics import ChannelStatistics, Tuning, pairwise_correlations, tuning_of
from rtdecode.calibrate.data.sessions import read_labelled

BIN_WIDTH_S = 0.064
DAYS = ("20160411_01", "20160921_01", "20161007_02", "20161013_03", "20161206_02", "20170123_02")


@pytest.fixture(scope="module")
def days(data_dir: Path) -> dict[str, ChannelStatistics]:
    """Real days over nine months; on 20161013 the array resembles no other day's."""
    made = {}
    for day in DAYS:
        read = read_labelled(data_dir / "indy" / f"indy_{day}.h5", BIN_WIDTH_S)
        counts, targets = np.minimum(read.binned.counts[:4700], 64), read.targets[:4700]
        mean = counts.mean(axis=0)
        made[day] = ChannelStatistics(
            used=mean > 0.05 * BIN_WIDTH_S,
            mean=mean,
            sd=counts.std(axis=0),
            correlation=pairwise_correlations(counts, BIN_WIDTH_S, 64),
            tuning=tuning_of(counts, targets, BIN_WIDTH_S, 64),
        )
    return made


def in_order(statistics: ChannelStatistics, order: np.ndarray) -> ChannelStatistics:
    return ChannelStatistics(
        statistics.used[order],
        statistics.mean[order],
        statistics.sd[order],
        statistics.correlation[np.ix_(order, order)],
        Tuning(statistics.tuning.slope[order], statistics.tuning.r2[order]),
    )


KEPT = {
    "everything": lambda statistics: statistics,
    "no labels": lambda statistics: replace(statistics, tuning=None),
    "rates": lambda statistics: replace(statistics, tuning=None, correlation=None),
}


@pytest.mark.parametrize("what", KEPT)
def test_no_real_day_looks_reordered_to_another(days: dict[str, ChannelStatistics], what: str) -> None:
    for one, other in permutations(days, 2):
        found = find_permutation(KEPT["no labels" if what == "no labels" else "everything"](days[one]),
                           KEPT[what](days[other]), BIN_WIDTH_S)  # fmt: skip
        assert not found.reordered, (one, other, found)


@pytest.mark.parametrize("what", ["everything", "no labels"])
@pytest.mark.parametrize(
    ("order", "description"),
    [
        (np.r_[32:64, 0:32, 64:96], "0–31 and 32–63 are swapped"),
        (np.r_[0:64, 80:96, 64:80], "64–79 and 80–95 are swapped"),
        (np.r_[48:96, 0:48], "all channels are shifted by 48: 0–15 are at 48–63"),
        (np.r_[0:32, 63:31:-1, 64:96], "32–63 are reversed"),
        (np.arange(96)[::-1], "all channels are reversed"),
    ],
    ids=["32s", "16s", "halves", "bank reversed", "reversed"],
)
def test_swapped_connectors_are_named(
    days: dict[str, ChannelStatistics], what: str, order: np.ndarray, description: str
) -> None:
    for today, base in (("20161007_02", "20160921_01"), ("20170123_02", "20161007_02")):
        found = find_permutation(in_order(days[today], order), KEPT[what](days[base]), BIN_WIDTH_S)
        assert found.reordered, found
        assert found.description == description
        assert found.gain > 1.0


def test_the_permutation_restores_the_order(days: dict[str, ChannelStatistics]) -> None:
    order = np.roll(np.arange(96), 16)
    today = in_order(days["20161007_02"], order)
    found = find_permutation(today, days["20160921_01"], BIN_WIDTH_S)
    assert found.description == "all channels are shifted by 16: 0–15 are at 16–31"
    np.testing.assert_array_equal(today.mean[found.permutation], days["20161007_02"].mean)
    assert found.similarity < 0.1


def test_every_permutation_is_tried_once_and_moves_channels() -> None:
    for n_channels in (7, 20, 64, 96, 100):
        tried = [tuple(permutation.tolist()) for permutation, _ in candidates(n_channels)]
        assert len(set(tried)) == len(tried) >= 1
        assert tuple(range(n_channels)) not in tried
        assert all(sorted(permutation) == list(range(n_channels)) for permutation in tried)


def test_without_statistics_there_is_no_permutation(days: dict[str, ChannelStatistics]) -> None:
    unknown = np.full(96, np.nan)
    empty = ChannelStatistics(np.ones(96, bool), unknown, unknown, None, None)
    assert find_permutation(days["20161007_02"], empty, BIN_WIDTH_S) is None
