"""Whether the channels of an array are in another order than in the model's last session.

found = find_permutation(today, base, bin_width_s)
found.reordered, found.description            # True, "0–31 and 32–63 are swapped"

Connectors carry banks of channels, so what happens is that banks are swapped, shifted or reversed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from rtdecode.calibrate.channels.statistics import ChannelStatistics
from rtdecode.kernels.arrays import F8, Mask

#: Channels of a connector's bank.
BANKS = (16, 32, 64)

#: Correlations are clipped to it: two channels with the same unit are no more evidence than others.
MAX_CORRELATION = 0.5

#: Gain over the unchanged order that a permutation needs, for each kind of evidence.
MIN_GAIN_CORRELATION, MIN_GAIN_TUNING, MIN_GAIN_RATES = 7.5, 5.0, 5.0

#: SD / √mean is clipped to this range, and MIN_HZ is added to rates before their logarithm.
MIN_SD_RATIO, MAX_SD_RATIO, MIN_HZ = 0.6, 1.6, 0.2


@dataclass(frozen=True, eq=False)
class Permutation:
    """The best permutation of an array's channels, and the evidence for it.

    Attributes:
        reordered: whether it explains the session much better than the unchanged order.
        description: what would have happened to the array.
        permutation: i[C], the session's channel that is the model's channel c.
        gain: by how much it is better, 1 is the threshold.
        similarity: cosine of the session's and the model's statistics in the unchanged order, −1 to 1; NaN
            if unknown.
        evidence: what it is by: "pairwise correlations", "tuning" or "rates".
    """

    reordered: bool
    description: str
    permutation: NDArray[np.intp]
    gain: float
    similarity: float
    evidence: str


def find_permutation(
    today: ChannelStatistics, base: ChannelStatistics, bin_width_s: float
) -> Permutation | None:
    """Compare a session's channels with a model's, unchanged and in the orders that connectors can make.

    Evidence is pairwise correlations (less each channel's mean with all) and tuning; rates and their SD
    where a model keeps neither. The gain of a permutation is the sum, over the channels that it moves, of
    their products with the model's, less the same sum for the unchanged order, over the square root of the
    number of summands; everything scaled to a mean square of 1.

    Args:
        today: of the session.
        base: of the model.
        bin_width_s: of both, seconds.

    Returns:
        The best permutation; None where there is nothing to compare.
    """
    n_channels = len(today.mean)
    orders = list(candidates(n_channels))
    evidence = list(_evidence(today, base, bin_width_s))
    if not orders or not evidence:
        return None
    gains = np.array([each.gains([permutation for permutation, _ in orders]) for each in evidence])
    # A permutation is accepted only if no evidence is against it.
    total = np.where((gains > 0).all(axis=0), gains.max(axis=0), gains.min(axis=0))
    best = int(np.argmax(total))
    return Permutation(
        reordered=bool(total[best] > 1.0),
        description=orders[best][1],
        permutation=orders[best][0],
        gain=float(total[best]),
        similarity=evidence[0].similarity,
        evidence=" and ".join(each.name for each in evidence),
    )


def candidates(n_channels: int) -> Iterator[tuple[NDArray[np.intp], str]]:
    """Permutations i[C] that connectors can make, each once, and their descriptions."""
    seen = {tuple(range(n_channels))}
    for permutation, description in _all(n_channels):
        key = tuple(permutation.tolist())
        if key not in seen:
            seen.add(key)
            yield permutation, description


def _all(n_channels: int) -> Iterator[tuple[NDArray[np.intp], str]]:
    whole = np.arange(n_channels)
    for width in dict.fromkeys((*BANKS, n_channels // 2)):
        if width < 2 or n_channels % width or n_channels < 2 * width:
            continue
        banks = whole.reshape(-1, width)
        for i, j in combinations(range(len(banks)), 2):
            swapped = banks.copy()
            swapped[[i, j]] = banks[[j, i]]
            yield swapped.ravel(), f"{span(banks[i])} and {span(banks[j])} are swapped"
        for by in range(1, len(banks)):
            moved = by * width
            description = f"all channels are shifted by {moved}: {span(banks[0])} are at {span(banks[by])}"
            yield np.roll(banks, -by, axis=0).ravel(), description
        for i in range(len(banks)):
            reversed_bank = banks.copy()
            reversed_bank[i] = banks[i][::-1]
            yield reversed_bank.ravel(), f"{span(banks[i])} are reversed"
        yield banks[:, ::-1].ravel(), f"each bank of {width} is reversed"
    yield whole[::-1].copy(), "all channels are reversed"


def span(channels: NDArray[np.intp]) -> str:
    """Consecutive channels as their first and last: 32–63."""
    return f"{channels[0]}–{channels[-1]}"


@dataclass(frozen=True, eq=False)
class _Evidence:
    """Statistics that distinguish channels.

    Attributes:
        name: shown to users.
        today, model: f8[C, F], or f8[C, C] if `between`; of a mean square of 1.
        min_gain: the gain that a permutation needs.
        between: whether these are values of pairs of channels, so that columns are permuted, too.
    """

    name: str
    today: F8
    model: F8
    min_gain: float
    between: bool = False

    @property
    def similarity(self) -> float:
        size = np.sqrt((self.today**2).sum() * (self.model**2).sum())
        return float((self.today * self.model).sum() / size) if size > 0 else float("nan")

    def gains(self, orders: list[NDArray[np.intp]]) -> F8:
        """The gain of each permutation, in units of `min_gain`."""
        unchanged = (self.today * self.model).sum(axis=1)
        gains = []
        for permutation in orders:
            moved = np.flatnonzero(permutation != np.arange(len(permutation)))
            permuted = self.today[permutation[moved]]
            if self.between:
                permuted = permuted[:, permutation]
            gained = (permuted * self.model[moved]).sum() - unchanged[moved].sum()
            gains.append(gained / np.sqrt(len(moved) * self.today.shape[1]) / self.min_gain)
        return np.array(gains)


def _evidence(today: ChannelStatistics, base: ChannelStatistics, bin_width_s: float) -> Iterator[_Evidence]:
    if today.correlation is not None and base.correlation is not None:
        pair = (_centred(today.correlation, today.used), _centred(base.correlation, base.used))
        yield _Evidence("pairwise correlations", *pair, MIN_GAIN_CORRELATION, between=True)
    if today.tuning is not None and base.tuning is not None:
        yield _Evidence("tuning", _unit(today.tuning.slope), _unit(base.tuning.slope), MIN_GAIN_TUNING)
    if base.correlation is None and np.isfinite(base.mean).any():
        yield _Evidence("rates", _firing(today, bin_width_s), _firing(base, bin_width_s), MIN_GAIN_RATES)


def _centred(correlation: F8, used: Mask) -> F8:
    both = used[:, np.newaxis] & used
    np.fill_diagonal(both, False)
    clipped = np.where(both, np.clip(correlation, -MAX_CORRELATION, MAX_CORRELATION), 0.0)
    n = max(int(used.sum()) - 1, 1)
    own = clipped.sum(axis=1) / n
    return _unit(np.where(both, clipped - own[:, np.newaxis] - own + own[used].mean(), 0.0))


def _firing(statistics: ChannelStatistics, bin_width_s: float) -> F8:
    """Log rates and SD / √mean, f8[C, 2], each less its mean; 0 where unknown."""
    fires = statistics.used & np.isfinite(statistics.mean) & (statistics.mean > 0)
    mean = np.where(fires, statistics.mean, 1.0)
    ratio = np.where(fires, statistics.sd, 1.0) / np.sqrt(mean)
    # A silent channel has the lowest rate.
    rate = np.log(np.where(fires, mean, 0.0) / bin_width_s + MIN_HZ)
    columns = [rate - rate.mean()]
    ratio = np.clip(ratio, MIN_SD_RATIO, MAX_SD_RATIO)
    columns.append(np.where(fires, ratio - ratio[fires].mean(), 0.0) if fires.any() else ratio * 0.0)
    return _unit(np.stack([_unit(column) for column in columns], axis=1))


def _unit(values: F8) -> F8:
    size = np.sqrt((values**2).mean())
    return values / size if size > 0 else values
