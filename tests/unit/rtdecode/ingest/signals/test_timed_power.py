"""Power of voltage live: that of `rtdecode detect --power`, in the bins of features beside spikes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import numpy as np
import pytest
from numpy.typing import NDArray
from scripted_inlet import ScriptedInlet, pull
from voltage import RATE_HZ, recording

from rtdecode.artifact import FeatureColumn
from rtdecode.binning import BinRing
from rtdecode.detection.detector import Found, SpikeDetector
from rtdecode.detection.live import LiveDetection
from rtdecode.detection.options import DetectionOptions, KnownNoise
from rtdecode.detection.power import ends_of
from rtdecode.detection.settings import DetectionSettings, Measured, PowerSettings
from rtdecode.ingest.signals.broadband import BroadbandFeed
from rtdecode.ingest.signals.channel_map import ChannelMap
from rtdecode.ingest.signals.events import EventRules
from rtdecode.ingest.signals.feed import Feed, make_array_feed, make_feed, reading_of
from rtdecode.ingest.signals.layouts import Layout
from rtdecode.ingest.signals.numbering import Numbering
from rtdecode.ingest.signals.timed.power import power_columns
from rtdecode.kernels import sequence
from rtdecode.kernels.timed_features import bin_timed_features
from rtdecode.serve.recording.buffers import RecordBuffers

N_CHANNELS, START_S, BIN_S, PATH = 4, 100.0, 0.02, cast(Any, "noise.h5")
#: The bins and those of power do not begin together.
ORIGIN_S = START_S + 0.0037
VOLTAGE = np.round(recording(0.8, N_CHANNELS, seed=1)[0]).astype(np.int16)
MEASURED = Measured(np.full(N_CHANNELS, 8.0))
SETTINGS, POWER = DetectionSettings(reference="car"), PowerSettings(bin_width_s=0.005)
#: As a model reads them, in an order of its own.
READ = tuple(power_columns(N_CHANNELS)[c] for c in (2, 0, 3))


def options(power: PowerSettings | None = POWER) -> LiveDetection:
    return LiveDetection(DetectionOptions(noise=KnownNoise(PATH, RATE_HZ, SETTINGS, MEASURED), power=power))


class Binned:
    """What a feed puts into bins, and what is recorded of it."""

    def __init__(self, feed: Feed, ring: BinRing) -> None:
        self.feed, self.ring = feed, ring
        self.buffers = RecordBuffers(N_CHANNELS, 1, n_features=ring.n_features, n_power=N_CHANNELS)
        self.counts: list[list[int]] = []
        self.features: list[NDArray[np.float64]] = []

    def receive(self, time: Any, rows: Any, size: int) -> Binned:
        """Pulls of these samples."""
        inlet = cast(ScriptedInlet, self.feed.inlet)
        for at in range(0, len(rows), size):
            inlet.send(time[at : at + size], rows[at : at + size])
            n = pull(self.feed)
            if self.feed.binning is None:
                self.feed.anchor(ORIGIN_S, n)
            done = 0
            while done < n:
                done = self.feed.add(done, n, float(time[-1]))
                while (closed := self.ring.take()) is not None:
                    self.counts.append(closed.counts.tolist())
                    self.features.append(closed.features.copy())
            self.buffers.add_samples(self.feed, n, float(time[-1]))
        return self

    @property
    def recorded(self) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
        """Ends and values in the file."""
        ring = self.buffers.features
        rows = np.flatnonzero(~np.isnan(ring.end_s[: ring.head]))
        return ring.end_s[rows], ring.values[rows]


def live(features: tuple[FeatureColumn, ...] = READ, channel_map: ChannelMap | None = None) -> Binned:
    ring = BinRing(N_CHANNELS, BIN_S, n_bins=8, n_features=len(features))
    inlet = cast(Any, ScriptedInlet(N_CHANNELS, "int16", RATE_HZ))
    numbering = Numbering(None, 0, channel_map)
    rules = EventRules(features=features, detection=options(), numbering=numbering)
    counters = np.zeros(sequence.N_SEQUENCE_COUNTERS, np.int64)
    return Binned(make_feed(Layout.BROADBAND, inlet, ring, rules=rules, counters=counters), ring)


def beside(end_s: NDArray[np.float64], values: NDArray[np.float32]) -> Binned:
    """A stream of features that has the same samples."""
    inlet = ScriptedInlet(N_CHANNELS, "float32", 1 / POWER.bin_width_s)
    inlet.stream = replace(inlet.stream, labels=tuple(each.name for each in power_columns(N_CHANNELS)))
    ring = BinRing(0, BIN_S, n_bins=8, n_features=len(READ))
    counters = np.zeros(sequence.N_SEQUENCE_COUNTERS, np.int64)
    rules = EventRules(features=READ)
    feed = make_array_feed(Layout.FEATURES, cast(Any, inlet), ring, rules=rules, counters=counters)
    return Binned(feed, ring).receive(end_s, values, 3)


def stamps(n: int) -> NDArray[np.float64]:
    return START_S + np.arange(n) / RATE_HZ


def offline(*pieces: NDArray[Any], lost: int = 0) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
    """Ends and values of the power that `rtdecode detect` writes, `lost` samples between the pieces."""
    detector = SpikeDetector(N_CHANNELS, RATE_HZ, SETTINGS, MEASURED, POWER)
    found: list[Found] = []
    for i, piece in enumerate(pieces):
        detector.skip(lost if i else 0)
        found.append(detector.process(piece))
    bins = [each.power for each in found if each.power is not None]
    ends = [START_S + ends_of(each, POWER, RATE_HZ) / RATE_HZ for each in bins]
    return np.concatenate(ends), np.concatenate([each.values for each in bins])


def test_power_is_that_of_a_file_in_the_bins_of_features_beside_spikes() -> None:
    time, (end_s, values) = stamps(len(VOLTAGE)), offline(VOLTAGE)
    expected = beside(end_s, values)
    compiled = len(cast(Any, bin_timed_features).signatures)
    found = [live().receive(time, VOLTAGE, size) for size in (4000, 100, 31)]
    alone = live(()).receive(time, VOLTAGE, 100)
    begun = end_s - 0.5 * POWER.bin_width_s >= ORIGIN_S
    # As `serve` compiles it before the first bin.
    assert len(cast(Any, bin_timed_features).signatures) == compiled
    for each in found:
        np.testing.assert_allclose(each.recorded[0], end_s[begun], atol=1e-8)
        np.testing.assert_array_equal(each.recorded[1], values[begun][:, [2, 0, 3]])
        n = len(each.features)
        assert n == len(alone.counts) >= 38
        np.testing.assert_array_equal(each.features, expected.features[:n])
        # Crossings wait for the power of their bins, and none is lost.
        assert each.counts == alone.counts
    assert not np.isnan(found[0].features).any()
    assert np.sum(alone.counts) > 40
    # Where nothing reads power, that of all channels is recorded.
    np.testing.assert_array_equal(alone.recorded[1], values[begun])
    assert reading_of(alone.feed).endswith("; mean |x| of 300 to 1000 Hz in 5 ms)")


@pytest.mark.parametrize("size", [4000, 301])
def test_lost_samples_leave_a_gap_in_power(size: int) -> None:
    rows = np.concatenate([VOLTAGE] * 8)
    n, lost, gap = len(rows), 2 * 150 + 37, 7 * len(VOLTAGE) + 11
    kept = np.r_[0:gap, gap + lost : n]
    found = live().receive(stamps(n)[kept], rows[kept], size)
    end_s, values = offline(rows[:gap], rows[gap + lost :], lost=lost)
    begun = end_s - 0.5 * POWER.bin_width_s >= ORIGIN_S
    np.testing.assert_allclose(found.recorded[0], end_s[begun], atol=1e-7)
    np.testing.assert_array_equal(found.recorded[1], values[begun][:, [2, 0, 3]])


def test_crossings_from_before_a_doubt_are_not_binned_behind_it() -> None:
    found, time = live(), stamps(len(VOLTAGE))
    found.receive(time[:9000], VOLTAGE[:9000], 100)
    feed = found.feed
    assert isinstance(feed, BroadbandFeed)
    for at in range(9000, 15000, 100):
        cast(ScriptedInlet, feed.inlet).send(time[at : at + 100], VOLTAGE[at : at + 100])
        n = pull(feed)
    before = feed.binning
    assert before is not None
    while found.ring.open_bin < 24:
        found.ring.open_up_to(found.ring.open_bin + 1)
        while found.ring.take() is not None:
            pass
    feed.resume(before, n)
    found.counts.clear()
    found.features.clear()
    found.receive(time[15000:], VOLTAGE[15000:], 100)
    whole = live().receive(time, VOLTAGE, 100)
    assert found.counts[1:] == whole.counts[25:]
    np.testing.assert_array_equal(found.features[1:], whole.features[25:])


def test_power_follows_the_channel_map() -> None:
    channels = ChannelMap(PATH, {"0": 3, "1": 2, "3": 0})
    found = live((), channels).receive(stamps(6000), VOLTAGE[:6000], 1000).recorded[1]
    values = offline(VOLTAGE[:6000])[1][-len(found) :]
    np.testing.assert_array_equal(found[:, [3, 2, 0]], values[:, [0, 1, 3]])
    assert np.isnan(found[:, 1]).all()
