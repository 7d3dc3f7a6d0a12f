"""What cannot be meant is named by what it looks like; real recordings are not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rtdecode.session.doctor import examine
from rtdecode.session.layout import Behavior, Counts, Events, Session
from rtdecode.session.read import read_session

RNG = np.random.default_rng(0)
SECONDS = 300.0
SPIKES = np.sort(RNG.uniform(100, 100 + SECONDS, 20_000))
CHANNEL = RNG.integers(0, 8, len(SPIKES)).astype("u2")
HAND = np.arange(100, 100 + SECONDS, 0.01)
PLACE = np.stack([np.sin(HAND), np.cos(HAND)], axis=1).astype("f4")
GOOD = Session(8, Events(SPIKES, CHANNEL), behavior=Behavior(HAND, PLACE, ("x", "y"), ("mm", "mm")))


def spikes(time: np.ndarray, unit: np.ndarray | None = None) -> Session:
    order = np.argsort(time, kind="stable")
    events = Events(time[order], CHANNEL[order], None if unit is None else unit[order])
    return replace(GOOD, events=events)


def hand(time: np.ndarray, values: np.ndarray = PLACE) -> Session:
    return replace(GOOD, behavior=Behavior(time, values, ("x", "y"), ("mm", "mm")))


def counts(values: np.ndarray) -> Session:
    return replace(GOOD, events=None, counts=Counts(values.astype("u2"), 0.02, 100.0))


PER_BIN = RNG.poisson(0.2, (int(SECONDS / 0.02), 8))


@pytest.mark.parametrize(
    ("session", "kind", "words"),
    [
        (spikes(SPIKES * 1e3), "time_unit", "spike times look like milliseconds"),
        (spikes(SPIKES * 1e6), "time_unit", "spike times look like microseconds"),
        (spikes(SPIKES * 30_000), "time_unit", "spike times look like samples at 30 kHz"),
        (spikes(SPIKES * 24_414.0625), "time_unit", "spike times look like samples at 24.4 kHz"),
        (hand(HAND * 1e3), "time_unit", "times of the behaviour look like milliseconds"),
        (replace(spikes(SPIKES * 1e3), behavior=None), "time_unit", "look like milliseconds"),
        (
            replace(spikes(SPIKES * 1e3), behavior=Behavior(HAND * 1e3, PLACE, ("x", "y"), ("", ""))),
            "time_unit",
            "look like milliseconds",
        ),
        (hand(HAND + 5000), "clock", "share no time, as if stamped by two clocks"),
        (hand(HAND + 250), "clock", "share only 50.0 s"),
        (
            counts(PER_BIN * 50),
            "rates",
            "every count is a multiple of 50, 1 / bin width",
        ),
        (counts(PER_BIN * 50 + 3), "rates", "spikes/s by its counts in bins of 20 ms: these look like rates"),
        (spikes(SPIKES % 2.0), "trial_time", "look like times since the start of a trial"),
        (
            spikes(SPIKES, (np.arange(len(SPIKES)) % 3).astype("u1")),
            "merged_units",
            "16 sorted units are on 8 channels, and decoders sum the units of a channel",
        ),
        (replace(GOOD, events=Events(SPIKES[::400], CHANNEL[::400])), "firing", "fewer than 0.05"),
        (hand(HAND, PLACE * [0, 1]), "constant", "x is 0 in every sample"),
        (
            hand(HAND, np.where(HAND[:, None] > 335, 0.1, 1) * PLACE),
            "ending",
            "x by 10 %, y by 10 %",
        ),
    ],
)
def test_what_cannot_be_meant_is_named(session: Session, kind: str, words: str) -> None:
    found = examine(session)
    assert kind in [each.kind for each in found]
    assert any(words in each.what.replace("10%", "10 %") for each in found if each.kind == kind), found
    assert all(each.fix for each in found)


def test_one_sentence_names_a_wrong_unit() -> None:
    assert [each.kind for each in examine(spikes(SPIKES * 1e3))] == ["time_unit"]


@pytest.mark.parametrize(
    "session",
    [
        GOOD,
        hand(HAND + 100),
        counts(PER_BIN),
        replace(GOOD, behavior=None),
        replace(GOOD, events=Events(SPIKES[:20], CHANNEL[:20]), behavior=None),
        spikes(SPIKES, (np.arange(len(SPIKES)) % 2 * 255).astype("u1")),
        replace(spikes(SPIKES + 1.7e9), behavior=hand(HAND + 1.7e9).behavior),
    ],
    ids=["good", "late hand", "counts", "no hand", "few", "noise unit", "unix"],
)
def test_what_is_plausible_is_not(session: Session) -> None:
    assert examine(session) == ()


@pytest.mark.sessions
def test_real_recordings_are_plausible(data_dir: Path) -> None:
    paths = sorted(data_dir.glob("indy/*.h5"))[::4]
    assert {path.name: examine(read_session(path)) for path in paths} == {path.name: () for path in paths}
