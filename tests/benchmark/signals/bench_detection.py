"""Share of one core that spike detection takes: channels of int16 at 30 kHz.

    python tests/benchmark/signals/bench_detection.py [CHANNELS …]

Samples are noise with 15 spikes per second on every channel; noise and weights are given, as after the first
seconds. Times are CPU times, which do not depend on other processes, and the minimum over some rounds.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, sosfilt

from rtdecode.detection.detector import SpikeDetector
from rtdecode.detection.settings import DetectionSettings, PowerSettings, Reference

RATE_HZ = 30_000.0
SECONDS = 2
ROUNDS = 5
CHUNKS_MS = (1, 5, 20, 1000)
CASES: tuple[tuple[Reference, PowerSettings | None], ...] = (
    ("none", None),
    ("car", None),
    ("lrr", None),
    ("median", None),
    ("none", PowerSettings()),
    ("car", PowerSettings()),
    ("lrr", PowerSettings()),
)


def recording(n_channels: int) -> NDArray[np.int16]:
    rng = np.random.default_rng(0)
    n = round(SECONDS * RATE_HZ)
    samples = 40.0 * rng.normal(size=(n, n_channels))
    spike = -500.0 * np.exp(-0.5 * ((np.arange(45) - 12) / 3.0) ** 2)
    for channel in range(n_channels):
        for begin in rng.integers(0, n - len(spike), 15 * SECONDS):
            samples[begin : begin + len(spike), channel] += spike
    return np.round(samples).astype(np.int16)


def core_share(work: Callable[[], object]) -> float:
    """CPU time over the recording's time, %."""
    seconds = []
    for _ in range(ROUNDS):
        started = time.process_time()
        work()
        seconds.append(time.process_time() - started)
    return 100.0 * min(seconds) / SECONDS


def detection(
    samples: NDArray[np.int16], chunk: int, reference: Reference, power: PowerSettings | None
) -> Callable[[], None]:
    how = DetectionSettings(reference=reference, noise_s=1.0)
    start = SpikeDetector(samples.shape[1], RATE_HZ, how)
    start.process(samples)
    assert start.measured is not None

    def run() -> None:
        detector = SpikeDetector(samples.shape[1], RATE_HZ, how, start.measured, power)
        for begin in range(0, len(samples), chunk):
            detector.process(samples[begin : begin + chunk])

    return run


def start_share(samples: NDArray[np.int16], reference: Reference) -> float:
    """CPU time of measuring and detecting in the first 5 s, s."""
    detector = SpikeDetector(samples.shape[1], RATE_HZ, DetectionSettings(reference=reference))
    five = np.concatenate([samples] * 3)[: round(5 * RATE_HZ)]
    detector.process(five[:-1])
    started = time.process_time()
    detector.process(five[-1:])
    return time.process_time() - started


def main(channels: list[int]) -> None:
    how = DetectionSettings()
    sections = butter(how.order, (how.low_hz, how.high_hz), "bandpass", fs=RATE_HZ, output="sos")
    for n_channels in channels:
        samples = recording(n_channels)
        print(f"{n_channels} channels at {RATE_HZ:g} Hz, % of one core, in chunks of")
        print(" " * 24 + "".join(f"{ms:6} ms" for ms in CHUNKS_MS))
        for reference, power in CASES:
            runs = [detection(samples, round(RATE_HZ * ms / 1e3), reference, power) for ms in CHUNKS_MS]
            name = f"  {reference}{', with power' if power else ''}"
            print(f"{name:24}" + "".join(f"{core_share(run):9.1f}" for run in runs), flush=True)
        scipy = core_share(lambda samples=samples: sosfilt(sections, samples, axis=0))  # type: ignore[misc]
        print(f"  scipy.signal.sosfilt alone, the whole at once: {scipy:.1f}")
        starts = ", ".join(f"{each} {start_share(samples, each):.2f} s" for each in ("none", "lrr"))
        print(f"  at the end of the first 5 s once: {starts}")


if __name__ == "__main__":
    main([int(n) for n in sys.argv[1:]] or [64, 128])
