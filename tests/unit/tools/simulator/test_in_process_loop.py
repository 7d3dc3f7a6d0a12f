"""A filter fitted to open loop closes the loop, and disturbances of the loop show in the scores."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from in_process_loop import ClosedLoopRun, run_in_process

from rtdecode.artifact import ModelArtifact
from rtdecode.calibrate.fitting.fit import fit_sessions
from rtdecode.calibrate.fitting.training_set import FitSettings
from rtdecode.output.settings import OutputSettings
from rtdecode.session.write import write_session
from rtdecode.tools.simulator.experiment import SimulatedDay, open_loop_session
from rtdecode.tools.simulator.scores import score_session
from rtdecode.tools.simulator.subject import SubjectSettings

DAY_0 = SimulatedDay(seed=1)


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("open") / "open.h5"
    write_session(path, open_loop_session(DAY_0, 150.0))
    return path


@pytest.fixture(scope="module")
def wiener(session: Path) -> ModelArtifact:
    return fit_sessions([session], "wiener", 0.02).artifact


@pytest.fixture(scope="module")
def closed(wiener: ModelArtifact) -> ClosedLoopRun:
    return run_in_process(DAY_0, wiener, trials=30)


def test_the_loop_closes(closed: ClosedLoopRun) -> None:
    scores = closed.scores
    assert scores.trials == 30
    assert scores.success >= 0.9
    assert scores.bits_per_s > 0.8
    from_file = score_session(closed.session)
    assert (from_file.trials, from_file.successes) == (30, scores.successes)
    assert from_file.bits_per_s == pytest.approx(scores.bits_per_s, rel=1e-4)


def test_the_same_twice(closed: ClosedLoopRun, wiener: ModelArtifact) -> None:
    again = run_in_process(DAY_0, wiener, trials=10)
    assert again.scores.each == closed.scores.each[:10]
    time_s = again.session.events.time
    np.testing.assert_array_equal(time_s, closed.session.events.time[: len(time_s)])


def test_a_cut_loop_scores_nothing(wiener: ModelArtifact) -> None:
    scores = run_in_process(DAY_0, wiener, trials=10, cut=True).scores
    assert (scores.trials, scores.successes) == (10, 0)


def test_a_cursor_delay_of_300_ms_costs_success(closed: ClosedLoopRun, wiener: ModelArtifact) -> None:
    late = run_in_process(DAY_0, wiener, trials=20, held_back_s=0.3).scores
    assert late.success < closed.scores.success - 0.1
    # The same with a slower subject.
    slow = replace(DAY_0, subject=SubjectSettings(delay_s=0.4))
    assert (run_in_process(slow, wiener, trials=20).scores.success or 0.0) < closed.scores.success - 0.1


def test_a_filter_refit_to_the_closed_loop_closes_it_again(wiener: ModelArtifact, tmp_path: Path) -> None:
    of = replace(DAY_0, day=3)
    write_session(tmp_path / "closed.h5", run_in_process(of, wiener, trials=60).session)
    labels = FitSettings(labels="refit")
    refit = fit_sessions([tmp_path / "closed.h5"], "wiener", 0.02, settings=labels).artifact
    assert [output.name for output in refit.outputs] == ["vx", "vy"]
    # The mean speed of the task includes holds and corrections, so it needs a gain.
    faster = OutputSettings(control="velocity", scale=4.0, units="mm")
    scores = run_in_process(replace(of, session=1), refit, trials=20, output=faster).scores
    assert scores.success >= 0.6


def test_velocities_alone_and_an_output_stage_close_it_too(session: Path, wiener: ModelArtifact) -> None:
    velocity = fit_sessions([session], "wiener", 0.02, ("vx", "vy")).artifact
    for artifact, output in (
        (velocity, None),
        (wiener, OutputSettings(control="fusion", fusion_s=0.3, workspace=((-160, 160), (-160, 160)))),
    ):
        scores = run_in_process(DAY_0, artifact, trials=20, output=output).scores
        assert scores.success >= 0.7
