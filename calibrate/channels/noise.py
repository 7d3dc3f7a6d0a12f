"""What tells a channel that carries something else than spikes: hum, bursts, a bad contact, crosstalk.

told = noise(clipped, bin_width_s, count_max, fires)
told[5]                                 # "as regular as a clock at 60 Hz"

Thresholds were chosen on real days and on days that were spoilt on purpose: docs/calibrate.md has the table.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rtdecode.calibrate.channels.statistics import TOGETHER_S, ChannelMemory, correlations, in_bins

F8 = NDArray[np.float64]
Mask = NDArray[np.bool_]

#: No channel of threshold crossings fires more on average; 101 Hz is the most of 24 recordings.
MOST_HZ = 200.0

#: Part of the bins that may hold as many counts as are taken.
MOST_CLIPPED = 0.01

#: Variance over mean of counts. Below, in 0.32 s, ticks a clock (hum); above, in 64 ms, are bursts.
LEAST_FANO, MOST_FANO, REGULAR_S = 0.7, 5.0, 0.32

#: Below so few counts in a window regularity cannot be told, and so many SD are no chance.
FEWEST_COUNTS, CHANCE_SD = 1.0, 4.0

#: Variance over mean of counts that is so much above the model's last session's, and above a floor.
MOST_BLOWN_UP, BLOWN_UP_FROM = 3.5, 2.5

#: A channel is off where 5 s hold less than a twentieth of what its better times do.
CONTACT_S, OFF_BELOW, FEWEST_ON_HZ, MOST_OFF = 5.0, 0.05, 3.0, 0.15

#: Fewer such times say nothing.
FEWEST_CONTACTS = 12

#: A channel that goes with so many others as closely as this carries what they all pick up.
SHARED_CORRELATION, SHARED_WITH = 0.7, 3

#: A bin is shared if so many channels are so many SD above their means at once.
SHARED_PART, SHARED_SD = 0.6, 3.0


def noise(
    clipped: NDArray[np.uint8],
    bin_width_s: float,
    count_max: int,
    fires: Mask,
    memory: ChannelMemory | None = None,
) -> dict[int, str]:
    """Channels that carry something else than spikes, and how one can tell.

    Args:
        clipped: u1[T, C], counts of at most `count_max`.
        bin_width_s: seconds.
        count_max: see `ModelArtifact`.
        fires: bool[C], channels to look at.
        memory: of a model in these bins; None where there is none to compare with.
    """
    rate = clipped.mean(axis=0, dtype=np.float64) / bin_width_s
    full = (clipped >= count_max).mean(axis=0)
    short, regular = (fano(clipped, width_s, bin_width_s) for width_s in (TOGETHER_S, REGULAR_S))
    # What Poisson spikes have in so few windows by chance.
    n_windows = max(len(clipped) * bin_width_s / REGULAR_S, 2.0)
    least = min(LEAST_FANO, 1.0 - CHANCE_SD * float(np.sqrt(2.0 / n_windows)))
    off = part_off(clipped, bin_width_s)
    together = _partners(clipped, bin_width_s, fires)
    spread = fano(clipped, bin_width_s, bin_width_s)
    before = np.full(len(rate), np.nan) if memory is None else _fano_of(memory)
    told: dict[int, str] = {}
    for channel in np.flatnonzero(fires).tolist():
        reasons = [
            (rate[channel] > MOST_HZ, f"above {MOST_HZ:g} Hz"),
            (full[channel] > MOST_CLIPPED, f"more than {MOST_CLIPPED:.0%} of its bins full"),
            (
                rate[channel] * REGULAR_S >= FEWEST_COUNTS and regular[channel] < least,
                f"as regular as a clock at {rate[channel]:.0f} Hz",
            ),
            (short[channel] > MOST_FANO, "bursts"),
            (
                spread[channel] > BLOWN_UP_FROM and spread[channel] > MOST_BLOWN_UP * before[channel],
                "bursts, unlike in the base",
            ),
            (off[channel] > MOST_OFF, f"off for {off[channel]:.0%} of the time"),
            (together[channel] >= SHARED_WITH, "the same as on other channels"),
        ]
        found = [words for holds, words in reasons if holds]
        if found:
            told[channel] = found[0]
    return told


def fano(clipped: NDArray[np.uint8], width_s: float, bin_width_s: float) -> F8:
    """Variance over mean f8[C] of counts in bins of about `width_s`; 1 where nothing fires.

    Poisson spikes have 1, at any width.
    """
    summed = in_bins(clipped, max(1, round(width_s / bin_width_s)))
    if len(summed) < 2:
        return np.ones(clipped.shape[1])
    mean, variance = summed.mean(axis=0, dtype=np.float64), summed.var(axis=0, dtype=np.float64)
    return np.asarray(np.divide(variance, mean, out=np.ones_like(mean), where=mean > 0))


def _fano_of(memory: ChannelMemory) -> F8:
    """Variance over mean f8[C] in the model's bins, no less than Poisson's 1; NaN where it does not know."""
    known = np.isfinite(memory.mean) & (memory.mean > 0)
    ratio = np.divide(memory.sd**2, memory.mean, out=np.full(len(known), np.nan), where=known)
    return np.asarray(np.maximum(ratio, 1.0))


def part_off(clipped: NDArray[np.uint8], bin_width_s: float) -> F8:
    """Part f8[C] of the time in which a channel that fires otherwise does not; 0 for quiet ones."""
    summed = in_bins(clipped, max(1, round(CONTACT_S / bin_width_s)))
    if len(summed) < FEWEST_CONTACTS:
        return np.zeros(clipped.shape[1])
    level = np.quantile(summed, 0.9, axis=0)
    off = (summed <= OFF_BELOW * level).mean(axis=0)
    return np.where(level >= FEWEST_ON_HZ * CONTACT_S, off, 0.0)


def shared_per_min(clipped: NDArray[np.uint8], bin_width_s: float, fires: Mask) -> float:
    """Bins per minute in which most channels fire far above their mean at once."""
    if not fires.any() or not len(clipped):
        return 0.0
    counts = clipped[:, fires].astype(np.float32)
    high = counts > counts.mean(axis=0) + np.maximum(SHARED_SD * counts.std(axis=0), 1.0)
    shared = int((high.mean(axis=1) > SHARED_PART).sum())
    return shared / (len(clipped) * bin_width_s / 60.0)


def _partners(clipped: NDArray[np.uint8], bin_width_s: float, fires: Mask) -> NDArray[np.intp]:
    close = correlations(clipped, bin_width_s, 255) > SHARED_CORRELATION
    np.fill_diagonal(close, False)
    return np.asarray(close[:, fires].sum(axis=1))
