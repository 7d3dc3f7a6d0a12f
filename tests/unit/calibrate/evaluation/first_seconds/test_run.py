"""Makin's split: what is learnt from, what is scored, and the command."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from simulated_days import behavior_of, simulated_day, with_spikes, with_values
from typer.testing import CliRunner

from rtdecode.artifact import write_artifact
from rtdecode.calibrate.adaptation.finetune_settings import FINETUNING
from rtdecode.calibrate.data.metrics import r2
from rtdecode.calibrate.data.sessions import read_labelled
from rtdecode.calibrate.evaluation.bases import read_bases
from rtdecode.calibrate.evaluation.first_seconds.job import decoded_day, do_job
from rtdecode.calibrate.evaluation.first_seconds.plan import (
    KINDS,
    SCORED_RUNGS,
    FirstSecondsJob,
    FirstSecondsSettings,
)
from rtdecode.calibrate.evaluation.first_seconds.run import first_seconds_scores, read_and_plan
from rtdecode.calibrate.evaluation.runner import Workers
from rtdecode.calibrate.fitting.fit import fit_sessions
from rtdecode.calibrate.fitting.pretrain import PretrainSettings, pretrain_sessions
from rtdecode.calibrate.fitting.training_set import FitSettings
from rtdecode.calibrate.training.settings import Sizes, TrainingSettings
from rtdecode.cli.commands import app
from rtdecode.errors import RtdecodeError
from rtdecode.session.read import read_session
from rtdecode.session.write import write_session

BIN_S, SECONDS, SPIKES_CHANGE_S = 0.05, 24.0, 30.0
SIZES = Sizes(members=1, widths=(8, 8), dec_widths=(8,), feature_dropout=0.1)
SETTINGS = FirstSecondsSettings(
    seconds=SECONDS,
    bin_width_s=BIN_S,
    device="cpu",
    rungs=SCORED_RUNGS,
    fit=FitSettings(sizes=SIZES, training=TrainingSettings(steps=2, batch=2, validate_every=1)),
    finetune=replace(FINETUNING, steps=2, batch=2),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """today.h5, changed.h5 (other labels after the first seconds, other spikes later), a base of a third."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("days")
    simulated_day(folder / "before.h5", 12, 0, 30.0)
    settings = PretrainSettings(bin_width_s=BIN_S, steps=2, batch=2, sizes=SIZES)
    write_artifact(folder / "base.safetensors", pretrain_sessions([folder / "before.h5"], settings).artifact)
    session = read_session(simulated_day(folder / "today.h5", 12, 1, 40.0))
    time = behavior_of(session).time

    def other(values: np.ndarray) -> np.ndarray:
        values[time > time[0] + SECONDS + BIN_S] *= -100.0
        return values

    start = session.events.time[0] if session.events is not None else 0.0
    less = with_spikes(session, lambda of: (of.time < start + SPIKES_CHANGE_S) | (of.channel % 2 == 0))
    write_session(folder / "changed.h5", replace(with_values(less, other), path=None))
    return folder


@pytest.fixture(scope="module")
def jobs(folder: Path) -> list[FirstSecondsJob]:
    bases = read_bases([folder / "base.safetensors"])
    return read_and_plan([folder / "today.h5"], bases, SETTINGS)[0]


def test_every_kind_from_scratch_and_every_rung_is_a_job(jobs: list[FirstSecondsJob]) -> None:
    expected = [*KINDS, *(f"alignnet, base, {rung}" for rung in SCORED_RUNGS)]
    assert [job.model_name for job in jobs] == expected
    assert {job.seed for job in jobs} == {0}


@pytest.mark.parametrize("which", range(len(KINDS) + len(SCORED_RUNGS)))
def test_nothing_after_a_bin_changes_it_and_nothing_after_the_first_seconds_the_model(
    folder: Path, jobs: list[FirstSecondsJob], which: int
) -> None:
    one, other = (
        decoded_day(jobs[which], read_labelled(folder / name, BIN_S, jobs[which].outputs))[0]
        for name in ("today.h5", "changed.h5")
    )
    until = round(SPIKES_CHANGE_S / BIN_S) - 1
    np.testing.assert_array_equal(one[:until], other[:until])
    assert np.isfinite(one).all()
    assert (one[until:] != other[until : len(one)]).any()


def test_the_rest_is_scored_and_the_model_is_that_of_fit(folder: Path, jobs: list[FirstSecondsJob]) -> None:
    wiener = jobs[0]
    score = do_job(wiener)
    day = read_labelled(folder / "today.h5", BIN_S)
    values, first = decoded_day(wiener, day)[0], np.flatnonzero(day.labelled_bins)[round(SECONDS / BIN_S)]
    np.testing.assert_array_equal(score.r2, r2(values[first:], day.targets[first:]))
    holdout = 1.0 - round(SECONDS / BIN_S) / day.labelled_bins.sum()
    fitted = fit_sessions([folder / "today.h5"], "wiener", BIN_S, settings=FitSettings(holdout=holdout))
    np.testing.assert_array_equal(score.r2, fitted.r2)


def test_finished_jobs_are_not_computed_again(jobs: list[FirstSecondsJob], tmp_path: Path) -> None:
    some = jobs[:2]
    first, again = (first_seconds_scores(some, tmp_path, workers=Workers(0)) for _ in range(2))
    assert (first.computed, again.computed) == (2, 0)
    assert [score.as_json() for score in again.results] == [score.as_json() for score in first.results]


def test_what_cannot_be_scored_is_refused(folder: Path) -> None:
    bases = read_bases([folder / "base.safetensors"])
    wrong: list[tuple[str, list[Any], dict[str, Any]]] = [
        ("before.h5", bases, {"seconds": 20.0}),
        ("today.h5", [], {"seconds": 39.0}),
        ("today.h5", [], {"seconds": 5.0}),
        ("today.h5", [], {"kinds": ()}),
        ("today.h5", [], {"kinds": ("mlp",)}),
        ("today.h5", bases, {"rungs": ("refit",)}),
        ("today.h5", bases, {"bin_width_s": 0.02}),
        ("today.h5", bases, {"outputs": ("x",)}),
        ("today.h5", [], {"seeds": ()}),
    ]
    messages = (
        r"before\.h5: the base \w+ was trained on this session",
        r"today\.h5: has 40 s of spikes with behaviour, of which learning from the first 39 s",
        "--seconds: cannot learn from 5 s. Fix: give 20 or more",
        "needs a model. Fix: name kinds with --kinds, or a model with --base",
        "--kinds: cannot score mlp. Fix: give some of wiener, kalman",
        "--rungs: cannot score refit. Fix: give some of unsup, readout, readin, full",
        "--bin-width: the base has bins of 50 ms, not 20. Fix: leave it out",
        "--outputs: the base decodes x, y, vx, vy, not x. Fix: leave it out",
        "needs a seed",
    )
    for (name, given, changes), message in zip(wrong, messages, strict=True):
        with pytest.raises(RtdecodeError, match=message):
            read_and_plan([folder / name], given, replace(SETTINGS, **changes))


@pytest.fixture
def run(folder: Path, tmp_path: Path) -> Callable[..., Any]:
    line = ["evaluate", str(folder / "today.h5"), "--output", str(tmp_path / "out"), "--workers", "0"]
    return lambda *options: CliRunner().invoke(app, [*line, *options], env={"COLUMNS": "200"})


def test_the_command_compares_with_a_reference(run: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "reference.csv").write_text("session,x,y,vx,vy,n\ntoday,-9,-9,-9,-9,3\nother,1,1,1,1,3\n")
    options = ["--protocol", "first-seconds", "--seconds", "24", "--kinds", "wiener", "--bin-width", "0.05"]
    options += ["--reference", str(tmp_path / "reference.csv")]
    printed = run(*options)
    assert printed.exit_code == 0, printed.output
    assert "days ahead of the reference" in printed.stdout
    assert "1 of 1" in printed.stdout
    (document,) = json.loads(run(*options, "--json").stdout)
    assert document == json.loads((tmp_path / "out" / "results.json").read_text())[0]
    assert (document["kind"], document["rung"], document["first_s"]) == ("wiener", None, 24.0)
    assert (document["protocol"], document["reference"]) == ("first-seconds", [-9.0] * 4)
    lines = (tmp_path / "out" / "results.csv").read_text().splitlines()
    assert lines[0] == "session,model,x,y,vx,vy,mean,reference"
    assert lines[1].startswith("today,wiener,")


@pytest.mark.parametrize(
    ("options", "flag", "protocol"),
    [
        (["--protocol", "first-seconds", "--minutes", "0,1"], "--minutes", "few-shot"),
        (["--protocol", "first-seconds", "--known", "first"], "--labelled", "few-shot"),
        (["--seconds", "320"], "--seconds", "first-seconds"),
        (["--rungs", "full"], "--rungs", "first-seconds"),
        (["--bin-width", "0.064"], "--bin-width", "first-seconds"),
        (["--outputs", "x"], "--outputs", "first-seconds"),
        (["--reference", "a.csv"], "--reference", "first-seconds"),
    ],
)
def test_an_option_of_the_other_protocol_is_refused(
    run: Callable[..., Any], options: list[str], flag: str, protocol: str
) -> None:
    refused = run(*options)
    assert refused.exit_code == 2
    assert f"{flag}: belongs to --protocol {protocol}. Fix: leave it out" in refused.output


def test_rungs_without_a_base_are_refused(run: Callable[..., Any]) -> None:
    refused = run("--protocol", "first-seconds", "--rungs", "full")
    assert refused.exit_code == 2
    assert "--rungs: are of a model to calibrate. Fix: leave it out" in refused.output


def test_two_protocols_at_a_time_are_refused(run: Callable[..., Any]) -> None:
    refused = run("--protocol", "few-shot,first-seconds")
    assert "Fix: give --protocol few-shot or --protocol first-seconds" in str(refused.exception)
