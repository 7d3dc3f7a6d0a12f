"""Scores: a trial computed by hand, and the task's trials against the samples of a whole session."""

from __future__ import annotations

import math
from dataclasses import asdict, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtdecode.errors import RtdecodeError
from rtdecode.session.layout import Session
from rtdecode.tools.simulator.array import ArraySettings
from rtdecode.tools.simulator.experiment import Experiment, Record, SimulatedDay
from rtdecode.tools.simulator.scores import Scores, score_session, score_trials
from rtdecode.tools.simulator.task import Outcome, TaskSettings, Trial

SUCCESS = Trial(
    number=0,
    start_s=10.0,
    stop_s=12.3,
    target=(80.0, 0.0),
    radius=10.0,
    outcome=Outcome.SUCCESS,
    origin=(0.0, 0.0),
    touch_s=11.0,
    last_entry_s=12.0,
    path_mm=150.0,
    straight_mm=75.0,
)
TIMEOUT = replace(
    SUCCESS, start_s=20.0, stop_s=24.0, outcome=Outcome.TIMEOUT, touch_s=None, last_entry_s=None
)


def test_a_trial_by_hand() -> None:
    scores = score_trials([SUCCESS, TIMEOUT, replace(SUCCESS, outcome=Outcome.ABORTED)])
    assert (scores.trials, scores.successes, scores.aborted, scores.success) == (2, 1, 1, 0.5)
    assert scores.acquisition_time_s == pytest.approx(2.0)
    assert scores.dial_in_time_s == pytest.approx(1.0)
    assert scores.path_efficiency == pytest.approx(0.5)
    bits = math.log2(80 / 20 + 1)
    assert scores.bits_per_s == pytest.approx(bits / 2.0)
    assert scores.achieved_bits_per_s == pytest.approx(bits / (2.3 + 4.0))
    success, timeout = scores.each
    assert (success.duration_s, success.touch_time_s) == (pytest.approx(2.3), pytest.approx(1.0))
    assert not timeout.success
    assert (timeout.touch_time_s, timeout.acquisition_time_s, timeout.bits_per_s) == (None, None, None)
    assert success.bits == pytest.approx(bits)


def test_without_a_success_means_are_none() -> None:
    for trials in ([], [TIMEOUT]):
        scores = score_trials(trials)
        assert scores.trials == len(trials)
        assert scores.success == (0.0 if trials else None)
        assert scores.acquisition_time_s is None
        assert scores.bits_per_s is None


def test_a_target_under_the_cursor_gives_no_bits() -> None:
    still = {"touch_s": 10.0, "last_entry_s": 10.0, "path_mm": 0.0, "straight_mm": 0.0}
    scores = score_trials([replace(SUCCESS, origin=(75.0, 0.0), **still)])
    assert scores.success == 1.0
    assert (scores.each[0].bits, scores.bits_per_s, scores.path_efficiency) == (0.0, None, None)


def wandering(seed: int, seconds: float) -> tuple[Scores, Session]:
    """A cursor that moves irregularly towards the target, and is sometimes missing."""
    rng = np.random.default_rng(seed)
    of = SimulatedDay(
        seed=seed,
        array=ArraySettings(n_channels=2),
        task=TaskSettings(
            kind="centre-out" if seed % 2 else "random-target", hold_s=0.1, timeout_s=1.5, inter_trial_s=0.1
        ),
    )
    experiment = Experiment(of)
    record, at = Record(experiment, "wandering"), np.zeros(2)
    while experiment.tick < seconds * 1000:
        shown = experiment.task.shown(None).target
        goal = np.array(shown if shown is not None else (0.0, 0.0))
        at = at + 0.15 * (goal - at) + rng.normal(0, 5.0, 2)
        gone = rng.uniform() < 0.004
        cursor = None if gone else (float(at[0]), float(at[1]))
        record.add(experiment.advance(experiment.tick + int(rng.integers(1, 40)), cursor))
    return experiment.scores(), record.session(98_765.4321)


@given(seed=st.integers(0, 10_000))
@settings(max_examples=12, deadline=None)
def test_scores_of_the_file_are_those_of_the_task(seed: int) -> None:
    live, session = wandering(seed, 12.0)
    recorded = score_session(session)
    assert (recorded.trials, recorded.successes) == (live.trials, live.successes)
    assert recorded.success == live.success
    for one, another in zip(live.each, recorded.each, strict=True):
        for name, value in asdict(one).items():
            other = getattr(another, name)
            assert (value is None) == (other is None), name
            assert value is None or value == pytest.approx(other, rel=1e-4, abs=1e-6), name


def test_an_independent_computation_agrees() -> None:
    """From /trials and /behavior, by loops over samples."""
    live, session = wandering(11, 60.0)
    trials, behavior = session.trials, session.behavior
    x, y = (behavior.names.index(name) for name in ("cursor_x", "cursor_y"))
    rates, efficiencies, dial_ins, successes = [], [], [], 0
    for k in range(len(trials.start)):
        if not trials.columns["success"][k]:
            continue
        successes += 1
        goal, radius = trials.columns["target"][k], trials.columns["radius"][k]
        inside_since, first_inside, path, path_at_entry, last = None, None, 0.0, 0.0, None
        for t, row in zip(behavior.time, behavior.values, strict=True):
            if not trials.start[k] - 1e-7 <= t < trials.stop[k] - 1e-7:
                continue
            point = np.array([row[x], row[y]], float)
            if last is None:
                origin = point
            else:
                path += math.dist(last, point)
            last = point
            if math.dist(point, goal) <= radius:
                if inside_since is None:
                    inside_since, path_at_entry, entry = t, path, point
                first_inside = t if first_inside is None else first_inside
            else:
                inside_since = None
        if math.dist(origin, goal) > radius:
            bits = math.log2(math.dist(origin, goal) / (2 * radius) + 1)
            rates.append(bits / (inside_since - trials.start[k]))
        if path_at_entry:
            efficiencies.append(math.dist(origin, entry) / path_at_entry)
        dial_ins.append(inside_since - first_inside)
    assert successes > 20
    assert live.successes == successes
    assert live.bits_per_s == pytest.approx(np.mean(rates), rel=1e-5)
    assert live.path_efficiency == pytest.approx(np.mean(efficiencies), rel=1e-5)
    assert live.dial_in_time_s == pytest.approx(np.mean(dial_ins), abs=1e-6)


def test_a_file_without_a_cursor_or_targets_is_refused() -> None:
    _, session = wandering(3, 5.0)
    with pytest.raises(RtdecodeError, match="/behavior: has no cursor_x and cursor_y"):
        score_session(replace(session, behavior=replace(session.behavior, names=tuple("abcdef"))))
    with pytest.raises(RtdecodeError, match="/trials: has no radius, success, target"):
        score_session(replace(session, trials=replace(session.trials, columns={})))
