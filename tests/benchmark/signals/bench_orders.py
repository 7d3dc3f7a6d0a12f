"""Effect of the order of the band-pass on detected spikes, at the default band and threshold.

    PYTHONPATH=tests/support python tests/benchmark/signals/bench_orders.py

Recordings are those of the tests: 10 µV of white noise, spikes with an after-potential, 200 µV of field
potential at 6 Hz; three of 8 s and 6 channels.
"""

from __future__ import annotations

import numpy as np
from voltage import NOISE_UV, RATE_HZ, Score, mains, recording, score

from rtdecode.calibrate.signals.raw_voltage import detect_crossings
from rtdecode.detection.settings import DetectionSettings

SECONDS, N_CHANNELS, SEEDS = 8.0, 6, (7, 8, 9)
ORDERS = (1, 2, 3, 4)
#: End of the noise estimate, and onset of mains that start after it.
NOISE_S = 4.0


def found(how: DetectionSettings, spike_sd: float, mains_uv: float, mains_from_s: float) -> Score:
    """Of the spikes after the mains begin."""
    total = Score(0, 0, 0, 0)
    from_sample = round(mains_from_s * RATE_HZ)
    for seed in SEEDS:
        samples, troughs = recording(SECONDS, N_CHANNELS, seed, spike_uv=spike_sd * NOISE_UV)
        samples += mains(len(samples), from_sample, mains_uv)
        total += score(detect_crossings(samples.astype(np.float32), RATE_HZ, how), troughs, from_sample)
    return total


def main() -> None:
    default = DetectionSettings()
    print(f"{default.low_hz:g} to {default.high_hz:g} Hz, {default.threshold_sd:g} SD")
    for name, spike_sd, refractory_s, mains_uv, from_s in (
        ("spikes of 12 SD", 12.0, 0.001, 0.0, 0.0),
        ("spikes of 12 SD, none for 2 ms after one", 12.0, 0.002, 0.0, 0.0),
        ("spikes of 5 SD", 5.0, 0.001, 0.0, 0.0),
        ("spikes of 5 SD, 50 µV of mains", 5.0, 0.001, 50.0, 0.0),
        ("spikes of 5 SD, 100 µV of mains after the noise estimate", 5.0, 0.001, 100.0, NOISE_S),
    ):
        print(name)
        seconds = len(SEEDS) * N_CHANNELS * (SECONDS - from_s)
        for order in ORDERS:
            how = DetectionSettings(order=order, refractory_s=refractory_s, noise_s=NOISE_S)
            s = found(how, spike_sd, mains_uv, from_s)
            print(
                f"  order {order}: {s.n_found} of {s.n_true} ({s.n_found / s.n_true:.1%}), "
                f"twice {s.n_again} ({s.n_again / s.n_true:.1%}), "
                f"false {s.n_false} ({s.n_false / seconds:.2f} a second and channel)"
            )


if __name__ == "__main__":
    main()
