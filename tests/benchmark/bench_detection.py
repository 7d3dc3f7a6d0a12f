"""Speed of spike detection relative to real time: channels at 30 kHz on one core.

    python tests/benchmark/bench_detection.py [CHANNELS …]

Samples are int16: noise with 15 spikes per second on every channel. Times are CPU times, which do not depend
on other processes, and the minimum over some rounds.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, sosfilt

from rtdecode.ingest.detection import DetectionSettings, Reference, SpikeDetector, noise_sd

RATE_HZ = 30_000.0
SECONDS = 2
ROUNDS = 5
CHUNKS = (("in chunks of 1 s", 30_000), ("in chunks of 1 ms", 30))


def recording(n_channels: int) -> NDArray[np.int16]:
    rng = np.random.default_rng(0)
    n = round(SECONDS * RATE_HZ)
    samples = 40.0 * rng.normal(size=(n, n_channels))
    spike = -500.0 * np.exp(-0.5 * ((np.arange(45) - 12) / 3.0) ** 2)
    for channel in range(n_channels):
        for begin in rng.integers(0, n - len(spike), 15 * SECONDS):
            samples[begin : begin + len(spike), channel] += spike
    return np.round(samples).astype(np.int16)


def times_real_time(work: Callable[[], object]) -> float:
    work()
    seconds = []
    for _ in range(ROUNDS):
        started = time.process_time()
        work()
        seconds.append(time.process_time() - started)
    return SECONDS / min(seconds)


def filtering(samples: NDArray[np.int16]) -> Callable[[], NDArray[np.float64]]:
    how = DetectionSettings()
    sections = butter(how.order, (how.low_hz, how.high_hz), "bandpass", fs=RATE_HZ, output="sos")
    return lambda: sosfilt(sections, samples, axis=0)


def detection(samples: NDArray[np.int16], chunk: int, reference: Reference) -> Callable[[], None]:
    how = DetectionSettings(reference=reference)
    noise = noise_sd(filtering(samples[:30_000])())

    def run() -> None:
        detector = SpikeDetector(samples.shape[1], RATE_HZ, how, noise=noise)
        for begin in range(0, len(samples), chunk):
            detector.process(samples[begin : begin + chunk])

    return run


def chunk_us(samples: NDArray[np.int16], chunk: int) -> float:
    """Median time of a chunk on the clock, µs."""
    detector = SpikeDetector(samples.shape[1], RATE_HZ, noise=noise_sd(filtering(samples[:30_000])()))
    taken = []
    for begin in range(0, len(samples), chunk):
        started = time.perf_counter()
        detector.process(samples[begin : begin + chunk])
        taken.append(time.perf_counter() - started)
    return 1e6 * statistics.median(taken)


def main(channels: list[int]) -> None:
    references: tuple[Reference, ...] = ("none", "mean", "median")
    for n_channels in channels:
        samples = recording(n_channels)
        print(f"{n_channels} channels at {RATE_HZ:g} Hz, one core, times real time")
        for reference in references:
            for name, chunk in CHUNKS:
                speed = times_real_time(detection(samples, chunk, reference))
                print(f"  reference {reference:6} {name:18} {speed:7.0f}")
        print(f"  scipy.signal.sosfilt alone          {times_real_time(filtering(samples)):7.0f}")
        print(f"  a chunk of 1 ms, no reference: {chunk_us(samples, 30):.0f} µs")


if __name__ == "__main__":
    main([int(n) for n in sys.argv[1:]] or [64, 96])
