"""Check a session's channels: silent, new, noisy, or in another order than in the model's last session.

found = examine(counts, targets, base, bin_width_s)
found.noisy                     # bool[C], to be masked
found.notes                     # what is odd and what to do about it, a sentence each

Thresholds were chosen on real days and on corrupted copies of them: docs/calibrate.md has the table.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from rtdecode.artifact import ModelArtifact
from rtdecode.calibrate.channels.noise import noise, shared_per_min
from rtdecode.calibrate.channels.permutation import BANKS, Permutation, find_permutation, span
from rtdecode.calibrate.channels.statistics import (
    ChannelStatistics,
    channel_statistics,
    channel_tensors,
    tuning_of,
)
from rtdecode.kernels.arrays import F4, I8, U1, Mask
from rtdecode.models.alive import alive_channels

#: Noise on more than this fraction of the channels is the rig's, and is not masked.
MAX_MASKED = 0.25

#: Bins per minute in which most of the array may fire at once.
MAX_SHARED_PER_MIN = 1.0

#: Fraction of the base's channels above which silent or noisy ones are a serious oddity.
MAX_LOST = 0.1

#: Factor by which the median channel's rate may differ from the model's last session.
MAX_RATE_CHANGE = 2.5


@dataclass(frozen=True)
class Oddity:
    """Something odd about the session's channels.

    Attributes:
        what: is odd.
        fix: what to do about it.
        serious: whether a person should check it before using the model.
    """

    what: str
    fix: str
    serious: bool = False

    def __str__(self) -> str:
        return f"{self.what}; {self.fix}"


@dataclass(frozen=True, eq=False)
class Channels:
    """A session's channels, compared with a model's.

    Attributes:
        base: statistics of the model's last session.
        today: statistics of this session.
        silent: bool[C], used by the model, and silent today.
        never: bool[C], neither used by the model nor firing today.
        new: bool[C], firing, and not used by the model.
        noisy: bool[C], to be masked.
        why: the reason for each noisy channel.
        shared_per_min: bins per minute in which most of the array fires.
        permutation: the best permutation; None where nothing can be compared.
    """

    base: ChannelStatistics
    today: ChannelStatistics
    silent: Mask
    never: Mask
    new: Mask
    noisy: Mask
    why: dict[int, str]
    shared_per_min: float
    permutation: Permutation | None

    @cached_property
    def oddities(self) -> tuple[Oddity, ...]:
        """What a person should know."""
        return tuple(_oddities(self))

    @property
    def notes(self) -> list[str]:
        """The oddities, a sentence each."""
        return [str(oddity) for oddity in self.oddities]

    @property
    def reordered(self) -> str:
        """What happened to the order of the channels; "" where it is unchanged."""
        found = self.permutation
        return found.description if found is not None and found.reordered else ""


def examine(
    counts: U1, targets: F4 | None, base: ModelArtifact, bin_width_s: float, starts: I8 | None = None
) -> Channels:
    """Compare a session's channels with plausible ones, and with those of a model.

    Args:
        counts: u1[T, C], without the test part.
        targets: f4[T, D], NaN where unknown; None without labels.
        base: the model.
        bin_width_s: seconds.
        starts: i8[S], of the stretches between gaps; None without any.

    Raises:
        RtdecodeError: the base's statistics are damaged.
    """
    before = channel_statistics(base)
    clipped = np.minimum(counts, np.uint8(base.count_max))
    fires = alive_channels(clipped, bin_width_s)
    why = noise(clipped, bin_width_s, base.count_max, fires, before, starts)
    noisy = np.zeros(len(fires), np.bool_)
    if len(why) <= MAX_MASKED * max(int(fires.sum()), 1):
        noisy[list(why)] = True
    kept = channel_tensors(counts, None, bin_width_s, base.count_max, starts)
    mean, sd, correlation = (
        kept[f"channels.{name}"].astype(np.float64) for name in ("mean", "sd", "together")
    )
    tuning = None if targets is None else tuning_of(counts, targets, bin_width_s, base.count_max, starts)
    today = ChannelStatistics(fires & ~noisy, mean, sd, correlation, tuning)
    return Channels(
        base=before,
        today=today,
        silent=before.used & ~fires,
        never=~before.used & ~fires,
        new=fires & ~before.used & ~noisy,
        noisy=noisy,
        why=why,
        shared_per_min=shared_per_min(clipped, bin_width_s, fires & ~noisy),
        permutation=find_permutation(today, before, bin_width_s),
    )


def _oddities(found: Channels) -> Iterator[Oddity]:
    n = len(found.silent)
    if found.reordered and found.permutation is not None:
        basis = "" if found.base.correlation is not None else "by their rates alone, "
        yield Oddity(
            f"channels look reordered ({basis}{found.permutation.gain:.1f} times the evidence needed): "
            f"{found.reordered}",
            "check the connectors and the channel map, and record again",
            serious=True,
        )
    lost = MAX_LOST * max(int(found.base.used.sum()), 1)
    if found.silent.any():
        banks = list(_whole_banks(found))
        connector = f"; {' and '.join(banks)} are silent as a whole, so check the connector" if banks else ""
        yield Oddity(
            f"{_of(found.silent)} silent today: {listed(found.silent)}",
            f"masked{connector}",
            serious=bool(banks) or bool(found.silent.sum() > lost),
        )
    if found.new.any():
        yield Oddity(
            f"{_of(found.new)} new today: {listed(found.new)}",
            "unused by the base, they are used from now on",
        )
    if found.why and not found.noisy.any():
        yield Oddity(
            f"{len(found.why)} of {n} channels are noisy, too many to mask",
            "check ground, reference and thresholds, and record again",
            serious=True,
        )
    elif found.noisy.any():
        yield Oddity(
            f"{_of(found.noisy)} noisy: {_by_reason(found.why)}",
            "masked; check contacts and thresholds",
            serious=bool(found.noisy.sum() > lost),
        )
    if found.shared_per_min > MAX_SHARED_PER_MIN:
        yield Oddity(
            f"most of the array fires at once {found.shared_per_min:.1f} times a minute",
            "find the artefact: movement of the cable, stimulation, a bad ground",
            serious=True,
        )
    change = rate_change(found)
    if np.isfinite(change) and not 1 / MAX_RATE_CHANGE <= change <= MAX_RATE_CHANGE:
        yield Oddity(
            f"the median channel fires {change:.2g} times as much as in the base's last session",
            "check the gain, unless thresholds were changed",
            serious=True,
        )


def rate_change(found: Channels) -> float:
    """Median over channels of today's rate over the base's; NaN where none can be compared."""
    both = found.today.used & found.base.used & np.isfinite(found.base.mean) & (found.base.mean > 0)
    if not both.any():
        return float("nan")
    return float(np.median(found.today.mean[both] / found.base.mean[both]))


def listed(channels: Mask) -> str:
    """Channels as text: "3, 5, 32–63"."""
    numbers = np.flatnonzero(channels)
    runs = np.split(numbers, np.flatnonzero(np.diff(numbers) > 1) + 1)
    return ", ".join(span(run) if len(run) > 2 else ", ".join(map(str, run)) for run in runs)


def _of(channels: Mask) -> str:
    return f"{int(channels.sum())} of {len(channels)} channels {'is' if channels.sum() == 1 else 'are'}"


def _by_reason(why: dict[int, str]) -> str:
    """Channels grouped by reason: "5, 17 (as regular as a clock at 60 Hz)"."""
    return ", ".join(
        f"{', '.join(str(channel) for channel, other in why.items() if other == reason)} ({reason})"
        for reason in dict.fromkeys(why.values())
    )


def _whole_banks(found: Channels) -> Iterator[str]:
    """The widest banks of a connector that are silent, and of which the base used half or more."""
    quiet = found.silent | found.never
    reported = np.zeros_like(quiet)
    for width in sorted(BANKS, reverse=True):
        if len(quiet) % width or len(quiet) < 2 * width:
            continue
        for bank in np.arange(len(quiet)).reshape(-1, width):
            if quiet[bank].all() and 2 * found.silent[bank].sum() >= width and not reported[bank].any():
                reported[bank] = True
                yield span(bank)
