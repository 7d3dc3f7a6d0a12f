"""Spikes do not depend on the chunks; simulated spikes are detected, noise is not."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.signal import butter, sosfilt
from voltage import RATE_HZ, SPIKE, mains, recording, score

from rtdecode.errors import RtdecodeError
from rtdecode.ingest.detection import (
    DEFAULT,
    Crossings,
    DetectionSettings,
    Polarity,
    SpikeDetector,
    concatenated,
    noise_sd,
)


def crossings_of(samples: NDArray[np.generic], how: DetectionSettings = DEFAULT) -> Crossings:
    detector = SpikeDetector(samples.shape[1], RATE_HZ, how)
    return concatenated([detector.process(samples), detector.finish()])


def pairs(crossings: Crossings) -> list[tuple[int, int]]:
    return list(zip(crossings.sample.tolist(), crossings.channel.tolist(), strict=True))


SHORT = {
    "int16": np.round(recording(0.12, 3, 1, 60.0)[0]).astype(np.int16),
    "float32": recording(0.12, 3, 2, 60.0)[0].astype(np.float32),
}


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(sorted(SHORT)),
    st.lists(st.one_of(st.integers(0, 3), st.integers(0, 1500)), max_size=25),
    st.sampled_from(["none", "mean", "median"]),
    st.sampled_from(["negative", "both"]),
    # 1 to 899 samples and more than there are: the start ends anywhere in a chunk, or never.
    st.floats(1 / 30_000, 0.2),
)
def test_any_chunks_give_the_same_spikes(
    dtype: str, lengths: list[int], reference: str, polarity: str, noise_s: float
) -> None:
    samples = SHORT[dtype]
    how = DetectionSettings(
        reference=reference,  # type: ignore[arg-type]
        polarity=polarity,  # type: ignore[arg-type]
        noise_s=noise_s,
        threshold_sd=3.0,
    )
    whole = SpikeDetector(3, RATE_HZ, how)
    expected = concatenated([whole.process(samples), whole.finish()])
    cut = SpikeDetector(3, RATE_HZ, how)
    edges = [0, *(min(edge, len(samples)) for edge in itertools.accumulate(lengths)), len(samples)]
    parts = [cut.process(samples[begin:end]) for begin, end in itertools.pairwise(edges)]
    found = concatenated([*parts, cut.finish()])
    assert pairs(found) == pairs(expected)
    assert cut.noise is not None
    assert whole.noise is not None
    np.testing.assert_array_equal(cut.noise, whole.noise)
    # With given noise the result is the same, each spike in the chunk that contains it.
    given_noise = SpikeDetector(3, RATE_HZ, how, noise=whole.noise)
    for begin, end in itertools.pairwise(edges):
        now = given_noise.process(samples[begin:end])
        inside = (expected.sample >= begin) & (expected.sample < end)
        assert pairs(now) == pairs(Crossings(expected.sample[inside], expected.channel[inside]))


def test_chunks_of_one_sample_give_the_same_spikes() -> None:
    samples = SHORT["int16"]
    how = DetectionSettings(noise_s=0.05, threshold_sd=3.5)
    expected = crossings_of(samples, how)
    assert expected.sample.size > 10
    detector = SpikeDetector(3, RATE_HZ, how)
    parts = [detector.process(samples[i : i + 1]) for i in range(len(samples))]
    assert pairs(concatenated([*parts, detector.finish()])) == pairs(expected)


@pytest.mark.parametrize("reference", ["none", "mean", "median"])
@pytest.mark.parametrize("polarity", ["negative", "both"])
def test_detection_is_scipys_filter_and_a_plain_search(reference: str, polarity: str) -> None:
    samples, _ = recording(1.0, 4, 5)
    how = DetectionSettings(reference=reference, polarity=polarity, noise_s=0.4)  # type: ignore[arg-type]
    sections = butter(how.order, (how.low_hz, how.high_hz), "bandpass", fs=RATE_HZ, output="sos")
    x = sosfilt(sections, samples - samples[0], axis=0)
    if reference != "none":
        x -= {"mean": np.mean, "median": np.median}[reference](x, axis=1, keepdims=True)
    sd = np.median(np.abs(x[:12_000]), axis=0) / 0.6745
    beyond = (np.abs(x) if polarity == "both" else -x) > 4.5 * sd
    expected = []
    for c in range(4):
        last = -(10**9)
        for i in np.flatnonzero(beyond[1:, c] & ~beyond[:-1, c]) + 1:
            if i - last >= 30:
                expected.append((int(i), c))
                last = i
    assert len(expected) > 40
    assert pairs(crossings_of(samples, how)) == sorted(expected)


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
    crossings = crossings_of(samples, DetectionSettings(threshold_sd=1.0, refractory_s=0.001))
    for c in range(2):
        apart = np.diff(crossings.sample[crossings.channel == c])
        assert apart.size > 300
        assert apart.min() == 30


@pytest.mark.parametrize("reference", ["mean", "median"])
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
    for noise in (np.ones(3), np.array([1.0, np.nan, 1.0, 1.0]), -np.ones(4)):
        with pytest.raises(RtdecodeError, match="noise must have"):
            SpikeDetector(4, RATE_HZ, noise=noise)


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


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e31])
def test_a_refused_chunk_changes_nothing(bad: float) -> None:
    samples = SHORT["float32"]
    how = DetectionSettings(noise_s=0.01)
    detector = SpikeDetector(3, RATE_HZ, how)
    first = detector.process(samples[:2000])
    broken = samples[2000:3000].copy()
    broken[700, 1] = bad
    with pytest.raises(RtdecodeError, match="sample 2700 of channel 1 is"):
        detector.process(broken)
    rest = concatenated([first, detector.process(samples[2000:]), detector.finish()])
    assert pairs(rest) == pairs(crossings_of(samples, how))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("low_hz", 0.0),
        ("low_hz", 6000.0),
        ("high_hz", np.inf),
        ("order", 0),
        ("order", 9),
        ("threshold_sd", -4.5),
        ("threshold_sd", np.nan),
        ("polarity", "positive"),
        ("refractory_s", -0.001),
        ("reference", "car"),
        ("noise_s", 0.0),
        ("noise_s", 1e9),
    ],
)
def test_settings_out_of_range_are_refused_by_name(name: str, value: object) -> None:
    with pytest.raises(RtdecodeError, match=name):
        DetectionSettings(**{name: value})  # type: ignore[arg-type]
