"""Today's channels: silent, new, noisy, or in another order than the model learnt them in.

found = examine(counts, targets, base, bin_width_s)
found.noisy                     # bool[C], to be masked
found.notes                     # what is odd and what to do about it, a sentence each

Thresholds were chosen on real days and on days that were spoilt on purpose: docs/calibrate.md has the table.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rtdecode.artifact import ModelArtifact
from rtdecode.calibrate.memory import (
    TOGETHER_S,
    ChannelMemory,
    correlations,
    in_bins,
    remember,
    remembered,
    tuning_of,
)
from rtdecode.calibrate.order import BANKS, Order, find_order, span

F8 = NDArray[np.float64]
Mask = NDArray[np.bool_]

DEAD_BELOW_HZ = 0.05

#: No channel of threshold crossings fires more on average; 101 Hz is the most of 24 recordings.
MOST_HZ = 200.0

#: Part of the bins that may hold as many counts as are taken.
MOST_CLIPPED = 0.01

#: Variance over mean of counts. Below, in 0.32 s, ticks a clock (hum); above, in 64 ms, are bursts.
LEAST_FANO, MOST_FANO, REGULAR_S = 0.7, 5.0, 0.32

#: Below so few counts in a window regularity cannot be told.
FEWEST_COUNTS = 1.0

#: Variance over mean of counts that is so much above the model's last session's, and above a floor.
MOST_BLOWN_UP, BLOWN_UP_FROM = 3.5, 2.5

#: A channel is off where 5 s hold less than a twentieth of what its better times do.
CONTACT_S, OFF_BELOW, FEWEST_ON_HZ, MOST_OFF = 5.0, 0.05, 3.0, 0.15

#: A channel that goes with so many others as closely as this carries what they all pick up.
SHARED_CORRELATION, SHARED_WITH = 0.7, 3

#: Noise on more of the channels than this is the rig's: masking it would leave nothing.
MOST_MASKED = 0.25

#: A bin is shared if so many channels are so many SD above their means at once, and how many a minute pass.
SHARED_PART, SHARED_SD, MOST_SHARED_PER_MIN = 0.6, 3.0, 1.0

#: Factor by which the median channel's rate may differ from the model's last session.
MOST_RATE_CHANGE = 2.5


@dataclass(frozen=True)
class Oddity:
    """Something about today's channels.

    Attributes:
        what: is odd.
        mend: what to do about it.
    """

    what: str
    mend: str

    def __str__(self) -> str:
        return f"{self.what}: {self.mend}"


@dataclass(frozen=True, eq=False)
class Channels:
    """What was found.

    Attributes:
        memory: what the model knows of its last session's channels.
        today: the same of this session.
        silent: bool[C], used by the model, and silent today.
        never: bool[C], neither used by the model nor firing today.
        new: bool[C], firing, and not used by the model.
        noisy: bool[C], to be masked.
        why: of each noisy channel.
        shared_per_min: bins in which most of the array fires, per minute.
        order: the best other order; None where nothing can be compared.
        oddities: what a person should know.
    """

    memory: ChannelMemory
    today: ChannelMemory
    silent: Mask
    never: Mask
    new: Mask
    noisy: Mask
    why: dict[int, str]
    shared_per_min: float
    order: Order | None
    oddities: tuple[Oddity, ...]

    @property
    def notes(self) -> list[str]:
        """The oddities, a sentence each."""
        return [str(oddity) for oddity in self.oddities]

    @property
    def reordered(self) -> str:
        """What happened to the order of the channels; "" where it is as it was."""
        return self.order.words if self.order is not None and self.order.reordered else ""


def examine(
    counts: NDArray[np.uint8], targets: NDArray[np.float32] | None, base: ModelArtifact, bin_width_s: float
) -> Channels:
    """Hold a session's channels against what is plausible, and against those of a model.

    Args:
        counts: u1[T, C], all that may be looked at.
        targets: f4[T, D], NaN where unknown; None without labels.
        base: the model.
        bin_width_s: seconds.

    Raises:
        RtdecodeError: what the base keeps of its channels is damaged.
    """
    memory = remembered(base)
    clipped = np.minimum(counts, np.uint8(base.count_max))
    mean = clipped.mean(axis=0, dtype=np.float64)
    fires = (mean >= DEAD_BELOW_HZ * bin_width_s) & (np.ptp(clipped, axis=0) > 0)
    why = noise(clipped, bin_width_s, base.count_max, fires, memory)
    array_wide = len(why) > MOST_MASKED * max(int(fires.sum()), 1)
    noisy = np.zeros(len(mean), np.bool_)
    if not array_wide:
        noisy[list(why)] = True
    today = _described(counts, targets, bin_width_s, base.count_max, fires & ~noisy)
    order = find_order(today, memory, bin_width_s)
    shared = shared_per_min(clipped, bin_width_s, fires & ~noisy)
    found = Channels(
        memory=memory,
        today=today,
        silent=memory.used & ~fires,
        never=~memory.used & ~fires,
        new=fires & ~memory.used & ~noisy,
        noisy=noisy,
        why=why,
        shared_per_min=shared,
        order=order,
        oddities=(),
    )
    return Channels(**vars(found) | {"oddities": tuple(_oddities(found, array_wide))})


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
    off = part_off(clipped, bin_width_s)
    together = _partners(clipped, bin_width_s, fires)
    spread = fano(clipped, bin_width_s, bin_width_s)
    before = np.full(len(rate), np.nan) if memory is None else _fano_of(memory)
    told: dict[int, str] = {}
    for channel in np.flatnonzero(fires).tolist():
        reasons = [
            (rate[channel] > MOST_HZ, f"{rate[channel]:.0f} Hz"),
            (full[channel] > MOST_CLIPPED, f"{full[channel]:.0%} of its bins full"),
            (
                rate[channel] * REGULAR_S >= FEWEST_COUNTS and regular[channel] < LEAST_FANO,
                f"as regular as a clock at {rate[channel]:.0f} Hz",
            ),
            (short[channel] > MOST_FANO, f"bursts, variance {short[channel]:.0f} times the mean"),
            (
                spread[channel] > BLOWN_UP_FROM and spread[channel] > MOST_BLOWN_UP * before[channel],
                f"variance {spread[channel] / before[channel]:.0f} times the base's",
            ),
            (off[channel] > MOST_OFF, f"off for {off[channel]:.0%} of the time"),
            (together[channel] >= SHARED_WITH, f"the same as on {together[channel]} other channels"),
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
    return np.divide(variance, mean, out=np.ones_like(mean), where=mean > 0)


def _fano_of(memory: ChannelMemory) -> F8:
    """Variance over mean f8[C] in the model's bins, no less than Poisson's 1; NaN where it does not know."""
    known = np.isfinite(memory.mean) & (memory.mean > 0)
    ratio = np.divide(memory.sd**2, memory.mean, out=np.full(len(known), np.nan), where=known)
    return np.maximum(ratio, 1.0)


def part_off(clipped: NDArray[np.uint8], bin_width_s: float) -> F8:
    """Part f8[C] of the time in which a channel that fires otherwise does not; 0 for quiet ones."""
    summed = in_bins(clipped, max(1, round(CONTACT_S / bin_width_s)))
    if len(summed) < 4:
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


def _described(
    counts: NDArray[np.uint8],
    targets: NDArray[np.float32] | None,
    bin_width_s: float,
    count_max: int,
    used: Mask,
) -> ChannelMemory:
    kept = remember(counts, None, bin_width_s, count_max)
    mean, sd, together = (kept[f"channels.{name}"].astype(np.float64) for name in ("mean", "sd", "together"))
    tuning = None if targets is None else tuning_of(counts, targets, bin_width_s, count_max)
    return ChannelMemory(used, mean, sd, together, tuning)


def _oddities(found: Channels, array_wide: bool) -> Iterator[Oddity]:
    n = len(found.silent)
    if found.reordered and found.order is not None:
        surely = "" if found.memory.together is not None else "by their rates alone, "
        yield Oddity(
            f"channels look reordered ({surely}{found.order.gain:.1f} times the evidence needed): "
            f"{found.order.words}",
            "check the connectors and the channel map, and record again",
        )
    if found.silent.any():
        banks = list(_whole_banks(found.silent))
        yield Oddity(
            f"{int(found.silent.sum())} of {n} channels are silent today: {listed(found.silent)}",
            f"they are masked; {' and '.join(banks)} whole: check that connector"
            if banks
            else "they are masked",
        )
    if found.new.any():
        yield Oddity(
            f"{int(found.new.sum())} of {n} channels are new today: {listed(found.new)}",
            "the base did not use them; they are read in",
        )
    if array_wide:
        yield Oddity(
            f"{len(found.why)} of {n} channels are noisy, too many to mask",
            "check ground, reference and thresholds, and record again",
        )
    elif found.noisy.any():
        reasons = ", ".join(f"{channel} ({why})" for channel, why in found.why.items())
        yield Oddity(
            f"{int(found.noisy.sum())} of {n} channels are noisy: {reasons}",
            "they are masked; check their contacts and thresholds",
        )
    if found.shared_per_min > MOST_SHARED_PER_MIN:
        yield Oddity(
            f"most of the array fires at once {found.shared_per_min:.1f} times a minute",
            "look for an artefact: movement of the cable, stimulation, a bad ground",
        )
    change = rate_change(found)
    if np.isfinite(change) and not 1 / MOST_RATE_CHANGE <= change <= MOST_RATE_CHANGE:
        yield Oddity(
            f"the median channel fires {change:.2g} times as much as in the base's last session",
            "if thresholds were set anew, that is why; else check the gain",
        )


def rate_change(found: Channels) -> float:
    """Median over channels of today's rate over the base's; NaN where none can be compared."""
    both = found.today.used & found.memory.used & np.isfinite(found.memory.mean) & (found.memory.mean > 0)
    if not both.any():
        return float("nan")
    return float(np.median(found.today.mean[both] / found.memory.mean[both]))


def listed(channels: Mask) -> str:
    """Channels as a person lists them: "3, 5, 32–63"."""
    numbers = np.flatnonzero(channels)
    runs = np.split(numbers, np.flatnonzero(np.diff(numbers) > 1) + 1)
    return ", ".join(span(run) if len(run) > 2 else ", ".join(map(str, run)) for run in runs)


def _whole_banks(silent: Mask) -> Iterator[str]:
    """The widest banks of a connector none of whose channels fires."""
    left = silent.copy()
    for width in sorted(BANKS, reverse=True):
        if len(silent) % width or len(silent) < 2 * width:
            continue
        for bank in np.arange(len(silent)).reshape(-1, width):
            if left[bank].all():
                left[bank] = False
                yield span(bank)
