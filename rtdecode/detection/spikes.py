"""Threshold crossings of a stream whose noise is known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rtdecode.detection.bandpass import BLOCK, Bandpass
from rtdecode.detection.reference import rereference
from rtdecode.detection.settings import DetectionSettings, Measured
from rtdecode.kernels.broadband import find_crossings

#: No crossing yet.
LONG_AGO = -(2**62)


@dataclass(frozen=True, eq=False)
class Crossings:
    """Threshold crossings.

    Attributes:
        sample: i8[n], sample number from the start of the recording, lost samples counted, not decreasing.
        channel: u2[n], increasing among equal samples.
    """

    sample: NDArray[np.int64]
    channel: NDArray[np.uint16]


class CrossingFinder:
    """Band-pass, reference, threshold and refractory period, block by block.

    Args:
        rate_hz: samples per second.
        settings: of the detection.
        measured: noise and weights of the C channels.
    """

    def __init__(self, rate_hz: float, settings: DetectionSettings, measured: Measured) -> None:
        n_channels = len(measured.noise)
        self.bandpass = Bandpass(n_channels, rate_hz, (settings.low_hz, settings.high_hz, settings.order))
        self._reference, self._measured = settings.reference, measured
        self._refractory = round(settings.refractory_s * rate_hz)
        height = np.where(measured.noise > 0, -settings.threshold_sd * measured.noise, np.inf)
        self._low = -height.astype(np.float32)
        self._high = -self._low if settings.polarity == "both" else np.full_like(self._low, np.inf)
        self._beyond = np.zeros(n_channels, np.uint8)
        self._last = np.full(n_channels, LONG_AGO)
        most = -(-BLOCK // max(self._refractory, 2)) * n_channels
        self._sample, self._channel = np.zeros(most, np.int64), np.zeros(most, np.uint16)

    def find(self, block: NDArray[np.float64], limits: tuple[float, float]) -> Crossings:
        """Crossings in the next block, as `blocks` gives it."""
        first_sample = self.bandpass.n_samples
        rows = self.bandpass.filter(block, limits)
        rereference(rows, self._reference, self._measured)
        n = find_crossings(
            rows, self._low, self._high, self._refractory, first_sample,
            self._beyond, self._last, self._sample, self._channel,
        )  # fmt: skip
        return Crossings(self._sample[:n].copy(), self._channel[:n].copy())


def concatenated(parts: list[Crossings]) -> Crossings:
    """Crossings of consecutive chunks, as one."""
    if len(parts) == 1:
        return parts[0]
    samples = [part.sample for part in parts]
    channels = [part.channel for part in parts]
    return Crossings(
        np.concatenate([np.zeros(0, np.int64), *samples]),
        np.concatenate([np.zeros(0, np.uint16), *channels]),
    )
