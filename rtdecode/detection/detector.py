"""Raw voltage to spikes and spike-band power, chunk by chunk, live and offline.

    detector = SpikeDetector(n_channels=64, rate_hz=30_000.0)
    for chunk in chunks:
        found = detector.process(chunk)
    found = detector.finish()

What is found does not depend on the chunks. Detection is causal but for noise and weights, which need the
first seconds of data; with given ones it is causal throughout.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rtdecode.detection.bandpass import Bandpass, blocks
from rtdecode.detection.measure import Piece, measure
from rtdecode.detection.power import BandPower, PowerBins, join_bins
from rtdecode.detection.settings import DEFAULT, DetectionSettings, Measured, PowerSettings
from rtdecode.detection.spikes import CrossingFinder, Crossings, concatenated
from rtdecode.errors import RtdecodeError


@dataclass(frozen=True, eq=False)
class Found:
    """What a chunk added: spikes, and the bins of power that ended in it (None without `PowerSettings`)."""

    crossings: Crossings
    power: PowerBins | None


class SpikeDetector:
    """Detects spikes in a recording that arrives in chunks.

    Each channel passes a causal Butterworth band-pass (`Bandpass`); then the reference is subtracted. A spike
    is the first sample beyond `threshold_sd` · noise, at least `refractory_s` after the last spike of the
    channel. A channel with noise 0, dead or unplugged, has none, and nothing is found where samples are
    unknown or lost, nor while a filter settles after them.

    Args:
        n_channels: C, 1 to 65,535.
        rate_hz: samples per second.
        settings: of the detection.
        measured: noise and weights; None to measure them in the first `noise_s`.
        power: settings of spike-band power; None for none.

    Attributes:
        measured: None until it is measured.

    Raises:
        RtdecodeError: the rate is too low for the band, or channels or `measured` do not fit.
    """

    def __init__(
        self,
        n_channels: int,
        rate_hz: float,
        settings: DetectionSettings = DEFAULT,
        measured: Measured | None = None,
        power: PowerSettings | None = None,
    ) -> None:
        for each in (settings, power):
            if each is not None:
                Bandpass(n_channels, rate_hz, (each.low_hz, each.high_hz, each.order))
        self.n_channels, self.rate_hz, self.settings = n_channels, rate_hz, settings
        self.measured: Measured | None = None
        self._power_settings = power
        self._finder: CrossingFinder | None = None
        self._power: BandPower | None = None
        self._start: list[Piece] = []
        self._n_lost = 0
        self._missing = max(1, round(settings.noise_s * rate_hz))
        if measured is not None:
            self._freeze(measured)

    @property
    def n_samples(self) -> int:
        """Samples detected so far, lost ones included: the number of the next one; 0 while measuring."""
        return 0 if self._finder is None else self._finder.bandpass.n_samples

    @property
    def n_unknown(self) -> NDArray[np.int64]:
        """i8[C], samples so far that were NaN, infinite or at the limit of their type; 0 while measuring."""
        found = np.zeros(self.n_channels, np.int64)
        return found if self._finder is None else self._finder.bandpass.n_unknown.copy()

    def process(self, samples: NDArray[np.generic]) -> Found:
        """Detect spikes in the next samples; those of the first `noise_s` are returned once these are over.

        Args:
            samples: whole or floating-point numbers [T, C], T 0 or more, in any unit.

        Raises:
            RtdecodeError: another number of channels or type of samples; nothing of such a chunk is used.
        """
        self._check(samples)
        if self._finder is not None:
            return self._found([(0, samples)])
        n = min(self._missing, len(samples))
        if n:
            self._start.append((self._n_lost, samples[:n].copy()))
            self._n_lost, self._missing = 0, self._missing - n
        if self._missing:
            return self._found([])
        return self._found([*self._measure(), (0, samples[n:])])

    def skip(self, n: int) -> None:
        """Start all filters again after n lost samples; sample numbers and bins go on behind them.

        Raises:
            RtdecodeError: n is negative.
        """
        if n < 0:
            raise RtdecodeError(f"{n} samples cannot be lost", fix="give 0 or more")
        if self._finder is None:
            self._n_lost += n
        else:
            self._restart(n)

    def finish(self) -> Found:
        """What a recording holds that ended within its first `noise_s`; otherwise nothing is left."""
        return self._found(self._measure() if self._finder is None and self._start else [])

    def _check(self, samples: NDArray[np.generic]) -> None:
        if samples.ndim != 2 or samples.shape[1] != self.n_channels:
            raise RtdecodeError(
                f"samples have shape {list(samples.shape)}",
                fix=f"give [samples, {self.n_channels} channels]",
            )
        if samples.dtype.kind not in "iuf":
            raise RtdecodeError(f"samples are {samples.dtype}", fix="give whole or floating-point numbers")

    def _measure(self) -> list[Piece]:
        self._freeze(measure(self._start, self.rate_hz, self.settings))
        start, self._start = self._start, []
        return start

    def _freeze(self, measured: Measured) -> None:
        if len(measured.noise) != self.n_channels:
            raise RtdecodeError(
                f"noise of {len(measured.noise)} channels is given, and samples of {self.n_channels}",
                fix="give the noise of this array, or measure it",
            )
        if self.settings.reference == "lrr" and measured.weights is None:
            raise RtdecodeError(
                "reference lrr needs weights, and only noise is given", fix="give both, or measure both"
            )
        self.measured = measured
        self._finder = CrossingFinder(self.rate_hz, self.settings, measured)
        if self._power_settings is not None:
            self._power = BandPower(self.rate_hz, self._power_settings, self.settings.reference, measured)

    def _restart(self, n_lost: int) -> None:
        for chain in (self._finder, self._power):
            if n_lost and chain is not None:
                chain.bandpass.skip(n_lost)

    def _found(self, pieces: list[Piece]) -> Found:
        crossings: list[Crossings] = []
        bins: list[PowerBins] = []
        for n_lost, samples in pieces:
            self._restart(n_lost)
            for block, limits in blocks(samples):
                assert self._finder is not None
                crossings.append(self._finder.find(block, limits))
                if self._power is not None:
                    bins.append(self._power.add(block, limits))
        power = None if self._power_settings is None else join_bins(bins, self.n_channels)
        return Found(concatenated(crossings), power)
