"""Losses become warnings, with percentages of what they say."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from scripted_inlet import ScriptedInlet, pull

from rtdecode.binning import BinRing
from rtdecode.ingest.signals.counts import CountFeed
from rtdecode.ingest.signals.events import EventFeed, EventRules
from rtdecode.ingest.signals.raster import RasterFeed
from rtdecode.kernels.sequence import N_SEQUENCE_COUNTERS, RECEIVED
from rtdecode.serve.loop.core import LoopCore
from rtdecode.serve.loop.events import CoreSettings
from rtdecode.serve.reporting.losses import (
    BY_SEQUENCE,
    decoded_line,
    effective_rate_hz,
    loss_warnings,
    of_source,
    stream_counters,
)
from rtdecode.serve.reporting.streams import ending_lines

CLEAN = dict.fromkeys(
    stream_counters(np.zeros(N_SEQUENCE_COUNTERS, np.int64), LoopCore(CoreSettings(), BinRing(8, 0.02))), 0
)


def warned(spikes: int = 10_000, feed: Any = None, **counted: int) -> str:
    return "\n".join(loss_warnings({**CLEAN, "received": 10_000, **counted}, spikes, feed))


def events_feed(channels: list[int]) -> EventFeed:
    inlet, n = ScriptedInlet(3, "int32", 0.0), len(channels)
    counters = np.zeros(N_SEQUENCE_COUNTERS, np.int64)
    feed = EventFeed(cast(Any, inlet), BinRing(8, 0.02), rules=EventRules(), counters=counters)
    inlet.send(np.arange(n) * 0.01, np.column_stack((channels, np.zeros(n), np.arange(n))))
    pull(feed)
    return feed


def test_a_stream_without_losses_has_no_warning() -> None:
    assert len(BY_SEQUENCE) == N_SEQUENCE_COUNTERS
    assert warned() == ""
    assert warned(lost=90, duplicates=90, out_of_range=90, future=90, late_carried=90, not_a_count=5) == ""


@pytest.mark.parametrize(
    ("counted", "said"),
    [
        ({"late_carried": 400, "late_dropped": 100}, "500 of 10,100 (5.0 %) spikes arrive after their bin"),
        ({"late_carried": 65_000}, "10,000 of 10,000 (100.0 %) spikes"),
        ({"lost": 2500}, "2,500 of 12,500 (20.0 %) samples were lost before they arrived"),
        ({"duplicates": 1400, "lost": 30_000}, "1,400 of 10,000 (14.0 %) events are left out as repeated"),
        ({"renumbered": 600, "lost": 0}, "it must count the events 0, 1, 2"),
        ({"out_of_range": 300}, "300 of 10,000 (3.0 %) events are left out"),
        ({"not_a_count": 300}, "300 values are no counts: send counts"),
        ({"future": 1700}, "1,700 of 10,000 (17.0 %) samples are stamped ahead of now, or with NaN"),
        ({"discarded": 1700}, "1,700 of 10,000 (17.0 %) samples are left out"),
    ],
)
def test_a_loss_is_said_with_its_number_and_part(counted: dict[str, int], said: str) -> None:
    text = warned(**counted)
    assert said in text
    assert len(text.splitlines()) == 1


def test_a_warning_names_the_stream_and_its_source() -> None:
    feed = events_feed([0])
    feed.inlet.stream = replace(feed.inlet.stream, source_id="rig-a", hostname="lab")
    assert of_source(["5 lost"], feed) == ["stream M1, source rig-a on lab: 5 lost"]
    assert of_source(["5 lost"], None) == ["5 lost"]


def test_spikes_and_features_are_counted_apart() -> None:
    def pump(n_channels: int, n: int) -> Any:
        counters = np.zeros(N_SEQUENCE_COUNTERS, np.int64)
        counters[RECEIVED] = n
        ring = SimpleNamespace(time_counters=np.full(6, n), n_channels=n_channels, broken_off=0)
        core = SimpleNamespace(ring=ring, left_out=np.zeros(3, np.int64), discarded=0)
        return SimpleNamespace(counters=counters, core=core)

    spikes, features = ending_lines([pump(96, 10), pump(64, 20), pump(0, 5)])
    assert spikes.startswith("spikes: 30 received, 30 binned")
    assert features.startswith("features: 5 received, 5 binned")
    (alone,) = ending_lines([pump(0, 5)])
    assert alone.startswith("features: 5 received")


def test_channels_from_1_are_recognised() -> None:
    text = warned(out_of_range=1000, feed=events_feed([1, 2, 3, 8, 8]))
    assert (
        "channel 0 never occurs, but channel 8 does: does your rig count channels from 1? Send 0 to 7" in text
    )
    assert "are not among 0 to 7" in warned(out_of_range=1000, feed=events_feed([0, 8, 9]))
    assert "are not among 0 to 7" in warned(out_of_range=1000, feed=events_feed([1, 9, 200]))


@pytest.mark.parametrize(
    ("rate_hz", "said"), [(48.0, "48.00 Hz, not at the 50 Hz"), (49.9, "49.90 Hz"), (49.99, "")]
)
def test_a_rate_that_is_not_the_announced_one_is_said(rate_hz: float, said: str) -> None:
    inlet = ScriptedInlet(8, "int32", 50.0)
    counters = np.zeros(N_SEQUENCE_COUNTERS, np.int64)
    feed = CountFeed(cast(Any, inlet), BinRing(8, 0.02), rules=EventRules(), counters=counters)
    assert effective_rate_hz(feed) is None
    for at in range(0, 500, 50):
        inlet.send(np.arange(at, at + 50) / rate_hz, np.ones((50, 8)))
        pull(feed)
    assert effective_rate_hz(feed) == pytest.approx(rate_hz, rel=1e-4)
    assert said in warned(feed=feed)
    assert bool(said) == bool(warned(feed=feed))
    assert effective_rate_hz(events_feed([0])) is None


def test_samples_that_the_judge_left_out_are_counted_with_the_others() -> None:
    ring = SimpleNamespace(time_counters=np.array([1, 2, 3, 4, 5, 6]))
    core = SimpleNamespace(ring=ring, left_out=np.array([10, 20, 30]), discarded=40)
    totals = stream_counters(np.arange(N_SEQUENCE_COUNTERS), cast(Any, core))
    kinds = ("late_carried", "late_dropped", "future", "discarded", "binned", "late_samples")
    assert [totals[kind] for kind in kinds] == [1, 22, 43, 44, 5, 26]


def test_the_end_says_what_became_of_the_samples() -> None:
    totals = CLEAN | {"received": 1000, "binned": 960, "discarded": 30, "late_samples": 10, "broken_off": 4}
    assert decoded_line(totals) == (
        "1,000 received, 960 binned; left out: 10 too late for their bin, 30 before the first bin, or while "
        "their clock was judged; 4 spikes were in bins that an outage broke off"
    )


def test_channels_from_1_are_recognised_on_an_array_of_any_size() -> None:
    # One of many channels is out of range: fewer events than would be a warning otherwise.
    feed = events_feed([1, 2, 3, 4] * 1000 + [8] * 30)
    assert "add --first-channel 1" in warned(out_of_range=30, feed=feed)
    assert warned(out_of_range=10, feed=events_feed([1] * 1000 + [8] * 10)) == ""
    assert warned(out_of_range=30, feed=events_feed([0] * 1000 + [8] * 30)) == ""


@pytest.mark.parametrize(
    ("counted", "said"),
    [
        (
            {"not_whole": 700},
            "700 of 10,000 (7.0 %) events are left out: their channel, unit or running number",
        ),
        ({"unmapped": 7000}, "7,000 of 10,000 (70.0 %) events are of channels that the channel map does not"),
        ({"unmapped": 3000, "quiet": 9000}, ""),
    ],
)
def test_what_options_leave_out_is_said_where_it_is_much(counted: dict[str, int], said: str) -> None:
    assert said in warned(**counted)
    assert bool(said) == bool(warned(**counted))


def test_a_raster_has_crossings_and_no_counts() -> None:
    inlet, counters = ScriptedInlet(8, "int16", 2000.0), np.zeros(N_SEQUENCE_COUNTERS, np.int64)
    feed = RasterFeed(cast(Any, inlet), BinRing(8, 0.02), rules=EventRules(), counters=counters)
    assert "30 values of the raster are neither 0 nor 1" in warned(not_a_count=30, feed=feed)
    for at in range(0, 3000, 100):
        inlet.send(np.arange(at, at + 100) / 1900.0, np.zeros((100, 8)))
        pull(feed)
    text = warned(feed=feed)
    assert "1900.00 Hz, not at the 2000 Hz that it announces: the times of events follow" in text
