"""Voltage live: the spikes of `rtdecode detect`, at the times of their samples, in any chunks."""

from __future__ import annotations

import threading
from typing import Any, cast

import numpy as np
import pytest
from numpy.typing import NDArray
from scripted_inlet import ScriptedInlet, pull
from voltage import RATE_HZ, recording

from rtdecode.binning import BinRing
from rtdecode.detection.detector import SpikeDetector
from rtdecode.detection.live import LiveDetection
from rtdecode.detection.options import (
    Band,
    DetectionOptions,
    KnownNoise,
    detection_options,
    read_band,
    read_number,
    read_order,
    read_power_bin,
)
from rtdecode.detection.settings import DetectionSettings, Measured
from rtdecode.errors import RtdecodeError
from rtdecode.ingest.signals.broadband import BroadbandFeed
from rtdecode.ingest.signals.events import EventRules
from rtdecode.ingest.signals.feed import make_feed
from rtdecode.ingest.signals.layouts import Layout
from rtdecode.ingest.signals.timing import RegularTiming
from rtdecode.kernels import sequence
from rtdecode.kernels.broadband import place_samples
from rtdecode.serve.loop.core import LoopCore
from rtdecode.serve.loop.events import CoreSettings
from rtdecode.serve.recording.buffers import RecordBuffers
from rtdecode.serve.reporting.signal import signal_warnings

N_CHANNELS, START_S, PATH = 4, 100.0, cast(Any, "noise.h5")
VOLTAGE = np.round(recording(1.0, N_CHANNELS, seed=1)[0]).astype(np.int16)
MEASURED = Measured(np.full(N_CHANNELS, 8.0))
SETTINGS = DetectionSettings()


def given(measured: Measured = MEASURED, settings: DetectionSettings = SETTINGS) -> LiveDetection:
    """A detection whose noise is known."""
    return LiveDetection(DetectionOptions(noise=KnownNoise(PATH, RATE_HZ, settings, measured)))


class Rig:
    """Voltage that is detected, binned and recorded as the loop does it."""

    def __init__(self, detection: LiveDetection, dtype: str = "int16") -> None:
        self.inlet = ScriptedInlet(N_CHANNELS, dtype, RATE_HZ)
        self.counters = np.zeros(sequence.N_SEQUENCE_COUNTERS, np.int64)
        self.ring = BinRing(N_CHANNELS, 0.02, n_bins=8)
        self.feed = make_feed(
            Layout.BROADBAND,
            cast(Any, self.inlet),
            self.ring,
            rules=EventRules(detection=detection),
            counters=self.counters,
        )
        assert isinstance(self.feed, BroadbandFeed)
        self.buffers = RecordBuffers(N_CHANNELS, 1)
        self.bins: list[list[int]] = []

    def receive(self, time: Any, rows: Any, size: int = 4000) -> Rig:
        """Pulls of these samples."""
        for at in range(0, len(rows), size):
            self.inlet.send(time[at : at + size], rows[at : at + size])
            n = pull(self.feed)
            if self.feed.binning is None:
                self.feed.anchor(START_S - 0.0001, n)
            done, now = 0, float(time[-1])
            while done < n:
                done = self.feed.add(done, n, now)
                while (closed := self.ring.take()) is not None:
                    self.bins.append(closed.counts.tolist())
            self.buffers.add_samples(self.feed, n, now)
        return self

    @property
    def recorded(self) -> tuple[NDArray[np.float64], NDArray[np.uint16]]:
        """Times and channels in the file."""
        ring = self.buffers.events
        return ring.time[: ring.head], ring.channel[: ring.head]


def stamps(n: int, jitter_s: float = 0.0, chunk: int = 30) -> NDArray[np.float64]:
    """Stamps that are taken chunk by chunk, as programs do it."""
    late_s = np.random.default_rng(2).uniform(0.0, jitter_s, -(-n // chunk))
    return START_S + np.arange(n) / RATE_HZ + np.repeat(late_s, chunk)[:n]


@pytest.mark.parametrize("dtype", ["int16", "float32"])
@pytest.mark.parametrize("jitter_s", [0.0, 0.0005])
def test_spikes_are_those_of_a_file_whatever_the_chunks(dtype: str, jitter_s: float) -> None:
    rows, time = VOLTAGE.astype(dtype), stamps(len(VOLTAGE), jitter_s)
    offline = SpikeDetector(N_CHANNELS, RATE_HZ, SETTINGS, MEASURED).process(rows).crossings
    rigs = [Rig(given(), dtype).receive(time, rows, size) for size in (4000, 100, 7)]
    assert len(offline.sample) > 50
    for rig in rigs:
        np.testing.assert_array_equal(rig.recorded[0], rigs[0].recorded[0])
        np.testing.assert_array_equal(rig.recorded[1], offline.channel)
        assert rig.bins == rigs[0].bins
        assert rig.feed.unfit == ""
        assert rig.counters[sequence.LOST] == 0
    error_s = rigs[0].recorded[0] - (START_S + offline.sample / RATE_HZ)
    assert np.abs(error_s).max() <= (jitter_s or 1e-9)
    # What chunks are late by on average remains; its jitter is smoothed away.
    assert np.ptp(error_s[len(error_s) // 2 :]) <= (0.1 * jitter_s or 1e-9)
    in_bin = ((offline.sample / RATE_HZ + 0.0001) / 0.02).astype(int)
    if not jitter_s:
        expected = np.zeros((51, N_CHANNELS), int)
        np.add.at(expected, (in_bin, offline.channel), 1)
        assert rigs[0].bins == expected.tolist()[: len(rigs[0].bins)]
        assert len(rigs[0].bins) == 50
    received = len(rows) + int((np.diff(offline.sample) == 0).sum())
    assert rigs[0].counters[sequence.RECEIVED] == received
    assert rigs[0].counters[sequence.QUIET] == received - len(offline.sample)


@pytest.mark.parametrize("size", [4000, 300])
def test_lost_samples_are_a_new_start_of_the_filters(size: int) -> None:
    rng = np.random.default_rng(3)
    rows = np.concatenate([VOLTAGE] * 8)
    rows = (rows + rng.normal(0, 3, rows.shape)).astype(np.int16)
    n, lost = len(rows), 900
    gap = 7 * len(VOLTAGE)  # by then it is known that the stamps do not jitter
    kept = np.r_[0:gap, gap + lost : n]
    rig = Rig(given()).receive(stamps(n)[kept], rows[kept], size)
    assert rig.counters[sequence.LOST] == lost
    offline = SpikeDetector(N_CHANNELS, RATE_HZ, SETTINGS, MEASURED)
    before = offline.process(rows[:gap]).crossings
    offline.skip(lost)
    after = offline.process(rows[gap + lost :]).crossings
    sample = np.r_[before.sample, after.sample]
    np.testing.assert_array_equal(rig.recorded[1], np.r_[before.channel, after.channel])
    np.testing.assert_allclose(rig.recorded[0], START_S + sample / RATE_HZ, atol=1e-8)


def test_a_late_stamp_is_no_loss_once_the_next_comes() -> None:
    time = stamps(len(VOLTAGE))
    time[15_000:15_030] += 0.006  # of a program that then stamps the chunks that wait
    time[15_030:15_180] = np.maximum(time[15_030:15_180], time[15_000])
    rig = Rig(given()).receive(time, VOLTAGE, 30)
    assert rig.counters[sequence.LOST] == 0
    assert rig.feed.timing.end_s == pytest.approx(time[-1], abs=1e-4)


def test_a_correction_of_the_clock_is_no_loss() -> None:
    time, half = stamps(8 * len(VOLTAGE)), 4 * len(VOLTAGE)
    rows = np.concatenate([VOLTAGE] * 8)
    rig = Rig(given()).receive(time[:half], rows[:half])
    rig.inlet.added_s = 0.0002
    rig.receive(time[half:] + 0.0002, rows[half:])
    assert rig.counters[sequence.LOST] == 0
    assert rig.feed.timing.end_s == pytest.approx(time[-1] + 0.0002, abs=1e-9)


def test_another_rate_than_announced_is_followed() -> None:
    n, rate_hz = 300_000, 0.97 * RATE_HZ
    time, timing = START_S + np.arange(n) / rate_hz, RegularTiming(1 / RATE_HZ)
    counters, end_s, possible = (
        np.zeros(sequence.N_SEQUENCE_COUNTERS, np.int64),
        np.zeros(n),
        np.ones(n, "u1"),
    )
    timing.begun(time, possible, n)
    written = np.zeros(n, np.int64), np.zeros(n, np.uint8), np.zeros(n, np.uint32)
    place_samples(time, n, possible, timing.timing, timing.state, *written, end_s, counters)
    assert counters[sequence.LOST] == 0
    assert np.abs(end_s - time)[n // 2 :].max() < 0.002
    assert timing.end_s == pytest.approx(time[-1], abs=1e-4)
    assert timing.true_period_s == pytest.approx(1 / rate_hz, rel=1e-3)


def wait_until_measured() -> None:
    for thread in threading.enumerate():
        if thread.name == "rtdecode-noise":
            thread.join(10)


#: With the last pull of these samples noise is measured.
START = 9030


@pytest.mark.parametrize("reference", ["none", "lrr"])
def test_noise_is_measured_first_and_nothing_is_lost_meanwhile(reference: str) -> None:
    asked = {"reference": reference, "noise_seconds": 0.3}
    detection = LiveDetection(detection_options(asked))
    detection.prepare(N_CHANNELS, RATE_HZ)
    rig, time = Rig(detection), stamps(len(VOLTAGE))
    assert rig.feed.unfit == "its noise is being measured (0 of 0.3 s)"
    rig.receive(time[:START], VOLTAGE[:START], 30)
    wait_until_measured()
    assert rig.feed.unfit
    assert detection.news()[0].startswith("noise measured in 0.3 s: SD ")
    rig.receive(time[START:], VOLTAGE[START:], 30)
    assert rig.feed.unfit == ""
    offline = SpikeDetector(N_CHANNELS, RATE_HZ, detection.settings).process(VOLTAGE).crossings
    live = offline.sample >= START
    np.testing.assert_array_equal(rig.recorded[1], offline.channel[live])
    np.testing.assert_allclose(rig.recorded[0], START_S + offline.sample[live] / RATE_HZ, atol=1e-8)
    kept = detection.recorded()
    assert kept is not None
    assert (kept.weights is None) == (reference == "none")
    # The next connection of the source decodes at once, by the same noise.
    assert Rig(detection).feed.unfit == ""


def test_noise_is_measured_again_where_no_channel_has_a_signal() -> None:
    detection = LiveDetection(detection_options({"noise_seconds": 0.1}))
    rig, time = Rig(detection), stamps(len(VOLTAGE) + 6000)
    rig.receive(time[:6000], np.zeros((6000, N_CHANNELS), np.int16), 1000)
    wait_until_measured()
    assert "no signal on any channel" in rig.feed.unfit
    assert detection.measured is None
    for at in range(6000, len(time), 1000):
        rig.receive(time[at : at + 1000], VOLTAGE[at - 6000 : at - 5000], 1000)
        wait_until_measured()
    assert detection.measured is not None
    assert rig.feed.unfit == ""


def test_noise_that_a_lost_connection_still_measured_is_that_of_the_next() -> None:
    detection = LiveDetection(detection_options({"noise_seconds": 0.1}))
    first, second, time = Rig(detection), Rig(detection), stamps(len(VOLTAGE))
    first.receive(time[:4000], VOLTAGE[:4000], 1000)
    wait_until_measured()
    measured = detection.measured
    second.receive(time[4000:8000], VOLTAGE[4000:8000], 1000)
    wait_until_measured()
    second.receive(time[8000:], VOLTAGE[8000:], 1000)
    assert detection.measured is measured
    assert len(detection.news()) == 1
    assert second.feed.unfit == ""
    assert len(second.recorded[0]) > 50


def test_channels_without_a_signal_and_unknown_samples_are_warned_of() -> None:
    rows = VOLTAGE.astype(np.float32)
    rows[::50, 1] = np.nan
    rig = Rig(given(Measured(np.array([8.0, 8.0, 0.0, 8.0]))), "float32").receive(stamps(len(rows)), rows)
    dead, unknown = signal_warnings(rig.feed, LoopCore(CoreSettings(), rig.ring))
    assert dead.startswith("no signal, and so no spikes, on channel 2 (1 of 4): ")
    assert unknown.startswith("more than 1 % of the samples of channel 1 are NaN")
    assert set(rig.recorded[1].tolist()) <= {0, 3}


def test_a_source_that_does_not_fit_the_noise_is_refused() -> None:
    with pytest.raises(RtdecodeError, match="measured at 30000 Hz, and the stream has 25000 Hz"):
        given().prepare(N_CHANNELS, 25_000.0)
    with pytest.raises(RtdecodeError, match="stream M1: noise of 4 channels is given, and samples of 8"):
        given().check(Layout.BROADBAND, 8, RATE_HZ, "stream M1")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"threshold": 4.5}, "--threshold: must be negative"),
        ({"band": Band(3000.0, 300.0)}, "--band: must be positive, low below high"),
        ({"power": "mean"}, "--power: must be one of absolute, rms"),
        ({"power": "rms", "power_band": Band(1000.0, 300.0)}, "--power-band: must be positive, low below"),
        ({"power_bin": 5.0}, "--power-bin: is about spike-band power"),
        ({"noise_seconds": 20.0}, "--noise-seconds: must be up to 15 live"),
        (
            {"reference": "car", "noise_from": KnownNoise(PATH, RATE_HZ, SETTINGS, MEASURED)},
            "--noise-from: has settings of its own, and --reference is given too",
        ),
    ],
)
def test_options_that_cannot_be_are_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(RtdecodeError, match=said):
        detection_options(options)


@pytest.mark.parametrize(
    ("read", "text"),
    [
        (read_band, "300"),
        (read_band, "300-3000"),
        (read_number, "many"),
        (read_order, "1.5"),
        (read_power_bin, "0.01"),
    ],
)
def test_texts_that_are_no_values_are_refused(read: Any, text: str) -> None:
    with pytest.raises(ValueError, match=f"must be .*, not {text}$"):
        read(text)


def test_options_are_refused_where_spikes_are_detected_already() -> None:
    detection_options({}).check_for(Layout.EVENTS, "stream M1")
    detection_options({"band": Band(300.0, 3000.0)}).check_for(Layout.BROADBAND, "stream M1")
    for given, option in (({"band": Band(300.0, 3000.0)}, "--band"), ({"power": "rms"}, "--power")):
        with pytest.raises(RtdecodeError, match=f"{option} is about spikes in voltage, and its layout is"):
            detection_options(given).check_for(Layout.EVENTS, "stream M1")
