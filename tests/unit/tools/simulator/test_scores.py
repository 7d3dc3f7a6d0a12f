"""Scores: a trial worked out by hand, and the task's own notes against the samples of a whole session."""

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

WON = Trial(
    number=0,
    start_s=10.0,
    stop_s=12.3,
    target=(80.0, 0.0),
    radius=10.0,
    outcome=Outcome.SUCCESS,
    origin=(0.0, 0.0),
    touch_s=11.0,
    settle_s=12.0,
    path_mm=150.0,
    straight_mm=75.0,
)
LOST = replace(WON, start_s=20.0, stop_s=24.0, outcome=Outcome.TIMEOUT, touch_s=None, settle_s=None)


def test_a_trial_by_hand() -> None:
    scores = score_trials([WON, LOST, replace(WON, outcome=Outcome.ABORTED)])
    assert (scores.trials, scores.successes, scores.aborted, scores.success) == (2, 1, 1, 0.5)
    assert scores.acquisition_time_s == pytest.approx(2.0)
    assert scores.dial_in_time_s == pytest.approx(1.0)
    assert scores.path_efficiency == pytest.approx(0.5)
    bits = math.log2(80 / 20 + 1)
    assert scores.bits_per_s == pytest.approx(bits / 2.0)
    assert scores.achieved_bits_per_s == pytest.approx(bits / (2.3 + 4.0))
    won, lost = scores.each
    assert (won.duration_s, won.touch_time_s) == (pytest.approx(2.3), pytest.approx(1.0))
    assert (lost.success, lost.touch_time_s, lost.acquisition_time_s, lost.bits_per_s) == (
        False,
        None,
        None,
        None,
    )
    document = scores.document()
    assert document["each"][0]["bits"] == pytest.approx(bits)


def test_nothing_to_score_is_none_and_not_zero() -> None:
    for trials in ([], [LOST]):
        scores = score_trials(trials)
        assert scores.trials == len(trials)
        assert scores.success == (0.0 if trials else None)
        assert scores.acquisition_time_s is None
        assert scores.bits_per_s is None


def test_a_target_that_was_under_the_cursor_gives_no_bits() -> None:
    there = replace(WON, origin=(75.0, 0.0), touch_s=10.0, settle_s=10.0, path_mm=0.0, straight_mm=0.0)
    scores = score_trials([there])
    assert scores.success == 1.0
    assert (scores.each[0].bits, scores.bits_per_s, scores.path_efficiency) == (0.0, None, None)


def wandering(seed: int, seconds: float) -> tuple[Scores, Session]:
    """A cursor that goes towards the target by fits and starts, and is gone now and then."""
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
    # A start that is no multiple of anything, as on a real clock.
    while experiment.tick < seconds * 1000:
        shown = experiment.task.shown(None).target
        goal = np.array(shown if shown is not None else (0.0, 0.0))
        at = at + 0.15 * (goal - at) + rng.normal(0, 5.0, 2)
        gone = rng.uniform() < 0.004
        cursor = None if gone else (float(at[0]), float(at[1]))
        record.add(experiment.advance(experiment.tick + int(rng.integers(1, 40)), cursor))
    return experiment.scores(), record.session(98_765.4321)


@given(seed=st.integers(0, 10_000))
@settings(max_examples=25, deadline=None)
def test_the_file_tells_the_same_as_the_task(seed: int) -> None:
    live, session = wandering(seed, 12.0)
    told = score_session(session)
    assert (told.trials, told.successes, told.success) == (live.trials, live.successes, live.success)
    assert len(told.each) == len(live.each)
    for ours, theirs in zip(live.each, told.each, strict=True):
        for name, value in asdict(ours).items():
            other = getattr(theirs, name)
            assert (value is None) == (other is None), name
            assert value is None or value == pytest.approx(other, rel=1e-4, abs=1e-6), name


def test_an_independent_computation_agrees() -> None:
    """From /trials and /behavior alone, by loops over samples."""
    live, session = wandering(11, 60.0)
    trials, behavior = session.trials, session.behavior
    assert trials is not None
    assert behavior is not None
    x, y = (behavior.names.index(name) for name in ("cursor_x", "cursor_y"))
    rates, efficiencies, dial_ins, won = [], [], [], 0
    for k in range(len(trials.start)):
        if not trials.columns["success"][k]:
            continue
        won += 1
        goal, radius = trials.columns["target"][k], trials.columns["radius"][k]
        inside_since, first_inside, went, went_then, here = None, None, 0.0, 0.0, None
        for t, row in zip(behavior.time, behavior.values, strict=True):
            if not trials.start[k] - 1e-7 <= t < trials.stop[k] - 1e-7:
                continue
            place = np.array([row[x], row[y]], float)
            if here is None:
                origin = place
            else:
                went += math.dist(here, place)
            here = place
            if math.dist(place, goal) <= radius:
                if inside_since is None:
                    inside_since, went_then, entry = t, went, place
                first_inside = t if first_inside is None else first_inside
            else:
                inside_since = None
        assert inside_since is not None
        if math.dist(origin, goal) > radius:
            rates.append(
                math.log2(math.dist(origin, goal) / (2 * radius) + 1) / (inside_since - trials.start[k])
            )
        if went_then:
            efficiencies.append(math.dist(origin, entry) / went_then)
        dial_ins.append(inside_since - first_inside)
    assert won > 20
    assert live.successes == won
    assert live.bits_per_s == pytest.approx(np.mean(rates), rel=1e-5)
    assert live.path_efficiency == pytest.approx(np.mean(efficiencies), rel=1e-5)
    assert live.dial_in_time_s == pytest.approx(np.mean(dial_ins), abs=1e-6)


def test_a_file_without_a_cursor_or_targets_is_refused() -> None:
    _, session = wandering(3, 5.0)
    assert session.behavior is not None
    assert session.trials is not None
    with pytest.raises(RtdecodeError, match="/behavior: has no cursor_x and cursor_y"):
        score_session(replace(session, behavior=replace(session.behavior, names=tuple("abcdef"))))
    with pytest.raises(RtdecodeError, match="/trials: has no radius, success, target"):
        score_session(replace(session, trials=replace(session.trials, columns={})))
