"""Values out of range are refused before a stream opens, with their flag."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from rtdecode.errors import RtdecodeError
from rtdecode.ingest.signals.layouts import Layout, StreamDescription, choose_layout
from rtdecode.session.layout import Events, Features, Session
from rtdecode.tools.replay.outlets import source_id
from rtdecode.tools.replay.run import Replay
from rtdecode.tools.replay.settings import ReplaySettings


def make_settings(**changes: Any) -> ReplaySettings:
    return ReplaySettings(**({"streams": ("M1",)} | changes))


@pytest.mark.parametrize(
    "changes",
    [
        {"push_s": 0.0},
        {"push_s": 0.0001},
        {"push_s": 10.0},
        {"period_s": 0.001},
        {"period_s": 1.0},
        {"speed": 1000.0},
        {"speed": 1e-6},
        {"behavior": "M1-hand"},
        {"layout": Layout.COUNTS, "period_s": 0.02, "speed": 20.0},
        {"drop": 1.0},
        {"jitter_s": 10.0},
        {"burst": 100_000},
        {"layout": Layout.COUNTS, "burst": 30_000},
    ],
)
def test_values_within_their_range_are_accepted(changes: dict[str, Any]) -> None:
    settings = make_settings(**changes)
    assert {name: getattr(settings, name) for name in changes} == changes


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"push_s": 0.00009}, r"--push: must be 0, or between 0.1 and 10000 ms, not 0.09\. Fix: give a"),
        ({"push_s": 10.1}, "--push: "),
        ({"push_s": -1.0}, "--push: "),
        ({"push_s": math.nan}, "--push: "),
        ({"period_s": 0.0009}, "--period: must be between 1 and 1000 ms, not 0.9"),
        ({"period_s": 1.01}, "--period: "),
        ({"period_s": 0.0}, "--period: "),
        ({"period_s": math.nan}, "--period: "),
        ({"speed": 0.0}, "--speed: must be above 0 and at most 1000, not 0"),
        ({"speed": -1.0}, "--speed: "),
        ({"speed": 1001.0}, "--speed: "),
        ({"speed": math.nan}, "--speed: "),
        ({"speed": math.inf}, "--speed: "),
        ({"seed": -1}, "--seed: must be 0 or more, not -1"),
        ({"wait_s": -1.0}, "--wait: must be 0 s or more, not -1"),
        ({"wait_s": math.nan}, "--wait: "),
        ({"wait_s": math.inf}, "--wait: "),
        ({"drop": -0.01}, "--drop: must be between 0 and 1, not -0.01"),
        ({"drop": 5.0}, "--drop: "),
        ({"drop": math.nan}, "--drop: "),
        ({"jitter_s": -0.001}, "--jitter: must be between 0 and 10000 ms, not -1"),
        ({"jitter_s": 10.1}, "--jitter: "),
        ({"jitter_s": math.nan}, "--jitter: "),
        ({"burst": 0}, "--burst: must be between 1 and 100000 samples, not 0"),
        ({"burst": 100_001}, "--burst: "),
        (
            {"layout": Layout.COUNTS, "burst": 30_001},
            r"--burst: holds 30.001 s of counts, more than 30 s. Fix: give --burst 30000 or less",
        ),
        ({"layout": Layout.COUNTS, "speed": 2.0}, "--speed: gives counts at 2000 Hz, .* add --period 2"),
        ({"behavior": "M1"}, "--behavior: must differ from --stream, but both are M1"),
        ({"features": "M1"}, r"--features: must differ from --stream, .* give --features M1-features"),
        ({"features": "h", "behavior": "h"}, "--features: must differ from --behavior, but both are h"),
    ],
)
def test_values_outside_are_refused_with_their_flag(changes: dict[str, Any], complaint: str) -> None:
    with pytest.raises(RtdecodeError, match=complaint):
        make_settings(**changes)


@pytest.mark.parametrize(("period_s", "speed"), [(0.001, 1.0), (0.001, 2.0), (0.02, 50.0), (0.005, 4.0)])
def test_accepted_counts_can_be_served(period_s: float, speed: float) -> None:
    try:
        settings = make_settings(layout=Layout.COUNTS, period_s=period_s, speed=speed)
    except RtdecodeError:
        assert speed / period_s > 1000
        return
    stream = StreamDescription("M1", "SpikeCounts", 96, settings.speed / settings.period_s, "int16")
    assert choose_layout(stream) is Layout.COUNTS


def test_a_restarted_replay_is_the_same_source() -> None:
    session = Session(n_channels=2, events=Events(np.zeros(1), np.zeros(1, np.uint16)))
    assert source_id("M1", session) == source_id("M1", session) != source_id("M2", session)
    named = Session(n_channels=2, attrs={"session_id": "day2"})
    assert source_id("M1", named) != source_id("M1", session)


def test_what_a_session_lacks_is_refused() -> None:
    session = Session(n_channels=2, events=Events(np.zeros(1), np.zeros(1, np.uint16)))
    power = Features(np.ones(1), np.ones((1, 1), "f4"), ("a",), ("power",), ("uV",), 0.02)
    alone = Session(n_channels=0, features=power)
    for replayed, changes, complaint in (
        (session, {"behavior": "hand"}, "session: the session has no behaviour"),
        (session, {"loop": True}, r"session: the session has no duration. Fix: leave --loop out"),
        (session, {"features": "P"}, "session: the session has no features. Fix: leave --features out"),
        (Session(n_channels=2), {}, "holds no spikes"),
        (alone, {"features": "P"}, "the session holds features alone, .* leave --features and --layout out"),
        (alone, {"layout": Layout.COUNTS}, "the session holds features alone"),
        (alone, {"burst": 1501}, r"--burst: holds 30.02 s of features, .* give --burst 1500 or less"),
    ):
        with pytest.raises(RtdecodeError, match=complaint):
            Replay(replayed, make_settings(**changes))
