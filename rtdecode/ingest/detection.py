"""Raw voltage to spikes, chunk by chunk: band-pass, threshold, refractory period.

    detector = SpikeDetector(n_channels=64, rate_hz=30_000.0)
    for chunk in chunks:
        crossings = detector.process(chunk)
    crossings = detector.finish()

The spikes do not depend on the chunks; `rtdecode.calibrate.signals.raw_voltage` processes a whole
recording. Detection is causal but for the noise estimate, which needs the first seconds of data; with given
noise it is causal throughout.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter

from rtdecode.errors import RtdecodeError
from rtdecode.kernels.broadband import filter_rows, find_crossings, subtract_mean, subtract_median

Polarity = Literal["negative", "both"]
Reference = Literal["none", "mean", "median"]

#: Rows per call of the kernels: they fit into the second-level cache of the processor.
BLOCK = 256

#: Median of |x| over the SD of Gaussian noise.
MEDIAN_OF_NORMAL = 0.6745

#: Larger samples are not voltages in any unit.
LARGEST = 1e30

#: No crossing yet.
LONG_AGO = -(2**62)


@dataclass(frozen=True, kw_only=True)
class DetectionSettings:
    """Settings of spike detection.

    Attributes:
        low_hz, high_hz: edges of the pass band, where the gain is 1/√2.
        order: of the Butterworth filter at each edge. A causal filter of a higher order cuts off more
            steeply and rings more: a large spike then has a second trough 1 ms later or more.
        threshold_sd: threshold in SDs of the noise.
        polarity: "negative" detects troughs only, "both" troughs and peaks.
        refractory_s: least time between two spikes of a channel, seconds.
        reference: subtracted from all channels after the band-pass: their mean (which one channel with
            artefacts shifts), their median (robust, slower, needs dozens of
            channels), or nothing. Dead channels, exactly 0 there, are left out.
        noise_s: length of the start of the recording from which the noise is estimated, seconds.

    Raises:
        RtdecodeError: a value is out of its range.
    """

    low_hz: float = 300.0
    high_hz: float = 3000.0
    order: int = 2
    threshold_sd: float = 4.5
    polarity: Polarity = "negative"
    refractory_s: float = 0.001
    reference: Reference = "none"
    noise_s: float = 5.0

    def __post_init__(self) -> None:
        polarities, references = get_args(Polarity), get_args(Reference)
        ranges = (
            ("low_hz and high_hz", 0 < self.low_hz < self.high_hz < math.inf, "be positive, low below high"),
            ("order", self.order in range(1, 9), "be 1 to 8"),
            ("threshold_sd", 0 < self.threshold_sd < math.inf, "be positive"),
            ("polarity", self.polarity in polarities, f"be one of {', '.join(polarities)}"),
            ("refractory_s", 0 <= self.refractory_s <= 1, "be between 0 and 1 second"),
            ("reference", self.reference in references, f"be one of {', '.join(references)}"),
            ("noise_s", 0 < self.noise_s <= 60, "be above 0 and up to 60 seconds"),
        )
        for name, fine, what in ranges:
            if not fine:
                raise RtdecodeError(f"must {what}", where=name, fix="correct the detection settings")


DEFAULT = DetectionSettings()


@dataclass(frozen=True, eq=False)
class Crossings:
    """Threshold crossings.

    Attributes:
        sample: i8[n], sample number from the start of the recording, not decreasing.
        channel: u2[n], increasing among equal samples.
    """

    sample: NDArray[np.int64]
    channel: NDArray[np.uint16]


class SpikeDetector:
    """Detects spikes in a recording that arrives in chunks.

    Each sample minus the first one of its channel (so that an offset does not ring) passes a causal
    Butterworth band-pass; then the reference is subtracted. A spike is the first sample beyond
    `threshold_sd` · noise, at least `refractory_s` after the last spike of the channel. A channel with noise
    0, dead or unplugged, has none.

    Args:
        n_channels: C, 1 to 65,535.
        rate_hz: samples per second.
        settings: of the detection.
        noise: f8[C], SD of the noise of each channel after band-pass and reference; None to estimate it.

    Attributes:
        noise: f8[C], SD of the noise, in the unit of the samples; None until it is estimated.

    Raises:
        RtdecodeError: the rate is too low for the band, or noise or channels are out of range.
    """

    noise: NDArray[np.float64] | None

    def __init__(
        self,
        n_channels: int,
        rate_hz: float,
        settings: DetectionSettings = DEFAULT,
        noise: NDArray[np.float64] | None = None,
    ) -> None:
        if not 1 <= n_channels <= np.iinfo(np.uint16).max:
            raise RtdecodeError(
                f"samples cannot have {n_channels} channels", fix="give samples of 1 to 65535 channels"
            )
        if not (math.isfinite(rate_hz) and rate_hz > 2 * settings.high_hz):
            raise RtdecodeError(
                f"a rate of {rate_hz:g} Hz cannot hold a band up to {settings.high_hz:g} Hz",
                fix=f"give a rate above {2 * settings.high_hz:g} Hz, or settings with a lower high_hz",
            )
        self.n_channels, self.rate_hz, self.settings = n_channels, rate_hz, settings
        self._refractory = round(settings.refractory_s * rate_hz)
        band = (settings.low_hz, settings.high_hz)
        self._sections = butter(settings.order, band, "bandpass", fs=rate_hz, output="sos")
        self._filter = np.zeros((len(self._sections), 2, n_channels))
        self._offset: NDArray[np.float64] | None = None
        self._row = np.zeros(n_channels)
        self._filtered = np.zeros((BLOCK, n_channels), np.float32)
        self._start = np.zeros((0, n_channels), np.float32)
        self._n_filtered = self._n_searched = 0
        self._beyond = np.zeros(n_channels, np.uint8)
        self._last = np.full(n_channels, LONG_AGO)
        most = -(-BLOCK // max(self._refractory, 2)) * n_channels
        self._sample, self._channel = np.zeros(most, np.int64), np.zeros(most, np.uint16)
        self.noise = None
        if noise is None:
            n_rows = max(1, round(settings.noise_s * rate_hz))
            self._start = np.empty((n_rows, n_channels), np.float32)
        else:
            self._set_noise(_checked_noise(noise, n_channels))

    def process(self, samples: NDArray[np.generic]) -> Crossings:
        """Detect spikes in the next samples; those of the first `noise_s` are returned once these are over.

        Args:
            samples: whole or floating-point numbers [T, C], T 0 or more, in any unit.

        Raises:
            RtdecodeError: another number of channels, or samples that are not finite; nothing of such a
                chunk is used.
        """
        self._check(samples)
        return concatenated(
            [self._take(samples[begin : begin + BLOCK]) for begin in range(0, len(samples), BLOCK)]
        )

    def finish(self) -> Crossings:
        """The spikes of a recording that ended within its first `noise_s`; otherwise none are left."""
        if self.noise is not None or self._n_filtered == 0:
            return concatenated([])
        return self._search_start()

    def _check(self, samples: NDArray[np.generic]) -> None:
        if samples.ndim != 2 or samples.shape[1] != self.n_channels:
            raise RtdecodeError(
                f"samples have shape {list(samples.shape)}",
                fix=f"give [samples, {self.n_channels} channels]",
            )
        if samples.dtype.kind not in "iuf":
            raise RtdecodeError(f"samples are {samples.dtype}", fix="give whole or floating-point numbers")
        if samples.dtype.kind == "f" and samples.size and not np.abs(samples).max() <= LARGEST:
            row, channel = np.argwhere(~(np.abs(samples) <= LARGEST))[0]
            raise RtdecodeError(
                f"sample {self._n_filtered + row} of channel {channel} is {samples[row, channel]}",
                fix="cut out or fill lost samples before detecting spikes",
            )

    def _take(self, samples: NDArray[np.generic]) -> Crossings:
        rows = samples.astype(np.float64, order="C")
        if self._offset is None:
            self._offset = rows[0].copy()
        filtered = self._filtered[: len(rows)]
        filter_rows(rows, self._offset, self._sections, self._filter, self._row, self._n_filtered, filtered)
        if self.settings.reference == "mean":
            subtract_mean(filtered)
        elif self.settings.reference == "median":
            subtract_median(filtered)
        before = self._n_filtered
        self._n_filtered += len(rows)
        if self.noise is not None:
            return self._search(filtered)
        n_more = min(len(filtered), len(self._start) - before)
        self._start[before : before + n_more] = filtered[:n_more]
        if self._n_filtered < len(self._start):
            return concatenated([])
        return concatenated([self._search_start(), self._search(filtered[n_more:])])

    def _search_start(self) -> Crossings:
        start = self._start[: self._n_filtered]
        self._set_noise(noise_sd(start))
        self._start = self._start[:0].copy()
        blocks = [start[begin : begin + BLOCK] for begin in range(0, len(start), BLOCK)]
        return concatenated([self._search(block) for block in blocks])

    def _search(self, filtered: NDArray[np.float32]) -> Crossings:
        n = find_crossings(
            filtered, self._low, self._high, self._refractory, self._n_searched,
            self._beyond, self._last, self._sample, self._channel,
        )  # fmt: skip
        self._n_searched += len(filtered)
        return Crossings(self._sample[:n].copy(), self._channel[:n].copy())

    def _set_noise(self, noise: NDArray[np.float64]) -> None:
        self.noise = noise
        height = np.where(noise > 0, self.settings.threshold_sd * noise, np.inf).astype(np.float32)
        self._low = -height
        self._high = height if self.settings.polarity == "both" else np.full_like(height, np.inf)


def noise_sd(filtered: NDArray[np.floating]) -> NDArray[np.float64]:
    """SD of each channel's noise f8[C], as median(|x|)/0.6745 over [T, C] (Quiroga et al. 2004).

    Spikes hardly change the median, while they would raise the SD itself and with it the threshold.
    """
    sd: NDArray[np.float64] = np.median(np.abs(filtered), axis=0).astype(np.float64) / MEDIAN_OF_NORMAL
    return sd


def concatenated(parts: list[Crossings]) -> Crossings:
    """Crossings of consecutive chunks, as one."""
    samples = [part.sample for part in parts]
    channels = [part.channel for part in parts]
    return Crossings(
        np.concatenate([np.zeros(0, np.int64), *samples]),
        np.concatenate([np.zeros(0, np.uint16), *channels]),
    )


def _checked_noise(noise: NDArray[np.float64], n_channels: int) -> NDArray[np.float64]:
    if noise.shape != (n_channels,) or not (np.isfinite(noise) & (noise >= 0)).all():
        raise RtdecodeError(
            "the noise must have one finite SD, 0 or more, for each channel",
            fix=f"give f8[{n_channels}]",
        )
    return noise.astype(np.float64)
