"""Noise and regression weights, measured once in the first seconds of a recording."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rtdecode.detection.bandpass import Bandpass, blocks
from rtdecode.detection.reference import regression_weights, rereference
from rtdecode.detection.settings import DetectionSettings, Measured

#: Median of |x| over the SD of Gaussian noise.
MEDIAN_OF_NORMAL = 0.6745

#: SD of the error of rounding to integers. Less noise than half of what the filter leaves of it is that of a
#: dead channel of which the last bit changes now and then.
ROUNDING_SD = 12.0**-0.5

#: So it is where noise is less than this part of the largest sample: ringing after a few steps.
RINGING = 1e-6

#: A piece of a recording: samples [T, C], and how many were lost before them.
Piece = tuple[int, NDArray[np.generic]]


def measure(pieces: list[Piece], rate_hz: float, settings: DetectionSettings) -> Measured:
    """Noise, and with reference "lrr" weights, of the start of a recording.

    One sample of each 1/(2·high_hz) is used: those between say little more, and memory stays small.

    Raises:
        RtdecodeError: the pieces are too short for the regression.
    """
    n_channels = pieces[0][1].shape[1]
    bandpass = Bandpass(n_channels, rate_hz, (settings.low_hz, settings.high_hz, settings.order))
    every = max(1, int(rate_hz / (2 * settings.high_hz)))
    kept = [np.zeros((0, n_channels), np.float32)]
    for n_lost, samples in pieces:
        if n_lost:
            bandpass.skip(n_lost)
        for block, limits in blocks(samples):
            first = -bandpass.n_samples % every
            kept.append(bandpass.filter(block, limits)[first::every].copy())
    rows = np.concatenate(kept)
    noise = noise_sd(rows)
    if pieces[0][1].dtype.kind in "iu":
        passed = 2 * (settings.high_hz - settings.low_hz) / rate_hz
        noise[noise < ROUNDING_SD * passed**0.5 / 2] = 0.0
    if settings.reference == "none":
        return Measured(noise)
    weights = None
    if settings.reference == "lrr":
        weights = regression_weights(rows[~np.isnan(rows).all(axis=1)], noise > 0)
    rereference(rows, settings.reference, Measured(noise, weights))
    # What the reference leaves on a dead channel is that of the others.
    return Measured(np.where(noise > 0, noise_sd(rows), 0.0), weights)


def noise_sd(filtered: NDArray[np.floating]) -> NDArray[np.float64]:
    """SD of each channel's noise f8[C], as median(|x|)/0.6745 over [T, C] without NaN (Quiroga et al. 2004).

    Spikes hardly change the median, while they would raise the SD itself and with it the threshold. It is 0
    for a channel without any known sample, and for one that only rings.
    """
    noise = np.zeros(filtered.shape[1])
    for c in range(filtered.shape[1]):
        size = np.abs(filtered[:, c])
        size = size[~np.isnan(size)]
        if size.size:
            sd = float(np.median(size)) / MEDIAN_OF_NORMAL
            noise[c] = sd if sd > RINGING * size.max() else 0.0
    return noise
