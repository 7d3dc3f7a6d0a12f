"""What hardly means what it seems to mean is named, and nothing else."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from scripted_inlet import ScriptedInlet, pull

from rtdecode.binning import BinRing
from rtdecode.ingest.signals.counts import CountFeed
from rtdecode.ingest.signals.events import EventFeed, EventRules
from rtdecode.ingest.signals.layouts import Layout
from rtdecode.kernels.sequence import N_SEQUENCE_COUNTERS
from rtdecode.serve.loop.core import LoopCore
from rtdecode.serve.loop.events import CoreSettings
from rtdecode.serve.loop.states import Attaching, Link
from rtdecode.serve.reporting.signal import signal_warnings

CORE = LoopCore(CoreSettings(), BinRing(8, 0.02))
N_CHANNELS = 8


def events(
    time: Any,
    unit: Any = 0,
    pulls: int = 10,
    layout: Layout = Layout.EVENTS,
    drop: frozenset[int] = frozenset(),
) -> str:
    """What is said of events with these stamps and units, in so many pulls."""
    n = len(time)
    columns = 3 if layout is Layout.EVENTS else 4
    inlet = ScriptedInlet(columns, "int32" if columns == 3 else "int16")
    feed = EventFeed(
        cast(Any, inlet),
        BinRing(N_CHANNELS, 0.02),
        rules=EventRules(drop_units=drop),
        counters=np.zeros(N_SEQUENCE_COUNTERS, np.int64),
        layout=layout,
    )
    rows = np.zeros((n, columns))
    rows[:, 0], rows[:, 1], rows[:, 2] = np.arange(n) % N_CHANNELS, unit, np.arange(n)
    for piece in np.array_split(np.arange(n), pulls):
        inlet.send(np.asarray(time)[piece], rows[piece])
        pull(feed)
    return "\n".join(signal_warnings(feed, CORE))


EVERY_20_MS = np.repeat(np.arange(50) * 0.02, 20)


@pytest.mark.parametrize("pulls", [1, 7, 50, 300])
def test_chunks_of_one_stamp_are_named(pulls: int) -> None:
    assert "come in chunks with one stamp for all, every 20 ms" in events(EVERY_20_MS, pulls=pulls)


@pytest.mark.parametrize(
    "time",
    [
        np.arange(1000) * 0.001,
        np.repeat(np.arange(500) * 0.002, 3),  # pushed every 2 ms: a bin does not notice
        np.sort(np.round(np.random.default_rng(1).uniform(0, 1, 5000) * 30_000) / 30_000),
        np.repeat(np.arange(4) * 0.02, 20),  # too few to be known
    ],
)
def test_other_stamps_are_not(time: Any) -> None:
    assert events(time) == ""


def test_snippets_are_known_to_be_stamped_by_their_push() -> None:
    assert events(EVERY_20_MS, layout=Layout.SNIPPETS) == ""


def test_units_of_noise_are_named_unless_they_are_left_out() -> None:
    time, unit = np.arange(1000) * 0.001, np.where(np.arange(1000) % 10 == 0, 255, 1)
    assert "100 of 1,000 (10.0 %) events have unit 255 or more" in events(time, unit)
    assert events(time, unit, drop=frozenset({255})) == ""
    assert events(time, np.where(np.arange(1000) < 5, 255, 0)) == ""


@pytest.mark.parametrize(
    ("count", "said"), [(40, "are 2,000 spikes/s a channel, which look like rates"), (4, "")]
)
def test_whole_numbers_that_are_rates_are_named(count: int, said: str) -> None:
    inlet = ScriptedInlet(N_CHANNELS, "int16", 50.0)
    counters = np.zeros(N_SEQUENCE_COUNTERS, np.int64)
    feed = CountFeed(cast(Any, inlet), BinRing(N_CHANNELS, 0.02), rules=EventRules(), counters=counters)
    assert signal_warnings(feed, CORE) == []
    inlet.send(np.arange(300) / 50.0, np.full((300, N_CHANNELS), count))
    pull(feed)
    text = "\n".join(signal_warnings(feed, CORE))
    assert said in text
    assert bool(said) == bool(text)


@pytest.mark.parametrize(("floor_s", "said"), [(0.083, "takes 83 ms"), (0.02, ""), (float("nan"), "")])
def test_a_slow_delivery_is_named(floor_s: float, said: str) -> None:
    core = LoopCore(CoreSettings(), BinRing(N_CHANNELS, 0.02))
    core.state = Attaching(Link(cast(Any, None), cast(Any, SimpleNamespace(floor_s=floor_s))))
    text = "\n".join(signal_warnings(None, core))
    assert said in text
    assert bool(said) == bool(text)
    assert signal_warnings(None, CORE) == []
