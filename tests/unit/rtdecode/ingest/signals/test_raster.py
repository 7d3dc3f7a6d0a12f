"""Rasters: each 1 is an event at the time of its sample, in any chunks; other signals are no rasters."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from numpy.typing import NDArray
from scripted_inlet import ScriptedInlet, pull

from rtdecode.binning import BinRing
from rtdecode.errors import RtdecodeError
from rtdecode.ingest.signals.channel_map import ChannelMap
from rtdecode.ingest.signals.events import EventRules
from rtdecode.ingest.signals.feed import make_feed
from rtdecode.ingest.signals.layouts import Layout, choose_layout
from rtdecode.ingest.signals.numbering import Numbering
from rtdecode.ingest.signals.raster import RasterFeed, settled_layout
from rtdecode.kernels import sequence
from rtdecode.serve.recording.buffers import RecordBuffers

N_CHANNELS, RATE_HZ, START_S = 6, 2000.0, 100.0


def sent(seed: int, n: int = 3000, jitter_s: float = 0.0) -> tuple[NDArray[np.float64], NDArray[np.int16]]:
    """Stamps and samples, of 100 crossings/s a channel."""
    rng = np.random.default_rng(seed)
    rows = (rng.random((n, N_CHANNELS)) < 0.05).astype(np.int16)
    return START_S + np.arange(n) / RATE_HZ + rng.uniform(-jitter_s, jitter_s, n), rows


class Rig:
    """A raster that is binned and recorded as the loop does it."""

    def __init__(
        self, dtype: str = "int16", rules: EventRules | None = None, rate_hz: float = RATE_HZ
    ) -> None:
        self.inlet = ScriptedInlet(N_CHANNELS, dtype, rate_hz)
        self.counters = np.zeros(sequence.N_SEQUENCE_COUNTERS, np.int64)
        self.ring = BinRing(N_CHANNELS, 0.02, n_bins=8)
        feed = make_feed(
            Layout.RASTER,
            cast(Any, self.inlet),
            self.ring,
            rules=rules or EventRules(),
            counters=self.counters,
        )
        assert isinstance(feed, RasterFeed)
        self.feed, self.buffers = feed, RecordBuffers(N_CHANNELS, 1)
        self.bins: list[list[int]] = []
        self.lost: list[int] = []

    def receive(self, time: Any, rows: Any) -> None:
        """One pull of these samples."""
        self.inlet.send(time, rows)
        n = pull(self.feed)
        if self.feed.binning is None:
            self.feed.anchor(START_S - 0.0001, n)
        at = 0
        while at < n:
            at = self.feed.add(at, n, float(time[-1]))
            self._take()
        self.buffers.add_samples(self.feed, n, float(time[-1]))

    def _take(self) -> None:
        while (closed := self.ring.take()) is not None:
            self.bins.append(closed.counts.tolist())
            self.lost.append(closed.lost)

    @property
    def recorded(self) -> tuple[NDArray[np.float64], NDArray[np.uint16]]:
        """Times and channels in the file."""
        ring = self.buffers.events
        return ring.time[: ring.head], ring.channel[: ring.head]


@pytest.mark.parametrize("dtype", ["int8", "int16", "int32", "int64"])
@pytest.mark.parametrize("jitter_s", [0.0, 0.0001])
def test_each_crossing_is_one_event_whatever_the_chunks(dtype: str, jitter_s: float) -> None:
    time, rows = sent(1, jitter_s=jitter_s)
    found = []
    for size in (3000, 400, 7, 1):
        rig = Rig(dtype)
        for at in range(0, len(rows), size):
            rig.receive(time[at : at + size], rows[at : at + size])
        found.append(rig)
    sample, channel = np.nonzero(rows)
    for rig in found:
        np.testing.assert_array_equal(rig.recorded[0], found[0].recorded[0])
        np.testing.assert_array_equal(rig.recorded[1], channel)
        assert rig.bins == found[0].bins
        assert rig.counters.tolist() == found[0].counters.tolist()
    # The jitter of the stamps is smoothed, and without it the stamps are those of the samples.
    error_s = found[0].recorded[0] - (START_S + sample / RATE_HZ)
    assert np.abs(error_s).max() <= (1.1 * jitter_s or 1e-9)
    counters, quiet = found[0].counters, int((rows.sum(axis=1) == 0).sum())
    assert counters[sequence.QUIET] == quiet
    assert counters[sequence.RECEIVED] == quiet + len(sample)
    assert counters[sequence.LOST] == counters[sequence.NOT_A_COUNT] == 0
    if not jitter_s:
        in_bin = ((sample / RATE_HZ + 0.0001) / 0.02).astype(int)
        expected = np.zeros((75, N_CHANNELS), int)
        np.add.at(expected, (in_bin, channel), 1)
        assert found[0].bins == expected.tolist()[: len(found[0].bins)]
        # The samples themselves close a bin: nothing waits for the next crossing.
        assert len(found[0].bins) == 74


@pytest.mark.parametrize("size", [3000, 7])
def test_lost_samples_are_counted_and_belong_to_the_next_crossing(size: int) -> None:
    time, rows = sent(2)
    kept = np.r_[0:500, 540:3000]
    rig = Rig()
    for at in range(0, len(kept), size):
        rig.receive(time[kept[at : at + size]], rows[kept[at : at + size]])
    assert rig.counters[sequence.LOST] == sum(rig.lost) == 40
    sample, channel = np.nonzero(rows[kept])
    np.testing.assert_array_equal(rig.recorded[1], channel)
    np.testing.assert_allclose(rig.recorded[0], time[kept[sample]], atol=1e-9)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (-37, "values, -37 to 1, look like voltage"),
        (400, "0 to 400|1 to 400"),
        (3, "up to 3, look like counts"),
    ],
)
def test_another_value_in_the_first_second_is_no_raster(value: int, said: str) -> None:
    time, rows = sent(3)
    rows[1900, 2] = value
    rig = Rig()
    for at in range(0, 1900, 100):
        rig.receive(time[at : at + 100], rows[at : at + 100])
    assert rig.feed.unfit == ""
    rig.receive(time[1900:2000], rows[1900:2000])
    assert re.search(said, rig.feed.unfit)
    rig.receive(time[2000:2100], rows[2000:2100])
    assert rig.feed.unfit
    # Never for a crossing on any channel.
    assert len(rig.recorded[0]) == np.count_nonzero(rows[:2100] == 1)


def test_later_one_other_value_is_a_fault_and_many_are_another_signal() -> None:
    time, rows = sent(4, n=6000)
    rows[3000, 2], rows[4000:] = 7, 7
    rig = Rig()
    for at in range(0, 4000, 100):
        rig.receive(time[at : at + 100], rows[at : at + 100])
        assert rig.feed.unfit == ""
    assert rig.counters[sequence.NOT_A_COUNT] == 1
    rig.receive(time[4000:4100], rows[4000:4100])
    assert rig.feed.unfit == "its values are not 0 and 1"


def test_a_rate_that_is_another_than_the_announced_one_is_said() -> None:
    time, rows = sent(5)
    rig = Rig(rate_hz=4000.0)
    rig.receive(time, rows)
    assert "it sends at 2000.0 Hz, not at the 4000 Hz" in rig.feed.unfit


@pytest.mark.parametrize("labels", [(), ("a", "b", "c", "d", "e", "f")])
def test_a_channel_map_names_columns_by_number_or_label(labels: tuple[str, ...]) -> None:
    names = labels or ("0", "1", "2", "3", "4", "5")
    channels = {names[5]: 0, names[0]: 3}
    rig = Rig(rules=EventRules(numbering=Numbering(channel_map=ChannelMap(Path("map"), channels))))
    if labels:
        rig.inlet.stream = replace(rig.inlet.stream, labels=labels)
        rules = EventRules(numbering=Numbering(channel_map=ChannelMap(Path("map"), channels)))
        rig.feed = RasterFeed(cast(Any, rig.inlet), rig.ring, rules=rules, counters=rig.counters)
    time, rows = sent(6)
    rig.receive(time, rows)
    _, column = np.nonzero(rows)
    known = np.isin(column, [0, 5])
    assert rig.recorded[1].tolist() == [3 if c == 0 else 0 for c in column[known]]
    assert rig.counters[sequence.UNMAPPED] == np.count_nonzero(~known)


def test_the_first_samples_tell_a_raster_from_voltage() -> None:
    inlet = ScriptedInlet(4, "int16", 2000.0)
    slow = cast(Any, inlet)
    assert settled_layout(slow, Layout.RASTER, None) is Layout.RASTER  # nothing sent yet
    inlet.send([0.0, 0.1], [[0, 0, 0, 0], [0, 1, 1, 0]])
    assert settled_layout(slow, Layout.RASTER, None) is Layout.RASTER
    inlet.send([0.1], [[-40, 3, 900, 0]])
    with pytest.raises(
        RtdecodeError, match=r"stream M1 .*-40 to 900, look like voltage.*Fix: .*rtdecode detect"
    ):
        settled_layout(slow, Layout.RASTER, None)
    inlet.send([0.2], [[0, 3, 1, 0]])
    with pytest.raises(RtdecodeError, match=r"up to 3, look like counts.*Fix: send counts"):
        settled_layout(slow, Layout.RASTER, None)
    inlet.send([0.3], [[-40, 3, 900, 0]])
    assert settled_layout(slow, Layout.COUNTS, None) is Layout.COUNTS


@pytest.mark.parametrize(
    ("rows", "override", "settled"),
    [
        ([], None, "broadband"),
        ([[0, 0]], None, "broadband"),  # an amplifier that does not record yet
        ([[0, 0], [0, 1]], None, "raster"),
        ([[0, 0], [-1, 1]], None, "broadband"),
        ([[0, 1]], "broadband", "broadband"),
        ([[0, 1]], "raster", "raster"),
    ],
)
def test_fast_integers_are_voltage_unless_they_are_zeros_and_ones(
    rows: list[list[int]], override: str | None, settled: str
) -> None:
    inlet = ScriptedInlet(2, "int16", 30_000.0)
    asked = None if override is None else Layout(override)
    layout = choose_layout(inlet.stream, asked)
    for i, row in enumerate(rows):
        inlet.send([i / 30_000.0], [row])
    assert settled_layout(cast(Any, inlet), layout, asked) == settled


def test_voltage_that_is_asked_for_as_a_raster_is_refused() -> None:
    inlet = ScriptedInlet(2, "int16", 30_000.0)
    inlet.send([0.0], [[-40, 3]])
    with pytest.raises(RtdecodeError, match=r"look like voltage.*Fix: omit --layout raster"):
        settled_layout(cast(Any, inlet), Layout.RASTER, Layout.RASTER)
