"""Whether the channels of an array stand in another order today than when the model learnt them.

order = find_order(today, memory)
order.reordered, order.words            # True, "0–31 and 32–63 have changed places"

Connectors carry banks of channels, so what happens is that banks change places, move on or are turned round.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from rtdecode.calibrate.channels.statistics import ChannelMemory

F8 = NDArray[np.float64]

#: Channels of a connector's bank.
BANKS = (16, 32, 64)

#: A pair of channels that are one and the same unit says no more than a pair that goes together.
MOST_TOGETHER = 0.5

#: How much better than the channels as they stand another order has to be, for each kind of evidence.
BETTER_TOGETHER, BETTER_TUNED, BETTER_FIRING = 7.5, 5.0, 5.0

#: Range of SD / √mean that patterns are compared in, and what is added to rates before their logarithm.
SPREAD_FROM, SPREAD_TO, LEAST_HZ = 0.6, 1.6, 0.2


@dataclass(frozen=True, eq=False)
class Order:
    """What came of the comparison.

    Attributes:
        reordered: whether another order explains today much better.
        words: what would have happened to the array.
        places: i[C], where today's channel c of the model is found.
        gain: how much better, 1 is the threshold.
        in_place: how alike today and the model are as the channels stand, −1 to 1; NaN if unknown.
        by: the evidence: "who fires with whom", "tuning" or "rates".
    """

    reordered: bool
    words: str
    places: NDArray[np.intp]
    gain: float
    in_place: float
    by: str


def find_order(today: ChannelMemory, memory: ChannelMemory, bin_width_s: float) -> Order | None:
    """Compare today's channels with a model's, as they stand and in the orders that connectors can make.

    Evidence is who fires with whom (correlations between channels less each one's mean with all) and tuning;
    rates and their spread where a model keeps neither. Of each, the sum over the channels that an order
    moves of how alike they are to those of the model, less the same for the channels as they stand, over
    the square root of the number of summands; everything scaled to a mean square of 1.

    Args:
        today: of the session.
        memory: of the model.
        bin_width_s: of both.

    Returns:
        The best other order; None where there is nothing to compare.
    """
    n_channels = len(today.mean)
    orders = list(candidates(n_channels))
    evidence = list(_evidence(today, memory, bin_width_s))
    if not orders or not evidence:
        return None
    gains = np.array([each.gains([places for places, _ in orders]) for each in evidence])
    # An order counts that none of the evidence speaks against.
    total = np.where((gains > 0).all(axis=0), gains.max(axis=0), gains.min(axis=0))
    best = int(np.argmax(total))
    return Order(
        reordered=bool(total[best] > 1.0),
        words=orders[best][1],
        places=orders[best][0],
        gain=float(total[best]),
        in_place=evidence[0].in_place,
        by=" and ".join(each.name for each in evidence),
    )


def candidates(n_channels: int) -> Iterator[tuple[NDArray[np.intp], str]]:
    """Orders that connectors can make, each once: places i[C] as of `Order`, and what has happened."""
    seen = {tuple(range(n_channels))}
    for places, words in _all(n_channels):
        key = tuple(places.tolist())
        if key not in seen:
            seen.add(key)
            yield places, words


def _all(n_channels: int) -> Iterator[tuple[NDArray[np.intp], str]]:
    whole = np.arange(n_channels)
    for width in dict.fromkeys((*BANKS, n_channels // 2)):
        if width < 2 or n_channels % width or n_channels < 2 * width:
            continue
        banks = whole.reshape(-1, width)
        for i, j in combinations(range(len(banks)), 2):
            swapped = banks.copy()
            swapped[[i, j]] = banks[[j, i]]
            yield swapped.ravel(), f"{span(banks[i])} and {span(banks[j])} have changed places"
        for by in range(1, len(banks)):
            moved = by * width
            words = f"all channels have moved on by {moved}: {span(banks[0])} stand at {span(banks[by])}"
            yield np.roll(banks, -by, axis=0).ravel(), words
        for i in range(len(banks)):
            turned = banks.copy()
            turned[i] = banks[i][::-1]
            yield turned.ravel(), f"{span(banks[i])} stand in reverse"
        yield banks[:, ::-1].ravel(), f"each bank of {width} stands in reverse"
    yield whole[::-1].copy(), "all channels stand in reverse"


def span(channels: NDArray[np.intp]) -> str:
    """Consecutive channels by the first and the last."""
    return f"{channels[0]}–{channels[-1]}"


@dataclass(frozen=True, eq=False)
class _Evidence:
    """Something by which channels are told apart.

    Attributes:
        name: for a person.
        today, model: f8[C, F], or f8[C, C] if `between`; of a mean square of 1.
        least: the gain that is needed.
        between: whether these are numbers between channels, so that columns move with them.
    """

    name: str
    today: F8
    model: F8
    least: float
    between: bool = False

    @property
    def in_place(self) -> float:
        size = np.sqrt((self.today**2).sum() * (self.model**2).sum())
        return float((self.today * self.model).sum() / size) if size > 0 else float("nan")

    def gains(self, orders: list[NDArray[np.intp]]) -> F8:
        """Of each order, in units of what is needed."""
        in_place = (self.today * self.model).sum(axis=1)
        gains = []
        for places in orders:
            moved = np.flatnonzero(places != np.arange(len(places)))
            there = self.today[places[moved]]
            if self.between:
                there = there[:, places]
            gained = (there * self.model[moved]).sum() - in_place[moved].sum()
            gains.append(gained / np.sqrt(len(moved) * self.today.shape[1]) / self.least)
        return np.array(gains)


def _evidence(today: ChannelMemory, memory: ChannelMemory, bin_width_s: float) -> Iterator[_Evidence]:
    if today.together is not None and memory.together is not None:
        pair = (_together(today.together, today.used), _together(memory.together, memory.used))
        yield _Evidence("who fires with whom", *pair, BETTER_TOGETHER, between=True)
    if today.tuning is not None and memory.tuning is not None:
        yield _Evidence("tuning", _unit(today.tuning.slope), _unit(memory.tuning.slope), BETTER_TUNED)
    if memory.together is None and np.isfinite(memory.mean).any():
        yield _Evidence("rates", _firing(today, bin_width_s), _firing(memory, bin_width_s), BETTER_FIRING)


def _together(correlation: F8, used: NDArray[np.bool_]) -> F8:
    both = used[:, np.newaxis] & used
    np.fill_diagonal(both, False)
    clipped = np.where(both, np.clip(correlation, -MOST_TOGETHER, MOST_TOGETHER), 0.0)
    n = max(int(used.sum()) - 1, 1)
    own = clipped.sum(axis=1) / n
    return _unit(np.where(both, clipped - own[:, np.newaxis] - own + own[used].mean(), 0.0))


def _firing(memory: ChannelMemory, bin_width_s: float) -> F8:
    """Log rates and SD / √mean, f8[C, 2], each less its mean; 0 where unknown."""
    known = memory.used & np.isfinite(memory.mean) & (memory.mean > 0)
    mean = np.where(known, memory.mean, 1.0)
    spread = np.where(known, memory.sd, 1.0) / np.sqrt(mean)
    # A channel that does not fire is one that fires least.
    rate = np.log(np.where(known, mean, 0.0) / bin_width_s + LEAST_HZ)
    columns = [rate - rate.mean()]
    spread = np.clip(spread, SPREAD_FROM, SPREAD_TO)
    columns.append(np.where(known, spread - spread[known].mean(), 0.0) if known.any() else spread * 0.0)
    return _unit(np.stack([_unit(column) for column in columns], axis=1))


def _unit(values: F8) -> F8:
    size = np.sqrt((values**2).mean())
    return values / size if size > 0 else values
