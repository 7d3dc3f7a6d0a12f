"""Whole recordings of raw voltage: to the events of a session, to counts, to a spike matrix.

    events = detect_spikes(samples, 30_000.0)  # samples [T, C] in any unit
    session = Session(samples.shape[1], events=events, behavior=behavior)

A recording with a gap goes to `SpikeDetector` in its parts, with `skip` between them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rtdecode.calibrate.signals.preprocess import window_samples
from rtdecode.detection.detector import SpikeDetector
from rtdecode.detection.settings import DEFAULT, DetectionSettings
from rtdecode.detection.spikes import Crossings, concatenated
from rtdecode.errors import RtdecodeError
from rtdecode.session.layout import Counts, Events

#: Rows of a recording that are read at a time.
PIECE = 2**15


def detect_crossings(
    samples: NDArray[np.generic], rate_hz: float, settings: DetectionSettings = DEFAULT
) -> Crossings:
    """The spikes of a whole recording.

    Args:
        samples: whole or floating-point numbers [T, C], in any unit; a `numpy.memmap` is read in pieces.
        rate_hz: samples per second.
        settings: filter, threshold and refractory period.

    Raises:
        RtdecodeError: as `SpikeDetector`.
    """
    if samples.ndim != 2:
        raise RtdecodeError(f"samples have shape {list(samples.shape)}", fix="give [samples, channels]")
    detector = SpikeDetector(samples.shape[1], rate_hz, settings)
    found = [detector.process(samples[begin : begin + PIECE]) for begin in range(0, len(samples), PIECE)]
    return concatenated([part.crossings for part in (*found, detector.finish())])


def detect_spikes(
    samples: NDArray[np.generic], rate_hz: float, settings: DetectionSettings = DEFAULT, start_s: float = 0.0
) -> Events:
    """The spikes of a whole recording as a session holds them, sample i at start_s + i/rate_hz seconds.

    Raises:
        RtdecodeError: as `detect_crossings`.
    """
    crossings = detect_crossings(samples, rate_hz, settings)
    return Events(start_s + crossings.sample / rate_hz, crossings.channel)


def detect_counts(
    samples: NDArray[np.generic],
    rate_hz: float,
    bin_width_s: float,
    settings: DetectionSettings = DEFAULT,
    start_s: float = 0.0,
) -> Counts:
    """The spikes of a whole recording in bins, u2[⌊T/I⌋, C]: eq 2 without the matrix at the full rate.

    Raises:
        RtdecodeError: as `detect_crossings`, or a bin is not a whole number of samples.
    """
    window = window_samples(rate_hz, bin_width_s)
    crossings = detect_crossings(samples, rate_hz, settings)
    values = np.zeros((len(samples) // window, samples.shape[1]), np.uint16)
    row = crossings.sample // window
    whole = row < len(values)
    np.add.at(values, (row[whole], crossings.channel[whole]), 1)
    return Counts(values, bin_width_s, start_s)


def spike_matrix(crossings: Crossings, n_samples: int, n_channels: int) -> NDArray[np.uint8]:
    """P[t] of eq 2, u1[n_samples, n_channels], 1 where a spike is.

    It takes 1.9 MB a second at 30 kHz and 64 channels; `detect_counts` gives the same counts without it.
    """
    matrix = np.zeros((n_samples, n_channels), np.uint8)
    matrix[crossings.sample, crossings.channel] = 1
    return matrix
