"""ReFIT labels: towards the target, whatever the cursor did, and NaN where they are unknown."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from closed_loop_session import BIN_S, closed_loop, decoded, ends
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from rtdecode.artifact import Output
from rtdecode.calibrate.data.cursor import cursor_outputs, find_cursor
from rtdecode.calibrate.data.metrics import r2
from rtdecode.calibrate.data.refit_labels import (
    LOST,
    REACTION_S,
    SLOWING,
    intended_velocity,
    refit_labels,
    task_speed,
)
from rtdecode.calibrate.data.sessions import read_all
from rtdecode.calibrate.fitting.fit import fit_sessions
from rtdecode.calibrate.fitting.training_set import FitSettings
from rtdecode.decode.load import load_decoder
from rtdecode.errors import RtdecodeError
from rtdecode.session.layout import Session, Trials
from rtdecode.session.read import read_session

SPEED = 100.0
F8 = NDArray[np.float64]

numbers = st.floats(-200.0, 200.0)
points = st.tuples(numbers, numbers)


def one_trial(target: tuple[float, float], n: int = 20, **columns: float) -> tuple[Trials, F8]:
    """A trial of n bins, and the ends of these bins and as many behind it."""
    more = {name: np.array([value]) for name, value in columns.items()}
    trials = Trials(np.zeros(1), np.array([n * BIN_S]), {"target": np.array([target], np.float32), **more})
    return trials, (1 + np.arange(2 * n)) * BIN_S


@given(st.lists(points, min_size=40, max_size=40), points)
def test_a_label_points_to_the_target_at_no_more_than_the_speed(
    path: list[tuple[float, float]], target: tuple[float, float]
) -> None:
    trials, t_bin = one_trial(target)
    position = np.array(path)
    velocity = intended_velocity(trials, t_bin, position, SPEED)
    labelled = np.isfinite(velocity).all(axis=1)
    assert (labelled == np.isfinite(velocity).any(axis=1)).all()
    assert not labelled[t_bin <= REACTION_S + 1e-9].any()
    assert not labelled[t_bin > trials.stop[0] + 1e-9].any()
    to_target = np.float32(target).astype(float) - position
    distance, speed = np.hypot(*to_target.T), np.hypot(*velocity.T)
    assert (speed[labelled] <= SPEED * (1 + 1e-9)).all()
    # Towards the target: no component across, and none away from it.
    across = to_target[:, 0] * velocity[:, 1] - to_target[:, 1] * velocity[:, 0]
    assert (np.abs(across[labelled]) <= 1e-6 * SPEED * (1 + distance[labelled])).all()
    assert ((to_target * velocity).sum(axis=1)[labelled] >= 0).all()
    first = distance[round(REACTION_S / BIN_S)]
    full = labelled & (distance > SLOWING * first)
    np.testing.assert_allclose(speed[full], SPEED)
    assert (labelled[4:20] == (distance[4:20] <= LOST * first)).all()


@given(st.lists(points, min_size=40, max_size=40), points, points, st.floats(0.0, 2 * np.pi))
def test_labels_rotate_with_the_axes_and_do_not_depend_on_the_origin(
    path: list[tuple[float, float]], target: tuple[float, float], shift: tuple[float, float], angle: float
) -> None:
    # In whole eighths, so that moving them rounds nothing.
    position, goal, move = (np.round(np.array(each) * 8) / 8 for each in (path, target, shift))
    trials, t_bin = one_trial((goal[0], goal[1]))
    velocity = intended_velocity(trials, t_bin, position, SPEED)
    moved, _ = one_trial((goal[0] + move[0], goal[1] + move[1]))
    np.testing.assert_array_equal(intended_velocity(moved, t_bin, position + move, SPEED), velocity)
    np.testing.assert_allclose(intended_velocity(trials, t_bin, position, 3 * SPEED), 3 * velocity)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    turned = intended_velocity(
        replace(trials, columns={"target": (goal @ turn)[np.newaxis]}), t_bin, position @ turn, SPEED
    )
    both = np.isfinite(velocity).all(axis=1) & np.isfinite(turned).all(axis=1)
    np.testing.assert_allclose(turned[both], velocity[both] @ turn, atol=1e-6 * SPEED)


def test_the_speed_falls_on_the_last_quarter_of_the_way_and_is_0_inside_the_target() -> None:
    trials, t_bin = one_trial((80.0, 0.0))
    x = np.concatenate([np.zeros(5), np.linspace(0.0, 80.0, 15), np.full(20, 80.0)])
    position = np.stack([x, np.zeros(40)], axis=1)
    speed = intended_velocity(trials, t_bin, position, SPEED)[4:20, 0]
    np.testing.assert_allclose(speed, SPEED * np.minimum(1.0, (80.0 - x[4:20]) / 20.0))
    inside, _ = one_trial((80.0, 0.0), radius=12.0)
    velocity = intended_velocity(inside, t_bin, position, SPEED)[4:20, 0]
    assert (velocity[80.0 - x[4:20] <= 12.0] == 0).all()
    assert (velocity[80.0 - x[4:20] > 12.0] == speed[80.0 - x[4:20] > 12.0]).all()


def test_a_trial_without_a_target_or_a_cursor_has_no_labels() -> None:
    trials, t_bin = one_trial((np.nan, 0.0))
    assert np.isnan(intended_velocity(trials, t_bin, np.zeros((40, 2)), SPEED)).all()
    trials, _ = one_trial((80.0, 0.0))
    assert np.isnan(intended_velocity(trials, t_bin, np.full((40, 2), np.nan), SPEED)).all()
    assert np.isnan(task_speed(trials, t_bin, np.full((40, 2), np.nan)))


def test_the_task_s_speed_is_distance_over_time_of_successful_trials() -> None:
    start = np.array([0.0, 10.0, 20.0])
    stop = start + np.array([1.2, 4.2, 2.2])
    columns = {"target": np.array([[100.0, 0.0]] * 3), "success": np.array([True, False, True])}
    t_bin = (1 + np.arange(600)) * BIN_S
    at = np.zeros((600, 2))
    assert task_speed(Trials(start, stop, columns), t_bin, at) == pytest.approx(75.0)
    del columns["success"]
    assert task_speed(Trials(start, stop, columns), t_bin, at) == pytest.approx(50.0)
    columns["success"] = np.array(["yes", "no", "yes"])
    with pytest.raises(RtdecodeError, match="/trials/success: holds"):
        task_speed(Trials(start, stop, columns), t_bin, at)


def test_velocities_get_the_intended_one_and_positions_the_cursor() -> None:
    session = closed_loop()
    outputs = cursor_outputs(session, ("vy", "x", "y", "vx"))
    assert [output.role for output in outputs] == ["velocity", "position", "position", "velocity"]
    labels = refit_labels(session, ends(session), outputs, speed=50.0)
    assert (labels.speed, labels.cursor) == (50.0, "/behavior")
    labelled = np.isfinite(labels.targets).all(axis=1)
    assert labelled.sum() == 5 * 36
    np.testing.assert_array_equal(labels.targets[labelled, 1:3], session.behavior.values[labelled, :2])
    assert (labels.targets[labelled, 3] > 49.0).all()
    assert (labels.targets[labelled, 0] <= 0.0).all()
    assert labels.targets[labelled, 0].min() < -9.0
    # By default, the velocities are decoded, at the speed of the task.
    both = refit_labels(session, ends(session), cursor_outputs(session, None))
    assert [output.name for output in both.outputs] == ["vx", "vy"]
    assert both.speed == pytest.approx(100.0 / 1.8, rel=1e-3)
    assert "towards the target at 56 mm/s" in both.note()
    without = replace(session, behavior=replace(session.behavior, names=("x", "y", "speed", "vy")))
    assert [output.name for output in cursor_outputs(without, None)] == ["vx", "vy"]


def test_there_are_no_labels_while_the_stream_is_paused() -> None:
    session = decoded(closed_loop(), None)
    cursor = find_cursor(session, {})
    assert len(cursor.samples.time) == 100
    labels = refit_labels(session, ends(session), cursor_outputs(session, None))
    labelled = np.isfinite(labels.targets).all(axis=1)
    # Pauses of 1.25 s are holes.
    assert not (labelled & (np.arange(200) % 50 < 24)).any()
    assert labelled.any()


def test_a_session_without_intended_velocities_is_refused_with_its_reason() -> None:
    session = closed_loop()
    t_bin, outputs = ends(session), cursor_outputs(session, None)

    def refused(message: str, other: Session, asked: list[Output] = outputs) -> None:
        with pytest.raises(RtdecodeError, match=message):
            refit_labels(other, t_bin, asked)

    refused("has no trials", replace(session, trials=None))
    refused("trials without targets", replace(session, trials=replace(session.trials, columns={})))
    refused("has no cursor position", replace(session, behavior=None))
    late = replace(session.trials, start=session.trials.start + 99, stop=session.trials.stop + 99)
    refused("has no trial with spikes, a cursor and a target", replace(session, trials=late))
    force = Output("force", "N", 0, 1, "other")
    refused("'force' is neither a position nor a velocity", session, [*outputs, force])
    refused(
        "intended velocities need an output that is a velocity, and there is none among x",
        session,
        cursor_outputs(session, ("x",)),
    )
    refused("vx is in 'cm/s', and the cursor in 'mm'", session, [Output("vx", "cm/s", 0, 1, "velocity")])
    with pytest.raises(RtdecodeError, match="no ReFIT labels for 'force', only for x, y, vx, vy"):
        cursor_outputs(session, ("vx", "force"))


@pytest.fixture(scope="module")
def stabilized(data_dir: Path) -> Path:
    return data_dir / "stabilizedbci" / "stabilizedbci_20160325.h5"


def test_labels_of_a_real_closed_loop_follow_the_cursor(stabilized: Path) -> None:
    (labelled,) = read_all([stabilized], 0.045, labels="refit", blocks=["gradualTrain"])
    assert labelled.names == ("vx", "vy")
    # 125 mm in 0.79 s, which is what the task's trials took after the reaction time.
    assert labelled.refit.speed == pytest.approx(158.0, abs=1.0)
    assert len(labelled.binned.counts) == 3329
    assert labelled.provenance()["blocks"] == ["gradualTrain"]
    # The cursor goes where the labels point; the recorded velocity, whose y runs the other way, does not.
    behavior = read_session(stabilized).behavior
    rows = slice(0, len(labelled.targets))
    rows_labelled = labelled.labelled_bins[1:]
    went = np.diff(behavior.values[rows, :2], axis=0)[rows_labelled]
    intended = labelled.targets[1:][rows_labelled]
    recorded = behavior.values[rows, 2:][1:][rows_labelled]
    correlation = [np.corrcoef(intended[:, 1], other[:, 1])[0, 1] for other in (went, recorded)]
    assert correlation[0] > 0.5
    assert correlation[1] < -0.5


def test_a_filter_learns_them_from_one_block_and_cannot_decode_another_array(stabilized: Path) -> None:
    settings = FitSettings(labels="refit", blocks=["gradualTrain"])
    result = fit_sessions([stabilized], "wiener", 0.045, settings=settings)
    assert (result.r2 > 0.5).all()
    assert "labels are intended velocities" in result.notes[0]
    provenance = result.artifact.provenance
    assert provenance["labels"] == "refit"
    assert provenance["sessions"][0]["labels"] == "refit"
    assert provenance["sessions"][0]["train_s"] + provenance["sessions"][0]["holdout_s"] == pytest.approx(
        123.0, abs=3.0
    )
    assert [output.units for output in result.artifact.outputs] == ["mm/s", "mm/s"]
    for block, high in (("stabilizationEvaluation", True), ("perturbationEvaluation", False)):
        (other,) = read_all([stabilized], 0.045, labels="refit", blocks=[block])
        values = np.empty(other.targets.shape, np.float32)
        load_decoder(result.artifact).run(other.binned.counts, values)
        score = r2(values, other.targets)
        assert (score > 0.4).all() if high else (score < 0.0).all()


def test_a_lost_cursor_has_no_labels(stabilized: Path) -> None:
    (changed,) = read_all([stabilized], 0.045, labels="refit", blocks=["perturbationEvaluation"])
    # The cursor ran a metre away in most trials, eight times as far as any target.
    assert 0.2 < changed.labelled_bins.mean() < 0.35
