"""What `replay` is told is refused before a stream opens, with the flag it came from."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from rtdecode.errors import RtdecodeError
from rtdecode.ingest.layouts import Layout, StreamDescription, choose_layout
from rtdecode.session.layout import Events, Session
from rtdecode.tools.replay import Replay, ReplaySettings, source_id


def make_settings(**changes: Any) -> ReplaySettings:
    return ReplaySettings(**({"stream": "M1"} | changes))


def test_a_stream_alone_is_enough() -> None:
    settings = make_settings()
    assert settings.layout is Layout.EVENTS
    assert (settings.push_s, settings.period_s, settings.speed) == (0.001, 0.001, 1.0)
    assert (settings.behavior, settings.loop, settings.seed, settings.wait_s) == (None, False, 0, 0.0)


@pytest.mark.parametrize(
    "changes",
    [
        {"push_s": 0.0001},
        {"push_s": 10.0},
        {"period_s": 0.001},
        {"period_s": 1.0},
        {"speed": 1000.0},
        {"speed": 1e-6},
        {"behavior": "M1-hand"},
        {"layout": Layout.COUNTS, "period_s": 0.02, "speed": 20.0},
    ],
)
def test_values_within_their_range_are_taken(changes: dict[str, Any]) -> None:
    settings = make_settings(**changes)
    assert {name: getattr(settings, name) for name in changes} == changes


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"push_s": 0.00009}, "--push: must lie between 0.1 and 10000 milliseconds"),
        ({"push_s": 10.1}, "--push: "),
        ({"push_s": -1.0}, "--push: "),
        ({"push_s": math.nan}, "--push: "),
        ({"period_s": 0.0009}, "--period: must lie between 1 and 1000 milliseconds"),
        ({"period_s": 1.01}, "--period: "),
        ({"period_s": 0.0}, "--period: "),
        ({"period_s": math.nan}, "--period: "),
        ({"speed": 0.0}, "--speed: must lie above 0 and up to 1000"),
        ({"speed": -1.0}, "--speed: "),
        ({"speed": 1001.0}, "--speed: "),
        ({"speed": math.nan}, "--speed: "),
        ({"speed": math.inf}, "--speed: "),
        ({"behavior": "M1"}, "--behavior: needs another name than the spike stream"),
    ],
)
def test_values_outside_are_refused_with_their_flag(changes: dict[str, Any], complaint: str) -> None:
    with pytest.raises(RtdecodeError, match=complaint):
        make_settings(**changes)


@pytest.mark.parametrize(("period_s", "speed"), [(0.001, 1.0), (0.001, 2.0), (0.02, 50.0), (0.005, 4.0)])
def test_counts_that_are_taken_can_be_served(period_s: float, speed: float) -> None:
    try:
        settings = make_settings(layout=Layout.COUNTS, period_s=period_s, speed=speed)
    except RtdecodeError:
        assert speed / period_s > 1000
        return
    stream = StreamDescription("M1", "SpikeCounts", 96, settings.speed / settings.period_s, "int16")
    assert choose_layout(stream) is Layout.COUNTS


def test_a_replay_that_is_begun_again_is_the_same_source() -> None:
    session = Session(n_channels=2, events=Events(np.zeros(1), np.zeros(1, np.uint16)))
    one, again, other = (make_settings(stream=name) for name in ("M1", "M1", "M2"))
    assert source_id(one, session) == source_id(again, session) != source_id(other, session)
    named = Session(n_channels=2, attrs={"session_id": "day2"})
    assert source_id(one, named) != source_id(one, session)


def test_a_behaviour_stream_needs_behaviour() -> None:
    session = Session(n_channels=2, events=Events(np.zeros(1), np.zeros(1, np.uint16)))
    with pytest.raises(RtdecodeError, match="session: the session holds no behaviour"):
        Replay(session, make_settings(behavior="hand"))
    with pytest.raises(RtdecodeError, match="holds no spikes"):
        Replay(Session(n_channels=2), make_settings())
