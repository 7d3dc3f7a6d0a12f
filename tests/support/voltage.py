"""Raw voltage with simulated spikes, and the score of a detector."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, sosfilt

from rtdecode.detection.spikes import Crossings

RATE_HZ = 30_000.0
NOISE_UV = 10.0
SPIKE = -np.exp(-0.5 * ((np.arange(45) - 12) / 3.0) ** 2) + 0.35 * np.exp(
    -0.5 * ((np.arange(45) - 25) / 6.0) ** 2
)
TROUGH = int(SPIKE.argmin())
HIT, AFTER = 15, 90


def recording(
    seconds: float, n_channels: int, seed: int, spikes_hz: float = 20.0, spike_uv: float = 120.0
) -> tuple[NDArray[np.float64], list[NDArray[np.int64]]]:
    """Voltage in µV (10 µV of noise, field potential, offsets) and the samples of each channel's troughs."""
    rng = np.random.default_rng(seed)
    n = round(seconds * RATE_HZ)
    t = np.arange(n) / RATE_HZ
    samples = NOISE_UV * rng.normal(size=(n, n_channels))
    samples += 200.0 * np.sin(2 * np.pi * (6.0 * t[:, np.newaxis] + rng.random(n_channels)))
    samples += rng.uniform(-3000.0, 3000.0, n_channels)
    troughs = []
    for c in range(n_channels):
        # At least 3 ms apart, so that spikes do not overlap.
        apart = 90 + np.round(rng.exponential(RATE_HZ / spikes_hz, round(2 * seconds * spikes_hz) + 5))
        at = np.cumsum(apart.astype(np.int64))
        at = at[at < n - len(SPIKE)]
        for begin in at:
            samples[begin : begin + len(SPIKE), c] += spike_uv * SPIKE
        troughs.append(at + TROUGH)
    return samples, troughs


def noise(seconds: float, n_channels: int, seed: int) -> NDArray[np.float64]:
    """White noise of SD 1 plus 1/f noise that is as dense at 300 Hz, f8[T, C]."""
    n = round(seconds * RATE_HZ)
    white = np.random.default_rng(seed).normal(size=(n, n_channels))
    hz = np.maximum(np.fft.rfftfreq(n, 1 / RATE_HZ), 1.0)
    spectrum = np.fft.rfft(white, axis=0) * np.sqrt(1.0 + 300.0 / hz)[:, np.newaxis]
    coloured: NDArray[np.float64] = np.fft.irfft(spectrum, n, axis=0)
    return coloured


def with_spikes(
    noise: NDArray[np.float64], snr: float, seed: int
) -> tuple[NDArray[np.float64], list[NDArray[np.int64]]]:
    """Noise with 20 spikes a second and channel, and the samples of each channel's troughs.

    SNR is half of the spike's peak-to-peak amplitude over the SD of the noise between 250 and 7,500 Hz, as
    Suner et al. 2005 (IEEE Trans Neural Syst Rehabil Eng 13:524) measure it.
    """
    sections = butter(4, (250.0, 7500.0), "bandpass", fs=RATE_HZ, output="sos")
    sd = float(sosfilt(sections, noise[:60_000], axis=0)[300:].std())
    spike = snr * 2.0 * sd / np.ptp(SPIKE) * SPIKE
    rng = np.random.default_rng(seed)
    samples, troughs = noise.copy(), []
    for c in range(noise.shape[1]):
        apart = 90 + np.round(rng.exponential(RATE_HZ / 20.0, len(noise) // 500 + 5))
        at = np.cumsum(apart.astype(np.int64))
        at = at[at < len(noise) - len(SPIKE)]
        for begin in at:
            samples[begin : begin + len(SPIKE), c] += spike
        troughs.append(at + TROUGH)
    return samples, troughs


def mains(n_samples: int, from_sample: int, uv: float) -> NDArray[np.float64]:
    """50 Hz of amplitude `uv` on a channel, f8[n_samples, 1], from that sample on."""
    t = np.arange(n_samples) - from_sample
    return np.where(t >= 0, uv * np.sin(2 * np.pi * 50.0 * t / RATE_HZ), 0.0)[:, np.newaxis]


@dataclass(frozen=True)
class Score:
    """Numbers of true spikes, of detected ones, of repeats within 3 ms, and of false detections."""

    n_true: int
    n_found: int
    n_again: int
    n_false: int

    def __add__(self, other: Score) -> Score:
        return Score(
            self.n_true + other.n_true,
            self.n_found + other.n_found,
            self.n_again + other.n_again,
            self.n_false + other.n_false,
        )


def score(crossings: Crossings, troughs: list[NDArray[np.int64]], from_sample: int = 0) -> Score:
    """Score crossings against true troughs, from a sample on; within 0.5 ms of a trough is a hit."""
    total = Score(0, 0, 0, 0)
    for c, every in enumerate(troughs):
        true = every[every >= from_sample]
        found = crossings.sample[(crossings.channel == c) & (crossings.sample >= from_sample)]
        behind = found[:, np.newaxis] - true[np.newaxis]
        hit = np.abs(behind) <= HIT
        again = ~hit.any(axis=1) & ((behind > 0) & (behind <= AFTER)).any(axis=1)
        n_hit = int(hit.any(axis=1).sum())
        n_again = int(again.sum())
        total += Score(len(true), int(hit.any(axis=0).sum()), n_again, len(found) - n_hit - n_again)
    return total
