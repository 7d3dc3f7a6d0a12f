"""Simulated spikes in white and 1/f noise that are found, by SNR and settings (docs/detect.md).

    PYTHONPATH=tests/support python tests/benchmark/signals/bench_snr.py

SNR is half of the spike's peak-to-peak amplitude over the SD of the noise between 250 and 7,500 Hz (Suner et
al. 2005). "in band" is the trough of the filtered spike over the SD of the filtered noise: what the threshold
is compared with.
"""

from __future__ import annotations

import numpy as np
from scipy.signal import butter, sosfilt
from voltage import RATE_HZ, SPIKE, noise, score, with_spikes

from rtdecode.detection.detector import SpikeDetector
from rtdecode.detection.settings import DetectionSettings

SECONDS, CHANNELS = 60.0, 4
SNRS = (3.0, 4.0, 6.0)
SETTINGS = (
    DetectionSettings(),
    DetectionSettings(threshold_sd=-3.9),
    DetectionSettings(low_hz=250.0, high_hz=5000.0),
    DetectionSettings(order=1, high_hz=2000.0, threshold_sd=-3.9),
    DetectionSettings(low_hz=150.0, high_hz=2000.0, threshold_sd=-3.8),
)


def main() -> None:
    quiet = noise(SECONDS, CHANNELS, 1)
    print("band, order, threshold: of spikes at SNR " + ", ".join(f"{snr:g}" for snr in SNRS))
    for how in SETTINGS:
        sections = butter(how.order, (how.low_hz, how.high_hz), "bandpass", fs=RATE_HZ, output="sos")
        cells = []
        for snr in SNRS:
            samples, troughs = with_spikes(quiet, snr, 2)
            detector = SpikeDetector(CHANNELS, RATE_HZ, how)
            found = score(detector.process(samples).crossings, troughs)
            assert detector.measured is not None
            size = (samples - quiet).min() / SPIKE.min()
            spike = np.concatenate([SPIKE * size, np.zeros(200)])
            in_band = -sosfilt(sections, spike).min() / detector.measured.noise.mean()
            cells.append(
                f"{100 * found.n_found / found.n_true:5.1f} % (in band {in_band:.1f}, twice "
                f"{100 * found.n_again / found.n_true:.1f} %, false "
                f"{found.n_false / SECONDS / CHANNELS:.2f} Hz)"
            )
        print(f"{how.low_hz:g}-{how.high_hz:g} Hz, {how.order}, {how.threshold_sd:g}: {'; '.join(cells)}")


if __name__ == "__main__":
    main()
