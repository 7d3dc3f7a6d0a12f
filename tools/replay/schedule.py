"""When a replay pushes what: a plan that depends only on the session, the options and the seed.

    times = np.array([0.0004, 0.0006, 0.0031])
    plan = plan_deliveries(times, push_s=0.001, end_s=0.004, rng=rng)
    list(plan)                   # [(0.001, 0, 2), (0.004, 2, 3)]

Times are seconds since the start of a round of the replay, in real time: at twice the speed they are half as
far apart. The plan is made push by push, in constant memory. After a stall of the machine the missed pushes
follow one after another, each by itself.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from enum import IntEnum
from typing import NamedTuple

import numpy as np

from rtdecode.kernels.arrays import F8, Mask

#: Rounding tolerance, as a fraction of the push interval: 3 × 0.1 ms is not exactly 0.3 ms.
INTERVAL_SLACK = 1e-6


class Delivery(NamedTuple):
    """One push: samples `first … last-1`, `due_s` seconds after the round's start."""

    due_s: float
    first: int
    last: int


class Draw(IntEnum):
    """Kinds of random draws. Each kind has its own generator, so that one option does not affect others."""

    LOSS = 0
    JITTER = 1


def random_stream(seed: int, draw: Draw, round_number: int) -> np.random.Generator:
    """The generator of one kind of draws in one round of a replay."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(int(draw), round_number)))


def plan_deliveries(
    times: F8,
    *,
    push_s: float,
    burst: int = 1,
    jitter_s: float = 0.0,
    end_s: float,
    rng: np.random.Generator,
    not_before_s: float = 0.0,
) -> Iterator[Delivery]:
    """All pushes of one round, in order, each sample in exactly one of them.

    A burst is due with its last sample; an incomplete burst is due at `end_s`. A push has all samples that
    are due at its multiple of the interval, or at the end of the round. It is then delayed by `jitter_s`·u,
    with one u in [0, 1) drawn per push, and never precedes the push before it.

    Args:
        times: of the samples, f8[n], sorted, none after `end_s`.
        push_s: pushes happen at multiples of this interval, s; 0 to push every burst (without bursts, every
            sample) by itself as soon as it is due.
        burst: samples are pushed in multiples of this number.
        jitter_s: largest random delay of a push, s.
        end_s: end of the round.
        rng: for the jitter; unused without it.
        not_before_s: time of the last push of the previous round, on the clock of this round.
    """
    n, first, due_s = len(times), 0, not_before_s
    while first < n:
        last = first + burst
        ready_s = float(times[last - 1]) if last <= n else end_s
        at_s = _next_push(ready_s, push_s, end_s)
        if push_s:
            due = int(times.searchsorted(at_s, side="right"))
            last = first + (due - first) // burst * burst
        if last > n or (push_s and at_s >= end_s):
            last = n
        due_s = max(due_s, at_s + (jitter_s * rng.random() if jitter_s else 0.0))
        yield Delivery(due_s, first, last)
        first = last


def kept_samples(n: int, drop: float, rng: np.random.Generator) -> Mask:
    """Which of the next `n` samples are not lost, each being lost with probability `drop`: bool[n].

    There is one draw per sample, in order, so that the grouping of samples makes no difference.
    """
    return rng.random(n) >= drop


def _next_push(t: float, interval_s: float, end_s: float) -> float:
    if not interval_s:
        return t
    push_s = math.ceil(t / interval_s - INTERVAL_SLACK) * interval_s
    return max(min(push_s, end_s), t)
