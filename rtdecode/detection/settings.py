"""Settings of spike detection and of spike-band power, and what is measured once and then frozen."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from rtdecode.errors import RtdecodeError

#: Channels that are listed in a line.
MOST_LISTED = 10

Polarity = Literal["negative", "both"]
Reference = Literal["none", "car", "median", "lrr"]
Measure = Literal["absolute", "rms"]


@dataclass(frozen=True, kw_only=True)
class DetectionSettings:
    """Settings of spike detection.

    Attributes:
        low_hz, high_hz: edges of the pass band, where the gain is 1/√2.
        order: of the Butterworth filter at each edge. A causal filter of a higher order cuts off more
            steeply and rings more: a large spike then has a second trough 1 ms later or more.
        threshold_sd: threshold in SDs of the noise, negative.
        polarity: "negative" detects troughs only, "both" also peaks beyond −threshold_sd.
        refractory_s: least time between two spikes of a channel, seconds.
        reference: subtracted from each channel after the band-pass: the mean of all ("car", which one channel
            with artefacts shifts), their median ("median", robust, slower, needs dozens of channels), what
            the other channels predict by linear regression ("lrr"), or nothing.
        noise_s: length of the start in which noise and weights are measured, seconds, 2/low_hz to 60.

    Raises:
        RtdecodeError: a value is out of its range.
    """

    low_hz: float = 300.0
    high_hz: float = 3000.0
    order: int = 2
    threshold_sd: float = -4.5
    polarity: Polarity = "negative"
    refractory_s: float = 0.001
    reference: Reference = "none"
    noise_s: float = 5.0

    def __str__(self) -> str:
        both = " and above" if self.polarity == "both" else ""
        reference = "" if self.reference == "none" else f", reference {self.reference}"
        return (
            f"{self.low_hz:g} to {self.high_hz:g} Hz{reference}, spikes below {self.threshold_sd:g} SD{both}"
        )

    def __post_init__(self) -> None:
        check_band(self.low_hz, self.high_hz, self.order)
        polarities, references = get_args(Polarity), get_args(Reference)
        check_ranges(
            ("threshold_sd", -math.inf < self.threshold_sd < 0, "be negative, such as -4.5"),
            ("polarity", self.polarity in polarities, f"be one of {', '.join(polarities)}"),
            ("refractory_s", 0 <= self.refractory_s <= 1, "be between 0 and 1 second"),
            ("reference", self.reference in references, f"be one of {', '.join(references)}"),
            (
                "noise_s",
                2 / self.low_hz <= self.noise_s <= 60,
                "be 2/low_hz to 60 seconds, as filters settle",
            ),
        )


@dataclass(frozen=True, kw_only=True)
class PowerSettings:
    """Settings of spike-band power.

    Attributes:
        low_hz, high_hz, order: of the band-pass, as in `DetectionSettings`.
        measure: of a bin's samples, "absolute" for the mean of |x|, "rms" for the root of the mean of x².
        bin_width_s: width of a bin, seconds.

    Raises:
        RtdecodeError: a value is out of its range.
    """

    low_hz: float = 300.0
    high_hz: float = 1000.0
    order: int = 2
    measure: Measure = "absolute"
    bin_width_s: float = 0.02

    def __str__(self) -> str:
        what = {"absolute": "mean |x|", "rms": "RMS"}[self.measure]
        return f"{what} of {self.low_hz:g} to {self.high_hz:g} Hz in {self.bin_width_s * 1e3:g} ms"

    def __post_init__(self) -> None:
        check_band(self.low_hz, self.high_hz, self.order)
        check_ranges(
            ("measure", self.measure in get_args(Measure), f"be one of {', '.join(get_args(Measure))}"),
            ("bin_width_s", 0 < self.bin_width_s <= 60, "be above 0 and up to 60 seconds"),
        )


@dataclass(frozen=True, eq=False)
class Measured:
    """What was measured in the first seconds; with it and the settings detection gives the same spikes again.

    Attributes:
        noise: f8[C], SD of the noise after band-pass and reference, in the unit of the samples; 0 for a
            channel that is dead or was unknown throughout, which has no spikes.
        weights: f4[C, C], with reference "lrr" what channel j (row) contributes to the prediction of
            channel c (column); otherwise None.

    Raises:
        RtdecodeError: shapes or values are impossible.
    """

    noise: NDArray[np.float64]
    weights: NDArray[np.float32] | None = None

    def __post_init__(self) -> None:
        noise, weights, n = self.noise, self.weights, len(self.noise)
        if noise.ndim != 1 or not (np.isfinite(noise) & (noise >= 0)).all():
            raise RtdecodeError(
                "the noise must have one finite SD, 0 or more, for each channel", fix=f"give f8[{n}]"
            )
        if weights is not None and (
            weights.shape != (n, n) or weights.dtype != np.float32 or not np.isfinite(weights).all()
        ):
            raise RtdecodeError(
                f"the weights must be finite and have shape {[n, n]}, and they are {weights.dtype} "
                f"{list(weights.shape)}",
                fix=f"give f4[{n}, {n}]",
            )


def listed(channels: NDArray[np.int64]) -> str:
    """Channels by their numbers, of many the first ones."""
    shown, many = ", ".join(map(str, channels[:MOST_LISTED].tolist())), channels.size > MOST_LISTED
    return f"channel{'s' if channels.size > 1 else ''} {shown}{', …' if many else ''}"


def check_band(low_hz: float, high_hz: float, order: int) -> None:
    """Check the edges and the order of a band-pass."""
    check_ranges(
        ("low_hz and high_hz", 0 < low_hz < high_hz < math.inf, "be positive, low below high"),
        ("order", order in range(1, 9), "be 1 to 8"),
    )


def check_ranges(*ranges: tuple[str, bool, str]) -> None:
    """Raise an error for the first of (name, whether its value is possible, what it must)."""
    for name, fine, what in ranges:
        if not fine:
            raise RtdecodeError(f"must {what}", where=name, fix="correct the detection settings")


DEFAULT = DetectionSettings()
