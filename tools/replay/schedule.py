"""What a replay pushes when: a plan that depends on the session, the options and the seed alone.

    times = SampleTimes(np.array([0.0004, 0.0006, 0.0031]))
    plan = plan_deliveries(times, DeliveryRule(push_s=0.001), end_s=0.004, rng=rng)
    list(plan)                   # [(0.001, 0, 2), (0.004, 2, 3)]

Times are seconds since the start of a round of the replay, on the clock of whoever listens: at twice the
speed they are half as far apart. The plan is made push by push, in constant memory; a machine that is kept
from running finds the pushes it has missed in it, each by itself, and makes them up one after another.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

F8 = npt.NDArray[np.float64]

#: A sample so small a part of the push interval after a push belongs to it: 3 × 0.1 ms is not 0.3 ms.
GRID_SLACK = 1e-6


class Delivery(NamedTuple):
    """One push: samples `first … last-1`, `due_s` seconds after the round's start."""

    due_s: float
    first: int
    last: int


class SampleTimes:
    """When each sample of an irregular stream happened.

    Args:
        seconds: f8[n], sorted.
    """

    def __init__(self, seconds: F8) -> None:
        self._seconds = seconds

    def __len__(self) -> int:
        return len(self._seconds)

    def at(self, i: int) -> float:
        """Time of sample `i`, seconds."""
        return float(self._seconds[i])

    def until(self, t: float) -> int:
        """How many samples have happened by `t`, those at `t` included."""
        return int(self._seconds.searchsorted(t, side="right"))

    def span(self, first: int, last: int) -> F8:
        """Times of samples `first … last-1`: f8[last - first]."""
        return self._seconds[first:last]


class IntervalTimes:
    """When each interval of a regular stream ends: interval i at (i + 1)·period_s.

    Args:
        n: how many intervals.
        period_s: length of one.
    """

    def __init__(self, n: int, period_s: float) -> None:
        self._n, self._period_s = n, period_s

    def __len__(self) -> int:
        return self._n

    def at(self, i: int) -> float:
        """End of interval `i`, seconds."""
        return (i + 1) * self._period_s

    def until(self, t: float) -> int:
        """How many intervals have ended by `t`, one that ends at `t` included."""
        n = math.floor(t / self._period_s)
        # The division may be off by one where `t` is an end; the ends decide.
        while self.at(n) <= t:
            n += 1
        while n > 0 and self.at(n - 1) > t:
            n -= 1
        return min(max(n, 0), self._n)

    def span(self, first: int, last: int) -> F8:
        """Ends of intervals `first … last-1`: f8[last - first]."""
        return np.arange(first + 1, last + 1, dtype=np.float64) * self._period_s


Times = SampleTimes | IntervalTimes


@dataclass(frozen=True, kw_only=True)
class DeliveryRule:
    """How the samples of one stream are pushed.

    Attributes:
        push_s: pushes lie on a grid of this many seconds; 0: every burst (without bursts, every sample) is
            pushed by itself as soon as it is due.
        burst: samples go out in multiples of so many.
        jitter_s: a push is held back by up to so long.
    """

    push_s: float = 0.001
    burst: int = 1
    jitter_s: float = 0.0


class Draw(IntEnum):
    """What is drawn at random; each from a stream of its own, so that one leaves the others as they are."""

    LOSS = 0
    JITTER = 1


def random_stream(seed: int, draw: Draw, round_number: int) -> np.random.Generator:
    """The random numbers of one kind in one round of a replay."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(int(draw), round_number)))


def plan_deliveries(
    times: Times,
    rule: DeliveryRule,
    *,
    end_s: float,
    rng: np.random.Generator,
    not_before_s: float = 0.0,
) -> Iterator[Delivery]:
    """All pushes of one round, in order, each sample in exactly one of them.

    A burst is due with its last sample; what is left of one goes out at `end_s`. A push takes everything
    due at its point of the grid, the round's end being one. It is then held back by `jitter_s`·u, with one
    u in [0, 1) drawn per push, and never goes out before the push ahead of it.

    Args:
        times: of the samples, none after `end_s`.
        rule: how they are pushed.
        end_s: end of the round.
        rng: for the jitter; not touched without it.
        not_before_s: when the last push of the round before was due, on this round's clock.
    """
    n, first, due_s = len(times), 0, not_before_s
    while first < n:
        last = first + rule.burst
        ready_s = times.at(last - 1) if last <= n else end_s
        push_s = _next_push(ready_s, rule.push_s, end_s)
        if rule.push_s:
            last = first + (times.until(push_s) - first) // rule.burst * rule.burst
        if last > n or (rule.push_s and push_s >= end_s):
            last = n
        held_s = rule.jitter_s * rng.random() if rule.jitter_s else 0.0
        due_s = max(due_s, push_s + held_s)
        yield Delivery(due_s, first, last)
        first = last


def kept_samples(n: int, drop: float, rng: np.random.Generator) -> npt.NDArray[np.bool_]:
    """Which of the next `n` samples are not lost, each being lost with probability `drop`: bool[n].

    Drawn one per sample in order, so that it makes no difference how the samples are grouped.
    """
    return rng.random(n) >= drop


def _next_push(t: float, interval_s: float, end_s: float) -> float:
    if not interval_s:
        return t
    on_grid_s = math.ceil(t / interval_s - GRID_SLACK) * interval_s
    return max(min(on_grid_s, end_s), t)
