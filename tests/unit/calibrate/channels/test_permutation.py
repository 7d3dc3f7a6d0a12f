"""Whether channels are in another order: never on real days, and found where connectors were swapped."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest

from rtdecode.calibrate.channels.permutation import candidates, find_order
from rtdecode.calibrate.channels.statistics import ChannelMemory, Tuning, correlations, tuning_of
from rtdecode.session.bins import behavior_at, bin_session
from rtdecode.session.read import read_session

BIN_WIDTH_S = 0.064
DAYS = ("20160411_01", "20160921_01", "20161007_02", "20161013_03", "20161206_02", "20170123_02")


@pytest.fixture(scope="module")
def days(data_dir: Path) -> dict[str, ChannelMemory]:
    """Real days over nine months; on 20161013 the array resembles no other day's."""
    made = {}
    for day in DAYS:
        session = read_session(data_dir / "indy" / f"indy_{day}.h5")
        binned = bin_session(session, BIN_WIDTH_S, 0)
        counts = np.minimum(binned.counts[:4700], 64)
        assert session.behavior is not None
        targets = behavior_at(session.behavior, binned.t_bin)[:4700]
        mean = counts.mean(axis=0)
        made[day] = ChannelMemory(
            used=mean > 0.05 * BIN_WIDTH_S,
            mean=mean,
            sd=counts.std(axis=0),
            together=correlations(counts, BIN_WIDTH_S, 64),
            tuning=tuning_of(counts, targets, BIN_WIDTH_S, 64),
        )
    return made


def in_order(memory: ChannelMemory, order: np.ndarray) -> ChannelMemory:
    assert memory.together is not None
    assert memory.tuning is not None
    return ChannelMemory(
        memory.used[order],
        memory.mean[order],
        memory.sd[order],
        memory.together[np.ix_(order, order)],
        Tuning(memory.tuning.slope[order], memory.tuning.r2[order]),
    )


KEPT = {
    "everything": lambda memory: memory,
    "no labels": lambda memory: replace(memory, tuning=None),
    "rates": lambda memory: replace(memory, tuning=None, together=None),
}


@pytest.mark.parametrize("what", KEPT)
def test_no_real_day_looks_reordered_to_another(days: dict[str, ChannelMemory], what: str) -> None:
    for one, other in permutations(days, 2):
        order = find_order(KEPT["no labels" if what == "no labels" else "everything"](days[one]),
                           KEPT[what](days[other]), BIN_WIDTH_S)  # fmt: skip
        assert order is not None
        assert not order.reordered, (one, other, order)


@pytest.mark.parametrize("what", ["everything", "no labels"])
@pytest.mark.parametrize(
    ("order", "words"),
    [
        (np.r_[32:64, 0:32, 64:96], "0–31 and 32–63 have changed places"),
        (np.r_[0:64, 80:96, 64:80], "64–79 and 80–95 have changed places"),
        (np.r_[48:96, 0:48], "all channels have moved on by 48: 0–15 stand at 48–63"),
        (np.r_[0:32, 63:31:-1, 64:96], "32–63 stand in reverse"),
        (np.arange(96)[::-1], "all channels stand in reverse"),
    ],
    ids=["32s", "16s", "halves", "bank turned", "turned"],
)
def test_swapped_connectors_are_named(
    days: dict[str, ChannelMemory], what: str, order: np.ndarray, words: str
) -> None:
    for today, base in (("20161007_02", "20160921_01"), ("20170123_02", "20161007_02")):
        found = find_order(in_order(days[today], order), KEPT[what](days[base]), BIN_WIDTH_S)
        assert found is not None
        assert found.reordered, found
        assert found.words == words
        assert found.gain > 1.0


def test_places_undo_what_happened(days: dict[str, ChannelMemory]) -> None:
    order = np.roll(np.arange(96), 16)
    today = in_order(days["20161007_02"], order)
    found = find_order(today, days["20160921_01"], BIN_WIDTH_S)
    assert found is not None
    assert found.words == "all channels have moved on by 16: 0–15 stand at 16–31"
    np.testing.assert_array_equal(today.mean[found.places], days["20161007_02"].mean)
    assert found.in_place < 0.1


def test_every_order_is_tried_once_and_moves_something() -> None:
    for n_channels in (7, 20, 64, 96, 100):
        tried = [tuple(places.tolist()) for places, _ in candidates(n_channels)]
        assert len(set(tried)) == len(tried) >= 1
        assert tuple(range(n_channels)) not in tried
        assert all(sorted(places) == list(range(n_channels)) for places in tried)


def test_without_anything_known_nothing_is_said(days: dict[str, ChannelMemory]) -> None:
    unknown = np.full(96, np.nan)
    empty = ChannelMemory(np.ones(96, bool), unknown, unknown, None, None)
    assert find_order(days["20161007_02"], empty, BIN_WIDTH_S) is None
