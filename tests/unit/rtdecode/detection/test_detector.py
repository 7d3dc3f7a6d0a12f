"""Spikes do not depend on the chunks; simulated spikes are detected, noise is not."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.signal import butter, sosfilt
from voltage import RATE_HZ, SPIKE, mains, noise, recording, score, with_spikes

from rtdecode.detection.detector import Found, SpikeDetector
from rtdecode.detection.measure import noise_sd
from rtdecode.detection.power import PowerBins, join_bins
from rtdecode.detection.settings import (
    DEFAULT,
    DetectionSettings,
    Measured,
    Polarity,
    PowerSettings,
    Reference,
)
from rtdecode.detection.spikes import Crossings, concatenated
from rtdecode.errors import RtdecodeError

#: One period of 300 Hz, for which a filter settles.
SETTLE = 100


def joined(parts: list[Found], n_channels: int) -> Found:
    bins = join_bins([part.power for part in parts if part.power is not None], n_channels)
    return Found(concatenated([part.crossings for part in parts]), bins)


def crossings_of(samples: NDArray[np.generic], how: DetectionSettings = DEFAULT) -> Crossings:
    detector = SpikeDetector(samples.shape[1], RATE_HZ, how)
    return joined([detector.process(samples), detector.finish()], samples.shape[1]).crossings


def assert_same_power(found: PowerBins | None, expected: PowerBins | None) -> None:
    assert found is not None
    assert expected is not None
    np.testing.assert_array_equal(found.bin, expected.bin)
    np.testing.assert_array_equal(found.values, expected.values)


def pairs(crossings: Crossings) -> list[tuple[int, int]]:
    return list(zip(crossings.sample.tolist(), crossings.channel.tolist(), strict=True))


SHORT = {
    "int16": np.round(recording(0.12, 3, 1, 60.0)[0]).astype(np.int16),
    "float32": recording(0.12, 3, 2, 60.0)[0].astype(np.float32),
}
SHORT["unknown"] = SHORT["float32"].copy()
SHORT["unknown"][np.random.default_rng(0).random(SHORT["unknown"].shape) < 0.003] = np.nan
SHORT["unknown"][1500:1540] = np.inf


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from(sorted(SHORT)),
    st.lists(st.one_of(st.integers(0, 3), st.integers(0, 1500)), max_size=25),
    st.sampled_from(["none", "car", "median", "lrr"]),
    st.sampled_from(["negative", "both"]),
    st.sampled_from(["absolute", "rms"]),
    # 210 samples and more, also than there are: the start ends anywhere in a chunk, or never.
    st.floats(0.007, 0.2),
    st.sampled_from([0.001, 0.00733, 0.05]),
)
def test_any_chunks_give_the_same_spikes_and_power(
    dtype: str, lengths: list[int], reference: str, polarity: str, measure: str, noise_s: float, bin_s: float
) -> None:
    samples = SHORT[dtype]
    how = DetectionSettings(
        reference=reference,  # type: ignore[arg-type]
        polarity=polarity,  # type: ignore[arg-type]
        noise_s=max(noise_s, 0.02) if reference == "lrr" else noise_s,
        threshold_sd=-3.0,
    )
    power = PowerSettings(measure=measure, bin_width_s=bin_s)  # type: ignore[arg-type]
    whole = SpikeDetector(3, RATE_HZ, how, power=power)
    expected = joined([whole.process(samples), whole.finish()], 3)
    cut = SpikeDetector(3, RATE_HZ, how, power=power)
    edges = [0, *(min(edge, len(samples)) for edge in itertools.accumulate(lengths)), len(samples)]
    parts = [cut.process(samples[begin:end]) for begin, end in itertools.pairwise(edges)]
    found = joined([*parts, cut.finish()], 3)
    assert pairs(found.crossings) == pairs(expected.crossings)
    assert_same_power(found.power, expected.power)
    assert cut.measured is not None
    assert whole.measured is not None
    np.testing.assert_array_equal(cut.measured.noise, whole.measured.noise)
    if reference == "lrr":
        assert whole.measured.weights is not None
        np.testing.assert_array_equal(cut.measured.weights, whole.measured.weights)
    # With what was measured the result is the same, each spike in the chunk that contains it.
    frozen = SpikeDetector(3, RATE_HZ, how, whole.measured, power)
    parts = [frozen.process(samples[begin:end]) for begin, end in itertools.pairwise(edges)]
    assert_same_power(joined(parts, 3).power, expected.power)
    for now, (begin, end) in zip(parts, itertools.pairwise(edges), strict=True):
        sample, channel = expected.crossings.sample, expected.crossings.channel
        inside = (sample >= begin) & (sample < end)
        assert pairs(now.crossings) == pairs(Crossings(sample[inside], channel[inside]))


def test_chunks_of_one_sample_give_the_same_spikes() -> None:
    samples = SHORT["int16"]
    how = DetectionSettings(noise_s=0.05, threshold_sd=-3.5)
    expected = crossings_of(samples, how)
    assert expected.sample.size > 10
    detector = SpikeDetector(3, RATE_HZ, how)
    parts = [detector.process(samples[i : i + 1]) for i in range(len(samples))]
    assert pairs(joined([*parts, detector.finish()], 3).crossings) == pairs(expected)


def scipys(
    samples: NDArray[np.floating[Any]], how: DetectionSettings, sd: NDArray[np.float64]
) -> list[tuple[int, int]]:
    """What the whole recording holds by scipy.signal.sosfilt and a plain search."""
    sections = butter(how.order, (how.low_hz, how.high_hz), "bandpass", fs=RATE_HZ, output="sos")
    x = sosfilt(sections, samples - samples[0], axis=0).astype(np.float32)
    if how.reference != "none":
        x -= {"car": np.mean, "median": np.median}[how.reference](x, axis=1, keepdims=True)
    limit = (how.threshold_sd * sd).astype(np.float32)
    beyond = (np.abs(x) > -limit) if how.polarity == "both" else (x < limit)
    expected = []
    for c in range(samples.shape[1]):
        last = -(10**9)
        for i in np.flatnonzero(beyond[1:, c] & ~beyond[:-1, c]) + 1:
            if i > RATE_HZ / how.low_hz and i - last >= round(how.refractory_s * RATE_HZ):
                expected.append((int(i), c))
                last = i
    return sorted(expected)


@pytest.mark.parametrize("reference", ["none", "car", "median"])
@pytest.mark.parametrize("polarity", ["negative", "both"])
def test_detection_is_scipys_filter_and_a_plain_search(reference: Reference, polarity: Polarity) -> None:
    samples, _ = recording(1.0, 4, 5)
    how = DetectionSettings(reference=reference, polarity=polarity, noise_s=0.4)
    detector = SpikeDetector(4, RATE_HZ, how)
    found = detector.process(samples).crossings
    assert detector.measured is not None
    sections = butter(how.order, (how.low_hz, how.high_hz), "bandpass", fs=RATE_HZ, output="sos")
    x = sosfilt(sections, samples - samples[0], axis=0)[SETTLE:12_000]
    if reference != "none":
        x -= {"car": np.mean, "median": np.median}[reference](x, axis=1, keepdims=True)
    # Measured in one sample of five.
    np.testing.assert_allclose(detector.measured.noise, np.median(np.abs(x), axis=0) / 0.6745, rtol=0.05)
    expected = scipys(samples, how, detector.measured.noise)
    assert len(expected) > 40
    assert pairs(found) == expected


@pytest.mark.parametrize(("snr", "least"), [(3.0, 0.90), (4.0, 0.98), (6.0, 0.995)])
def test_spikes_in_coloured_noise_are_found(snr: float, least: float) -> None:
    samples, troughs = with_spikes(noise(10.0, 6, 1), snr, 2)
    how = DetectionSettings(low_hz=150.0, high_hz=2000.0, threshold_sd=-3.8)
    detector = SpikeDetector(6, RATE_HZ, how)
    crossings = detector.process(samples).crossings
    found = score(crossings, troughs)
    assert found.n_true > 1000
    assert found.n_found >= least * found.n_true
    assert found.n_false <= 1.0 * 6 * 10
    assert detector.measured is not None
    assert pairs(crossings) == scipys(samples, how, detector.measured.noise)


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int16])
def test_simulated_spikes_are_detected_and_noise_is_not(dtype: type) -> None:
    samples, troughs = recording(8.0, 6, 7)
    found = score(crossings_of(samples.astype(dtype)), troughs)
    assert found.n_true > 600
    assert found.n_found >= 0.98 * found.n_true
    # Some large spikes have a second trough after the filter; elsewhere hardly anything is detected.
    assert found.n_again <= 0.5 * found.n_true
    assert found.n_false <= 0.1 * 6 * 8


def test_mains_that_start_later_are_no_spikes() -> None:
    samples, troughs = recording(8.0, 6, 8, spike_uv=50.0)
    samples += mains(len(samples), 120_000, 100.0)
    found = score(crossings_of(samples, DetectionSettings(noise_s=4.0)), troughs, 120_000)
    assert found.n_true > 300
    assert found.n_found >= 0.98 * found.n_true
    assert found.n_false <= 0.3 * 6 * 4


def test_noise_alone_hardly_ever_crosses() -> None:
    samples = 10.0 * np.random.default_rng(21).normal(size=(240_000, 6))
    # 4.5 SD of Gaussian noise in this band is crossed two times in 30 s.
    assert 0 < crossings_of(samples).sample.size <= 0.2 * 6 * 8


def test_the_noise_estimate_is_not_moved_by_spikes() -> None:
    x = np.random.default_rng(0).normal(size=(60_000, 3)) * [1.0, 5.0, 0.0]
    clean = noise_sd(x)
    np.testing.assert_allclose(clean, [1.0, 5.0, 0.0], rtol=0.02)
    x[:3000] -= 80.0
    np.testing.assert_allclose(noise_sd(x), clean, rtol=0.1)


def test_both_polarities_detect_peaks() -> None:
    samples, troughs = recording(2.0, 1, 9)
    cases: list[tuple[Polarity, float, bool]] = [
        ("negative", 1.0, True), ("negative", -1.0, False), ("both", 1.0, True), ("both", -1.0, True)
    ]  # fmt: skip
    for polarity, sign, found in cases:
        crossings = crossings_of(sign * samples, DetectionSettings(polarity=polarity))
        # A spike is followed by an extremum of the other sign, but later.
        distance = np.abs(crossings.sample[:, np.newaxis] - troughs[0][np.newaxis]).min(axis=0)
        part = (distance <= 4).mean()
        assert part > 0.95 if found else part < 0.05


def test_a_channel_has_no_two_spikes_within_the_refractory_period() -> None:
    rng = np.random.default_rng(11)
    samples = rng.normal(size=(30_000, 2))
    crossings = crossings_of(samples, DetectionSettings(threshold_sd=-1.0, refractory_s=0.001))
    for c in range(2):
        apart = np.diff(crossings.sample[crossings.channel == c])
        assert apart.size > 300
        assert apart.min() == 30


@pytest.mark.parametrize("reference", ["car", "median", "lrr"])
def test_a_common_artefact_is_removed_and_dead_channels_stay_zero(reference: str) -> None:
    samples = 10.0 * np.random.default_rng(1).normal(size=(45_000, 24))
    for begin in range(1000, len(samples) - 100, 2000):
        samples[begin : begin + len(SPIKE)] += 120.0 * SPIKE[:, np.newaxis]
    samples[:, 3], samples[:, 7] = 512.0, -1.0
    how = DetectionSettings(reference=reference)  # type: ignore[arg-type]
    plain, referenced = crossings_of(samples), crossings_of(samples, how)
    assert plain.sample.size > 22 * 20
    assert referenced.sample.size < 0.1 * plain.sample.size
    for crossings in (plain, referenced):
        assert not np.isin(crossings.channel, [3, 7]).any()


def test_memory_layout_does_not_matter() -> None:
    samples = SHORT["int16"]
    expected = pairs(crossings_of(samples))
    assert pairs(crossings_of(np.asfortranarray(samples))) == expected
    assert pairs(crossings_of(samples.repeat(2, axis=1)[:, ::2])) == expected
    assert pairs(crossings_of(samples.astype(">i4"))) == expected
    samples.flags.writeable = False
    assert pairs(crossings_of(samples)) == expected
    samples.flags.writeable = True


def test_impossible_arguments_are_refused() -> None:
    with pytest.raises(RtdecodeError, match="rate of 6000 Hz cannot hold a band up to 3000 Hz") as caught:
        SpikeDetector(4, 6000.0)
    assert "above 6000 Hz" in str(caught.value)
    for rate_hz in (np.nan, np.inf, 0.0, -30_000.0):
        with pytest.raises(RtdecodeError, match="cannot hold a band"):
            SpikeDetector(4, rate_hz)
    for n_channels in (0, -1, 65_536):
        with pytest.raises(RtdecodeError, match="channels"):
            SpikeDetector(n_channels, RATE_HZ)
    for sd in (np.array([1.0, np.nan, 1.0, 1.0]), -np.ones(4)):
        with pytest.raises(RtdecodeError, match="noise must have"):
            Measured(sd)
    with pytest.raises(RtdecodeError, match=r"weights must .*float32 \[3, 4\]"):
        Measured(np.ones(4), np.ones((3, 4), np.float32))
    with pytest.raises(RtdecodeError, match="noise of 3 channels is given"):
        SpikeDetector(4, RATE_HZ, measured=Measured(np.ones(3)))
    with pytest.raises(RtdecodeError, match="needs weights"):
        SpikeDetector(4, RATE_HZ, DetectionSettings(reference="lrr"), Measured(np.ones(4)))
    with pytest.raises(RtdecodeError, match="cannot hold a band up to 20000 Hz"):
        SpikeDetector(4, RATE_HZ, power=PowerSettings(high_hz=20_000.0))
    with pytest.raises(RtdecodeError, match="too few for the regression of 4 channels"):
        crossings_of(np.ones((90, 4)), DetectionSettings(reference="lrr"))
    with pytest.raises(RtdecodeError, match="cannot be lost"):
        SpikeDetector(4, RATE_HZ).skip(-1)


@pytest.mark.parametrize(
    ("samples", "what"),
    [
        (np.zeros((10, 3)), r"shape \[10, 3\]"),
        (np.zeros(4), r"shape \[4\]"),
        (np.zeros((10, 4), np.bool_), "samples are bool"),
        (np.zeros((10, 4), np.complex128), "samples are complex128"),
    ],
)
def test_wrong_samples_are_refused(samples: NDArray[np.generic], what: str) -> None:
    with pytest.raises(RtdecodeError, match=what):
        SpikeDetector(4, RATE_HZ).process(samples)


@pytest.mark.parametrize("reference", ["none", "car", "lrr"])
def test_lost_samples_are_a_new_start_with_the_same_noise(reference: Reference) -> None:
    samples = SHORT["float32"]
    how = DetectionSettings(reference=reference, noise_s=0.05, threshold_sd=-3.0)
    power = PowerSettings(bin_width_s=0.01)
    one = SpikeDetector(3, RATE_HZ, how, power=power)
    first = one.process(samples[:2000])
    one.skip(1000)
    rest = one.process(samples[2000:])
    assert one.measured is not None
    fresh = SpikeDetector(3, RATE_HZ, how, one.measured, power)
    again = fresh.process(samples[2000:]).crossings
    assert again.sample.size > 5
    assert pairs(rest.crossings) == [(sample + 3000, channel) for sample, channel in pairs(again)]
    assert rest.crossings.sample.min() > 3000 + SETTLE
    # Samples 2000 to 2999 are lost: of bin 6 and 9 a part, of 7 and 8 everything.
    assert first.power is not None
    assert rest.power is not None
    assert [*first.power.bin, *rest.power.bin] == [0, 1, 2, 3, 4, 5, 6, *range(10, 15)]
    assert np.isfinite(rest.power.values[1:]).all()
    # Lost while noise is measured, it is the same.
    late = SpikeDetector(3, RATE_HZ, DetectionSettings(reference=reference, noise_s=60.0))
    late.process(samples[:2000])
    late.skip(1000)
    late.process(samples[2000:])
    found = late.finish().crossings
    assert not ((found.sample >= 2000) & (found.sample <= 3000 + SETTLE)).any()
    assert found.sample.max() > 3100


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e31, "limit"])
def test_unknown_samples_of_a_channel_are_no_spikes(bad: float | str) -> None:
    samples = SHORT["int16" if bad == "limit" else "float32"]
    broken = samples.copy()
    broken[2000:2010, 1] = np.iinfo(np.int16).min if bad == "limit" else bad
    how = DetectionSettings(threshold_sd=-3.0)
    start = SpikeDetector(3, RATE_HZ, how)
    start.process(samples)
    start.finish()
    detector = SpikeDetector(3, RATE_HZ, how, start.measured)
    plain = SpikeDetector(3, RATE_HZ, how, start.measured)
    found = [detector.process(broken[begin : begin + 70]) for begin in range(0, len(broken), 70)]
    crossings, expected = joined(found, 3).crossings, plain.process(samples).crossings
    for c in (0, 2):
        np.testing.assert_array_equal(
            crossings.sample[crossings.channel == c], expected.sample[expected.channel == c]
        )
    on_1, expected_1 = crossings.sample[crossings.channel == 1], expected.sample[expected.channel == 1]
    assert not ((on_1 >= 2000) & (on_1 <= 2010 + SETTLE)).any()
    np.testing.assert_array_equal(on_1[on_1 < 2000], expected_1[expected_1 < 2000])
    np.testing.assert_array_equal(on_1[on_1 > 2300], expected_1[expected_1 > 2300])
    assert detector.n_unknown.tolist() == [0, 10, 0]


def test_channels_that_are_dead_invent_nothing() -> None:
    """Flat, at the limit throughout, unknown throughout, and with a last bit that changes now and then."""
    rng = np.random.default_rng(3)
    samples = np.round(rng.normal(scale=40.0, size=(60_000, 5))).astype(np.int16)
    samples[:, 1], samples[:, 2] = 100, np.iinfo(np.int16).max
    samples[:, 3] = 7 + (rng.random(60_000) < 0.01)
    for reference in ("none", "car", "median", "lrr"):
        detector = SpikeDetector(5, RATE_HZ, DetectionSettings(reference=reference, noise_s=1.0))
        found = detector.process(samples).crossings
        assert detector.measured is not None
        assert np.flatnonzero(detector.measured.noise).tolist() == [0, 4]
        assert set(found.channel.tolist()) <= {0, 4}
    floats = samples.astype(np.float32) * np.float32(1e-6)
    floats[:, 2] = np.nan
    floats[:, 1] = np.inf
    floats[:, 3] = 7e-6
    assert set(crossings_of(floats).channel.tolist()) <= {0, 4}
    assert crossings_of(np.full((6000, 2), np.nan)).sample.size == 0


def test_an_artefact_at_the_limits_of_the_converter_is_survived() -> None:
    samples = np.round(np.random.default_rng(4).normal(scale=40.0, size=(30_000, 2))).astype(np.int16)
    samples[5000:5300] = np.tile(np.array([[-32767], [32766]], np.int16), (150, 2))
    power = PowerSettings()
    detector = SpikeDetector(2, RATE_HZ, DetectionSettings(noise_s=0.5), power=power)
    found = detector.process(samples)
    assert found.power is not None
    assert np.isfinite(found.power.values).all()
    assert found.crossings.sample.size < 60


def test_regression_takes_off_what_gains_share() -> None:
    """A common source with other gains, and signs, on each channel: the mean leaves most of it."""
    rng = np.random.default_rng(9)
    samples = 10.0 * rng.normal(size=(60_000, 16))
    common = 400.0 * rng.normal(size=(60_000, 1))
    samples += common * rng.uniform(-1.0, 1.0, 16)
    left = {}
    for reference in ("none", "car", "lrr"):
        detector = SpikeDetector(16, RATE_HZ, DetectionSettings(reference=reference, noise_s=2.0))
        detector.process(samples)
        assert detector.measured is not None
        left[reference] = np.median(detector.measured.noise)
    alone = 10.0 * (2 * 2700 / 30_000) ** 0.5
    assert left["car"] > 0.7 * left["none"]
    assert left["lrr"] < 1.2 * alone < 0.1 * left["none"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("low_hz", 0.0),
        ("low_hz", 6000.0),
        ("high_hz", np.inf),
        ("order", 0),
        ("order", 9),
        ("threshold_sd", 4.5),
        ("threshold_sd", np.nan),
        ("polarity", "positive"),
        ("refractory_s", -0.001),
        ("reference", "mean"),
        ("noise_s", 0.006),
        ("noise_s", 1e9),
    ],
)
def test_settings_out_of_range_are_refused_by_name(name: str, value: object) -> None:
    with pytest.raises(RtdecodeError, match=name):
        DetectionSettings(**{name: value})  # type: ignore[arg-type]


@pytest.mark.parametrize(("measure", "bin_s"), [("absolute", 0.02), ("rms", 0.02), ("rms", 0.0123457)])
def test_power_is_scipys_filter_and_a_mean_over_the_bin(measure: str, bin_s: float) -> None:
    samples, _ = recording(0.5, 3, 6)
    settings = PowerSettings(measure=measure, bin_width_s=bin_s)  # type: ignore[arg-type]
    detector = SpikeDetector(3, RATE_HZ, measured=Measured(np.ones(3)), power=settings)
    found = detector.process(samples).power
    assert found is not None
    sections = butter(2, (300.0, 1000.0), "bandpass", fs=RATE_HZ, output="sos")
    x = sosfilt(sections, samples - samples[0], axis=0)
    x[:SETTLE] = np.nan
    bins = np.floor((np.arange(len(x)) + 0.5) / (RATE_HZ * bin_s)).astype(int)
    np.testing.assert_array_equal(found.bin, np.arange(bins[-1] + (bin_s == 0.02)))
    for number, values in zip(found.bin, found.values, strict=True):
        inside = x[bins == number]
        expected = (
            np.sqrt(np.nanmean(inside**2, axis=0)) if measure == "rms" else np.nanmean(np.abs(inside), axis=0)
        )
        np.testing.assert_allclose(values, expected, rtol=1e-5)


def test_power_of_a_bin_that_is_mostly_unknown_is_unknown() -> None:
    samples = np.random.default_rng(0).normal(size=(3000, 2)).astype(np.float32)
    samples[700:950, 1] = np.nan
    detector = SpikeDetector(2, RATE_HZ, measured=Measured(np.ones(2)), power=PowerSettings())
    found = detector.process(samples).power
    assert found is not None
    assert np.isfinite(found.values[:, 0]).all()
    assert np.isnan(found.values[:, 1]).tolist() == [False, True, False, False, False]
