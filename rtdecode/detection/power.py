"""Spike-band power in bins of a stream (Nason et al. 2020, Nat Biomed Eng 4:973)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rtdecode.detection.bandpass import Bandpass
from rtdecode.detection.reference import rereference
from rtdecode.detection.settings import Measured, PowerSettings, Reference
from rtdecode.kernels.broadband import add_power


@dataclass(frozen=True, eq=False)
class PowerBins:
    """Spike-band power of bins that are over.

    Attributes:
        bin: i8[k], number from the start of the recording; bins of which nothing is known are left out.
        values: f4[k, C], in the unit of the samples; NaN where less than half of the bin is known.
    """

    bin: NDArray[np.int64]
    values: NDArray[np.float32]


class BandPower:
    """Band-pass, reference and power, block by block.

    Sample n belongs to bin ⌊(n + ½)/(rate·width)⌋, and a bin is over with its last sample.

    Args:
        rate_hz: samples per second.
        settings: band, measure and bins.
        reference: as the spikes' detection has it; the weights are those of its band.
        measured: noise and weights of the C channels.

    Raises:
        RtdecodeError: the rate is too low for the band, or a bin is shorter than a sample.
    """

    def __init__(
        self, rate_hz: float, settings: PowerSettings, reference: Reference, measured: Measured
    ) -> None:
        n_channels = len(measured.noise)
        self.bandpass = Bandpass(n_channels, rate_hz, (settings.low_hz, settings.high_hz, settings.order))
        self._reference, self._measured = reference, measured
        self._rms = settings.measure == "rms"
        self._width = max(1.0, rate_hz * settings.bin_width_s)
        self._bin, self._total = 0, np.zeros(n_channels)
        self._n_known = np.zeros(n_channels, np.int64)

    def add(self, block: NDArray[np.float64], limits: tuple[float, float]) -> PowerBins:
        """Power of the bins that end in the next block, as `blocks` gives it."""
        at = self.bandpass.n_samples
        rows = self.bandpass.filter(block, limits)
        rereference(rows, self._reference, self._measured)
        bins: list[int] = []
        values: list[NDArray[np.float32]] = []
        while len(rows):
            first_bin = math.floor((at + 0.5) / self._width)
            if first_bin != self._bin:
                self._close(bins, values)
                self._bin = first_bin
            n = min(len(rows), max(1, self._first_sample(first_bin + 1) - at))
            add_power(rows[:n], self._rms, self._total, self._n_known)
            rows, at = rows[n:], at + n
            if at >= self._first_sample(first_bin + 1):
                self._close(bins, values)
                self._bin = first_bin + 1
        table = np.array(values, np.float32).reshape(-1, len(self._total))
        return PowerBins(np.array(bins, np.int64), table)

    def _first_sample(self, number: int) -> int:
        return math.ceil(number * self._width - 0.5)

    def _close(self, bins: list[int], values: list[NDArray[np.float32]]) -> None:
        if self._n_known.any():
            mean = self._total / np.maximum(self._n_known, 1)
            mean = np.sqrt(mean) if self._rms else mean
            bins.append(self._bin)
            values.append(np.where(2 * self._n_known >= self._width, mean, np.nan).astype(np.float32))
        self._total[:] = 0.0
        self._n_known[:] = 0


def power_name(channel: int) -> str:
    """Name of the feature that is the power of a channel."""
    return f"power {channel}"


def ends_of(bins: PowerBins, settings: PowerSettings, rate_hz: float) -> NDArray[np.float64]:
    """End of each bin in samples from the start of the recording, f8[k]."""
    ends: NDArray[np.float64] = (bins.bin + 1.0).astype(np.float64) * settings.bin_width_s * rate_hz
    return ends


def join_bins(parts: list[PowerBins], n_channels: int) -> PowerBins:
    """The bins of consecutive chunks, as one."""
    if len(parts) == 1:
        return parts[0]
    return PowerBins(
        np.concatenate([np.zeros(0, np.int64), *(part.bin for part in parts)]),
        np.concatenate([np.zeros((0, n_channels), np.float32), *(part.values for part in parts)]),
    )
