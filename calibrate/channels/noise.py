"""Channels that carry something other than spikes: hum, bursts, a bad contact, crosstalk.

reasons = noise(clipped, bin_width_s, count_max, fires)
reasons[5]                                 # "as regular as a clock at 60 Hz"

Thresholds were chosen on real days and on corrupted copies of them: docs/calibrate.md has the table.
"""

from __future__ import annotations

import numpy as np

from rtdecode.calibrate.channels.statistics import (
    CORRELATION_BIN_S,
    ChannelStatistics,
    in_bins,
    pairwise_correlations,
)
from rtdecode.kernels.arrays import F8, I8, U1, Mask

#: Highest mean rate of threshold crossings; the highest in 24 recordings is 101 Hz.
MAX_HZ = 200.0

#: Fraction of the bins that may reach the highest count.
MAX_CLIPPED = 0.01

#: Fano factors: below MIN_FANO in 0.32 s a channel is periodic (hum), above MAX_FANO in 64 ms it bursts.
MIN_FANO, MAX_FANO, REGULAR_S = 0.7, 5.0, 0.32

#: Counts in a window that a test of regularity needs, and the SDs that exclude chance.
MIN_COUNTS, CHANCE_SD = 1.0, 4.0

#: Factor by which a Fano factor may exceed that of the model's last session, and the lowest one tested.
MAX_FANO_RATIO, FANO_RATIO_FROM = 3.5, 2.5

#: A channel is off in 5 s with less than a twentieth of its 90 % quantile; up to this fraction of the time.
CONTACT_S, OFF_BELOW, MIN_ON_HZ, MAX_OFF = 5.0, 0.05, 3.0, 0.15

#: Number of such windows that the test needs.
MIN_CONTACTS = 12

#: A channel this correlated with this many others carries a common signal.
SHARED_CORRELATION, SHARED_WITH = 0.7, 3

#: A bin is shared if this fraction of the channels is this many SDs above their means at once.
SHARED_FRACTION, SHARED_SD = 0.6, 3.0


def noise(
    clipped: U1,
    bin_width_s: float,
    count_max: int,
    fires: Mask,
    base: ChannelStatistics | None = None,
    starts: I8 | None = None,
) -> dict[int, str]:
    """Channels that carry something other than spikes, with the reason for each.

    Args:
        clipped: u1[T, C], counts of at most `count_max`.
        bin_width_s: seconds.
        count_max: see `ModelArtifact`.
        fires: bool[C], channels to test.
        base: of a model in these bins; None where there is none to compare with.
        starts: i8[S], of the stretches between gaps; None without any.
    """
    rate = clipped.mean(axis=0, dtype=np.float64) / bin_width_s
    full = (clipped >= count_max).mean(axis=0)
    short, regular = (
        fano(clipped, width_s, bin_width_s, starts) for width_s in (CORRELATION_BIN_S, REGULAR_S)
    )
    # Poisson spikes have less than 1 by chance where there are few windows.
    n_windows = max(len(clipped) * bin_width_s / REGULAR_S, 2.0)
    least = min(MIN_FANO, 1.0 - CHANCE_SD * float(np.sqrt(2.0 / n_windows)))
    off = fraction_off(clipped, bin_width_s, starts)
    alike = pairwise_correlations(clipped, bin_width_s, 255, starts) > SHARED_CORRELATION
    np.fill_diagonal(alike, False)
    partners = alike[:, fires].sum(axis=1)
    own = fano(clipped, bin_width_s, bin_width_s, starts)
    before = np.full(len(rate), np.nan) if base is None else _fano_of(base)
    noisy: dict[int, str] = {}
    for channel in np.flatnonzero(fires).tolist():
        reasons = [
            (rate[channel] > MAX_HZ, f"above {MAX_HZ:g} Hz"),
            (full[channel] > MAX_CLIPPED, f"more than {MAX_CLIPPED:.0%} of its bins full"),
            (
                rate[channel] * REGULAR_S >= MIN_COUNTS and regular[channel] < least,
                f"as regular as a clock at {rate[channel]:.0f} Hz",
            ),
            (short[channel] > MAX_FANO, "bursts"),
            (
                own[channel] > FANO_RATIO_FROM and own[channel] > MAX_FANO_RATIO * before[channel],
                "bursts, unlike in the base",
            ),
            (off[channel] > MAX_OFF, f"off for {off[channel]:.0%} of the time"),
            (partners[channel] >= SHARED_WITH, "the same as on other channels"),
        ]
        found = [reason for applies, reason in reasons if applies]
        if found:
            noisy[channel] = found[0]
    return noisy


def fano(clipped: U1, width_s: float, bin_width_s: float, starts: I8 | None = None) -> F8:
    """Fano factor (variance over mean) f8[C] of counts in bins of about `width_s`; 1 for silent channels.

    That of Poisson spikes is 1, at any width.
    """
    summed = in_bins(clipped, max(1, round(width_s / bin_width_s)), starts)
    if len(summed) < 2:
        return np.ones(clipped.shape[1])
    mean, variance = summed.mean(axis=0, dtype=np.float64), summed.var(axis=0, dtype=np.float64)
    return np.asarray(np.divide(variance, mean, out=np.ones_like(mean), where=mean > 0))


def _fano_of(base: ChannelStatistics) -> F8:
    """Fano factor f8[C] in the model's bins, no less than Poisson's 1; NaN where unknown."""
    fires = np.isfinite(base.mean) & (base.mean > 0)
    ratio = np.divide(base.sd**2, base.mean, out=np.full(len(fires), np.nan), where=fires)
    return np.asarray(np.maximum(ratio, 1.0))


def fraction_off(clipped: U1, bin_width_s: float, starts: I8 | None = None) -> F8:
    """Fraction f8[C] of the time in which a channel that usually fires is silent; 0 for quiet channels."""
    summed = in_bins(clipped, max(1, round(CONTACT_S / bin_width_s)), starts)
    if len(summed) < MIN_CONTACTS:
        return np.zeros(clipped.shape[1])
    level = np.quantile(summed, 0.9, axis=0)
    off = (summed <= OFF_BELOW * level).mean(axis=0)
    return np.where(level >= MIN_ON_HZ * CONTACT_S, off, 0.0)


def shared_per_min(clipped: U1, bin_width_s: float, fires: Mask) -> float:
    """Bins per minute in which most channels fire far above their mean at once."""
    if not fires.any() or not len(clipped):
        return 0.0
    counts = clipped[:, fires].astype(np.float32)
    high = counts > counts.mean(axis=0) + np.maximum(SHARED_SD * counts.std(axis=0), 1.0)
    shared = int((high.mean(axis=1) > SHARED_FRACTION).sum())
    return shared / (len(clipped) * bin_width_s / 60.0)
