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
from rtdecode.calibrate.channels.noise import noise, shared_per_min
from rtdecode.calibrate.channels.permutation import BANKS, Order, find_order, span
from rtdecode.calibrate.channels.statistics import ChannelMemory, remember, remembered, tuning_of
from rtdecode.models.alive import alive_channels

F8 = NDArray[np.float64]
Mask = NDArray[np.bool_]


#: Noise on more of the channels than this is the rig's: masking it would leave nothing.
MOST_MASKED = 0.25

#: Bins in which most of the array fires, per minute, that pass.
MOST_SHARED_PER_MIN = 1.0

#: Part of the base's channels that may be silent or noisy without a person having to look.
MOST_LOST = 0.1

#: Factor by which the median channel's rate may differ from the model's last session.
MOST_RATE_CHANGE = 2.5


@dataclass(frozen=True)
class Oddity:
    """Something about today's channels.

    Attributes:
        what: is odd.
        fix: what to do about it.
        serious: whether a person should look before trusting today.
    """

    what: str
    fix: str
    serious: bool = False

    def __str__(self) -> str:
        return f"{self.what}; {self.fix}"


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
    fires = alive_channels(clipped, bin_width_s)
    why = noise(clipped, bin_width_s, base.count_max, fires, memory)
    array_wide = len(why) > MOST_MASKED * max(int(fires.sum()), 1)
    noisy = np.zeros(len(fires), np.bool_)
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
            serious=True,
        )
    lost = MOST_LOST * max(int(found.memory.used.sum()), 1)
    if found.silent.any():
        banks = list(_whole_banks(found))
        connector = f"; {' and '.join(banks)} all together, so check the connector" if banks else ""
        yield Oddity(
            f"{_of(found.silent)} silent today: {listed(found.silent)}",
            f"masked{connector}",
            serious=bool(banks) or bool(found.silent.sum() > lost),
        )
    if found.new.any():
        yield Oddity(
            f"{_of(found.new)} new today: {listed(found.new)}",
            "unused by the base, they are read in",
        )
    if array_wide:
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
    if found.shared_per_min > MOST_SHARED_PER_MIN:
        yield Oddity(
            f"most of the array fires at once {found.shared_per_min:.1f} times a minute",
            "look for an artefact: movement of the cable, stimulation, a bad ground",
            serious=True,
        )
    change = rate_change(found)
    if np.isfinite(change) and not 1 / MOST_RATE_CHANGE <= change <= MOST_RATE_CHANGE:
        yield Oddity(
            f"the median channel fires {change:.2g} times as much as in the base's last session",
            "if thresholds were set anew, that is why; else check the gain",
            serious=True,
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


def _of(channels: Mask) -> str:
    return f"{int(channels.sum())} of {len(channels)} channels {'is' if channels.sum() == 1 else 'are'}"


def _by_reason(why: dict[int, str]) -> str:
    """Channels with one and the same reason together: "5, 17 (as regular as a clock at 60 Hz)"."""
    return ", ".join(
        f"{', '.join(str(channel) for channel, other in why.items() if other == reason)} ({reason})"
        for reason in dict.fromkeys(why.values())
    )


def _whole_banks(found: Channels) -> Iterator[str]:
    """The widest banks of a connector none of whose channels fires, and half of them did."""
    quiet = found.silent | found.never
    told = np.zeros_like(quiet)
    for width in sorted(BANKS, reverse=True):
        if len(quiet) % width or len(quiet) < 2 * width:
            continue
        for bank in np.arange(len(quiet)).reshape(-1, width):
            if quiet[bank].all() and 2 * found.silent[bank].sum() >= width and not told[bank].any():
                told[bank] = True
                yield span(bank)
