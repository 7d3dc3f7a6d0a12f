"""Times that are not seconds, or too coarse, are named; real recordings of every kind are not."""

from __future__ import annotations

import numpy as np
import pytest

from rtdecode.errors import RtdecodeError
from rtdecode.session.diagnosis.clocks import check_seconds, rounding_s
from rtdecode.session.layout import Behavior, Counts, Events, Session

RNG = np.random.default_rng(0)
SPIKES = np.sort(RNG.uniform(100, 160, 6000))
CHANNEL = RNG.integers(0, 8, 6000).astype("u2")
HAND = np.arange(100, 160, 0.01)


def session(spikes: np.ndarray, hand: np.ndarray | None) -> Session:
    behavior = None
    if hand is not None:
        behavior = Behavior(hand.astype("f8"), np.zeros((len(hand), 1), "f4"), ("x",), ("mm",))
    return Session(8, events=Events(spikes.astype("f8"), CHANNEL[: len(spikes)]), behavior=behavior)


@pytest.mark.parametrize(
    ("spikes", "hand", "where"),
    [
        (SPIKES * 1e3, HAND * 1e3, "events"),
        (SPIKES * 1e3, None, "events"),
        (np.round(SPIKES * 30_000).astype("u8"), HAND, "events"),
        (SPIKES * 1e9, HAND * 1e9, "events"),
        (SPIKES, HAND * 1e3, "behavior"),
        (SPIKES, np.round(HAND * 30_000), "behavior"),
    ],
    ids=["both ms", "ms alone", "uint64 ticks", "ns", "hand in ms", "hand in samples"],
)
def test_other_units_are_named(spikes: np.ndarray, hand: np.ndarray | None, where: str) -> None:
    with pytest.raises(RtdecodeError, match=f"/{where}/time: does not look like seconds"):
        check_seconds(session(spikes, hand))


@pytest.mark.parametrize(
    ("spikes", "hand"),
    [
        (SPIKES, HAND),
        (SPIKES, None),
        (SPIKES[:20] * 1e3, None),
        (SPIKES, np.arange(100, 5000, 0.1)),
        (np.sort(RNG.uniform(0, 30_000, 6000)), np.arange(0, 30_000, 0.1)),
    ],
    ids=["good", "spikes alone", "few spikes", "a long hand", "quiet and long"],
)
def test_seconds_are_taken(spikes: np.ndarray, hand: np.ndarray | None) -> None:
    check_seconds(session(spikes, hand))


def test_counts_give_the_length_too() -> None:
    counts = Counts(np.ones((60, 8), "u1"), 1.0, 100.0)
    behavior = Behavior(HAND * 1e3, np.zeros((len(HAND), 1), "f4"), ("x",), ("mm",))
    with pytest.raises(RtdecodeError, match="/behavior/time: does not look like seconds"):
        check_seconds(Session(8, counts=counts, behavior=behavior))


def test_the_step_of_float32_times() -> None:
    assert rounding_s((HAND + 520_000).astype("f4")) == 0.03125
    assert rounding_s((HAND + 1.7e9).astype("f4")) == 128
    assert rounding_s((HAND + 1.7e9).astype("f4").astype("f8")) == 128
    assert rounding_s(HAND.astype("f4")) < 2e-5
    assert rounding_s(HAND + 520_000) == 0
    assert rounding_s(np.round(HAND * 1000)) == 0
    assert rounding_s(np.arange(5)) == 0
