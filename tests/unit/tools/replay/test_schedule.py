"""The plan of pushes: every sample once, in order, none early, and reproducible."""

from __future__ import annotations

import itertools
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtdecode.tools.replay.schedule import (
    F8,
    Delivery,
    Draw,
    kept_samples,
    plan_deliveries,
    random_stream,
)

TAIL_S = 0.05

seconds = st.lists(st.floats(0, 1, allow_subnormal=False), min_size=1, max_size=200).map(
    lambda values: np.sort(np.array(values))
)


class Rule(NamedTuple):
    """How samples are pushed."""

    push_s: float = 0.001
    burst: int = 1
    jitter_s: float = 0.0


rules = st.builds(
    Rule,
    push_s=st.sampled_from([0.0, 0.0001, 0.001, 0.005, 0.3, 10.0]),
    burst=st.integers(1, 50),
    jitter_s=st.sampled_from([0.0, 0.002, 0.4]),
)


def plan(times: F8, rule: Rule, end_s: float, seed: int = 0, **more: Any) -> list[Delivery]:
    rng = random_stream(seed, Draw.JITTER, 0)
    return list(plan_deliveries(times, **rule._asdict(), end_s=end_s, rng=rng, **more))


def simple_plan(values: F8, rule: Rule, end_s: float) -> list[Delivery]:
    """The rule sample by sample: when each is pushed, and with which others."""
    assert rule.jitter_s == 0.0
    n, found = len(values), list[Delivery]()
    for i in range(n):
        burst_ends = (i // rule.burst + 1) * rule.burst
        ready = values[burst_ends - 1] if burst_ends <= n else end_s
        due = ready if not rule.push_s else min(np.ceil(ready / rule.push_s - 1e-6) * rule.push_s, end_s)
        due = max(due, ready)
        starts_burst = i % rule.burst == 0
        together = due == found[-1].due_s if rule.push_s and found else not starts_burst
        if found and together:
            found[-1] = Delivery(due, found[-1].first, i + 1)
        else:
            found.append(Delivery(due, i, i + 1))
    return found


@given(seconds, rules)
def test_every_sample_is_pushed_once_in_order_and_none_before_it_is_due(values: F8, rule: Rule) -> None:
    end_s = float(values[-1]) + TAIL_S
    found = plan(values, rule, end_s)
    assert [d.first for d in found] == [0, *(d.last for d in found[:-1])]
    assert found[-1].last == len(values)
    assert all(d.first < d.last for d in found)
    assert all(values[d.last - 1] <= d.due_s for d in found)
    assert all(a.due_s <= b.due_s for a, b in itertools.pairwise(found))
    # Late by no more than the interval, the jitter and the burst allow.
    assert found[-1].due_s <= end_s + rule.jitter_s


@given(seconds, rules)
def test_without_jitter_the_plan_is_the_rule_applied_sample_by_sample(values: F8, rule: Rule) -> None:
    rule = Rule(push_s=rule.push_s, burst=rule.burst)
    end_s = float(values[-1]) + TAIL_S
    assert plan(values, rule, end_s) == simple_plan(values, rule, end_s)


@given(seconds, rules)
def test_bursts_are_whole_until_the_end(values: F8, rule: Rule) -> None:
    found = plan(values, rule, float(values[-1]) + TAIL_S)
    assert all(d.last % rule.burst == 0 for d in found[:-1])
    if not rule.push_s:
        assert all(d.last - d.first == rule.burst for d in found[:-1])


@given(seconds, rules, st.integers(0, 3))
def test_jitter_delays_each_push_within_its_bound_and_moves_no_boundary(
    values: F8, rule: Rule, seed: int
) -> None:
    end_s = float(values[-1]) + TAIL_S
    calm = plan(values, Rule(push_s=rule.push_s, burst=rule.burst), end_s)
    held = plan(values, rule, end_s, seed)
    assert [d[1:] for d in held] == [d[1:] for d in calm]
    # A push waits for its own delay or for the push before it, which waits no longer.
    assert all(a.due_s <= b.due_s <= a.due_s + rule.jitter_s for a, b in zip(calm, held, strict=True))
    assert plan(values, rule, end_s, seed) == held


@given(seconds, rules, st.lists(st.integers(1, 20), min_size=1))
def test_the_plan_is_the_same_however_far_ahead_it_is_read(values: F8, rule: Rule, steps: list[int]) -> None:
    end_s = float(values[-1]) + TAIL_S
    lazily = plan_deliveries(
        values, **rule._asdict(), end_s=end_s, rng=random_stream(5, Draw.JITTER, 0), not_before_s=0.2
    )
    pieces = list[Delivery]()
    for step in itertools.cycle(steps):
        piece = list(itertools.islice(lazily, step))
        pieces += piece
        if not piece:
            break
    assert pieces == plan(values, rule, end_s, 5, not_before_s=0.2)
    assert pieces[0].due_s >= 0.2


def test_jitter_is_uniform_where_pushes_are_far_apart() -> None:
    values = np.arange(1, 2001) * 0.1
    rule = Rule(push_s=0.0, jitter_s=0.04)
    delay = np.array([d.due_s for d in plan(values, rule, 200.0, 1)]) - values
    assert delay.min() >= 0
    assert delay.max() < 0.04
    # Four standard errors of a uniform distribution's mean and of its quarters.
    assert abs(delay.mean() - 0.02) < 4 * 0.04 / np.sqrt(12 * len(values))
    quarters = np.histogram(delay, 4, (0, 0.04))[0] / len(values)
    assert np.abs(quarters - 0.25).max() < 4 * np.sqrt(0.25 * 0.75 / len(values))


def test_intervals_as_long_as_the_push_interval_are_pushed_one_by_one() -> None:
    found = plan(np.arange(1, 100_001) * 0.001, Rule(push_s=0.001), 100.0)
    assert [d[1:] for d in found] == [(i, i + 1) for i in range(100_000)]


def test_without_an_interval_every_sample_is_pushed_by_itself_at_its_time() -> None:
    alone = plan(np.array([0.1, 0.1, 0.25]), Rule(push_s=0.0), 1.0)
    assert alone == [(0.1, 0, 1), (0.1, 1, 2), (0.25, 2, 3)]


def test_an_incomplete_burst_is_pushed_at_the_end() -> None:
    values = np.array([0.1, 0.2, 0.3, 0.4, 0.45])
    alone = plan(values, Rule(push_s=0.0, burst=2), 1.0)
    assert alone == [(0.2, 0, 2), (0.4, 2, 4), (1.0, 4, 5)]
    assert plan(values, Rule(push_s=10.0, burst=2), 1.0) == [(1.0, 0, 5)]


def test_no_samples_no_pushes() -> None:
    assert plan(np.zeros(0), Rule(burst=3, jitter_s=1.0), 1.0) == []


@given(st.lists(st.integers(0, 40), min_size=1, max_size=40), st.floats(0, 1), st.integers(0, 2**63))
def test_the_same_samples_are_lost_however_they_are_grouped(sizes: list[int], drop: float, seed: int) -> None:
    rng = random_stream(seed, Draw.LOSS, 2)
    grouped = np.concatenate([kept_samples(n, drop, rng) for n in sizes])
    at_once = kept_samples(sum(sizes), drop, random_stream(seed, Draw.LOSS, 2))
    np.testing.assert_array_equal(grouped, at_once)


@pytest.mark.parametrize("drop", [0.0, 0.05, 0.5, 1.0])
def test_the_lost_fraction_is_the_probability(drop: float) -> None:
    n = 100_000
    lost = n - int(kept_samples(n, drop, random_stream(0, Draw.LOSS, 0)).sum())
    assert abs(lost - drop * n) <= 4 * np.sqrt(n * drop * (1 - drop))


def test_a_smaller_probability_loses_a_subset() -> None:
    few, many = (kept_samples(1000, drop, random_stream(0, Draw.LOSS, 0)) for drop in (0.1, 0.3))
    assert (few | ~many).all()


def test_every_draw_and_every_round_has_its_own_generator() -> None:
    keys = list(itertools.product((0, 1), Draw, (0, 1, 2)))
    drawn = {tuple(random_stream(seed, draw, number).random(4)) for seed, draw, number in keys}
    assert len(drawn) == len(keys)
    # They also differ from the draws that place counts within their bins.
    assert tuple(np.random.default_rng(0).random(4)) not in drawn
