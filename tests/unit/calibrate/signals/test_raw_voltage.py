"""Whole recordings: the detector's spikes, as events, as counts and as a matrix."""

from __future__ import annotations

import numpy as np
import pytest
from voltage import RATE_HZ, recording

from rtdecode.calibrate.signals.preprocess import counts_per_window
from rtdecode.calibrate.signals.raw_voltage import (
    PIECE,
    detect_counts,
    detect_crossings,
    detect_spikes,
    spike_matrix,
)
from rtdecode.detection.detector import SpikeDetector
from rtdecode.detection.settings import DetectionSettings
from rtdecode.detection.spikes import Crossings, concatenated
from rtdecode.errors import RtdecodeError
from rtdecode.session.bins import bin_session
from rtdecode.session.layout import Session


def pairs(crossings: Crossings) -> list[tuple[int, int]]:
    return list(zip(crossings.sample.tolist(), crossings.channel.tolist(), strict=True))


@pytest.mark.parametrize("noise_s", [0.5, 5.0])
def test_a_whole_recording_has_the_spikes_of_its_chunks(noise_s: float) -> None:
    """Longer than the pieces it is read in; longer and shorter than the first stretch."""
    samples, _ = recording(1.5, 3, 3)
    assert len(samples) > PIECE
    how = DetectionSettings(noise_s=noise_s)
    detector = SpikeDetector(3, RATE_HZ, how)
    expected = concatenated([detector.process(samples).crossings, detector.finish().crossings])
    assert expected.sample.max() > PIECE
    assert pairs(detect_crossings(samples, RATE_HZ, how)) == pairs(expected)


def test_events_counts_and_matrix_tell_the_same() -> None:
    samples, _ = recording(1.0, 4, 15)
    samples = samples[:-250]
    crossings = detect_crossings(samples, RATE_HZ)
    assert crossings.sample.size > 40
    matrix = spike_matrix(crossings, len(samples), 4)
    assert matrix.dtype == np.uint8
    assert sorted(map(tuple, np.argwhere(matrix).tolist())) == pairs(crossings)
    counts = detect_counts(samples, RATE_HZ, 0.020, start_s=7.0)
    assert counts.values.dtype == np.uint16
    assert counts.values.shape == (49, 4)
    np.testing.assert_array_equal(counts.values, counts_per_window(matrix, 600))
    assert (counts.t0_s, counts.bin_width_s) == (7.0, 0.020)
    events = detect_spikes(samples, RATE_HZ, start_s=7.0)
    assert events.time.dtype == np.float64
    assert events.channel.dtype == np.uint16
    np.testing.assert_allclose(events.time, 7.0 + crossings.sample / 30_000, rtol=0, atol=1e-9)
    # In a session that begins with the recording they land in the same bins.
    with_start = Session(4, events=events, counts=counts)
    binned = bin_session(with_start, 0.040)
    np.testing.assert_array_equal(binned.counts, counts_per_window(matrix[: 48 * 600], 1200))


def test_a_recording_without_samples_has_no_spikes() -> None:
    crossings = detect_crossings(np.zeros((0, 5)), RATE_HZ)
    assert crossings.sample.shape == crossings.channel.shape == (0,)
    assert detect_counts(np.zeros((0, 5)), RATE_HZ, 0.02).values.shape == (0, 5)


def test_what_cannot_be_is_refused_in_one_line() -> None:
    with pytest.raises(RtdecodeError, match="shape"):
        detect_spikes(np.zeros(100), RATE_HZ)
    with pytest.raises(RtdecodeError, match="not a whole number"):
        detect_counts(np.zeros((100, 2)), 24_414.0625, 0.020)
