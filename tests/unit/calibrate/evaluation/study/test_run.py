"""The paper's study: the bins each job is trained and scored on, and resuming after an interruption."""

from __future__ import annotations

import csv
import json
import sys
from dataclasses import replace
from importlib.abc import MetaPathFinder
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from simulated_days import simulated_day, with_values
from typer.testing import CliRunner

from rtdecode.artifact import write_artifact
from rtdecode.calibrate.data.metrics import pcc
from rtdecode.calibrate.evaluation.runner import Failure, Workers
from rtdecode.calibrate.evaluation.study import run
from rtdecode.calibrate.evaluation.study.data import random_pieces, study_set
from rtdecode.calibrate.evaluation.study.job import do_job
from rtdecode.calibrate.evaluation.study.learners import fit
from rtdecode.calibrate.evaluation.study.plan import Job, StudySettings, plan
from rtdecode.calibrate.evaluation.study.rows import DECODING, DIRECTIONS, SIMULATION
from rtdecode.calibrate.evaluation.study.run import run_study
from rtdecode.calibrate.fitting.pretrain import PretrainSettings, pretrain_sessions
from rtdecode.calibrate.training.settings import Sizes
from rtdecode.cli.commands import app
from rtdecode.session.read import read_session
from rtdecode.session.write import write_session

WIDTH_S = 0.05
TIMES = ("decode_us", "train_seconds")


@pytest.fixture(scope="module")
def days(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Three simulated days of one array, a minute each."""
    folder = tmp_path_factory.mktemp("days")
    return [
        simulated_day(folder / f"day{day}.h5", 16, day, mean_rate_hz=40.0 + 5.0 * day) for day in range(3)
    ]


def jobs_of(days: list[Path], **changes: Any) -> list[Job]:
    asked: dict[str, Any] = {
        "protocols": ("single-day",), "kinds": ("wiener",), "causalities": ("causal",),
        "bin_width_s": WIDTH_S, "outputs": ("x", "y", "vx", "vy"), "steps": 3, "members": 1,
    }  # fmt: skip
    return plan(days, StudySettings(**(asked | changes)))


def test_the_last_fifth_of_a_day_is_scored_and_not_trained_on(days: list[Path]) -> None:
    data = study_set(jobs_of(days[:1])[0])
    day = data.test
    first = int(np.flatnonzero(data.test_bins)[0])
    assert data.test_bins.sum() == round(0.2 * day.recorded.labelled_bins.sum())
    assert not (day.train_bins | day.norm_bins)[first:].any()
    assert day.train_bins[:first].sum() == day.recorded.labelled_bins[:first].sum()
    np.testing.assert_allclose(day.mean, day.counts[day.norm_bins].mean(axis=0))
    labels = day.recorded.targets[day.train_bins].astype(np.float64)
    np.testing.assert_allclose([o.mean for o in data.outputs], labels.mean(axis=0), atol=1e-9)


def test_an_output_that_is_partly_unknown_costs_the_others_nothing(days: list[Path], tmp_path: Path) -> None:
    def unknown(values: np.ndarray) -> np.ndarray:
        values[len(values) // 2 :, 2] = np.nan
        return values

    damaged = tmp_path / "damaged.h5"
    write_session(damaged, with_values(replace(read_session(days[0]), path=None), unknown))
    before, now = (do_job(jobs_of([path], directions=(DECODING,))[0]).row for path in (days[0], damaged))
    for score in ("r2", "pcc"):
        assert now[score][2] is None
        np.testing.assert_allclose(
            now[score][:2] + now[score][3:], before[score][:2] + before[score][3:], rtol=1e-4
        )
    assert now["minutes"] == before["minutes"]
    # Spikes are simulated from all outputs, so only in the first half.
    data = study_set(jobs_of([damaged], directions=(SIMULATION,))[0])
    assert np.isfinite(data.test.recorded.targets[data.test_bins | data.test.train_bins]).all()


def test_across_days_no_behaviour_of_the_test_day_is_trained_on(days: list[Path]) -> None:
    job = jobs_of(days, protocols=("cross-day",))[0]
    data = study_set(job)
    assert [day.name for day in data.days] == ["day0", "day1", "day2"]
    assert not data.test.train_bins.any()
    assert all((day.train_bins == day.recorded.labelled_bins).all() for day in data.days[:2])
    assert not (data.test.norm_bins & data.test_bins).any()
    single = study_set(jobs_of(days[2:])[0])
    np.testing.assert_array_equal(data.test_bins, single.test_bins)


@given(st.integers(50, 3000), st.floats(0.01, 0.2), st.integers(0, 50))
def test_a_random_split_draws_whole_pieces(n_bins: int, bin_width_s: float, seed: int) -> None:
    labelled = np.ones(n_bins, bool)
    labelled[:7] = False
    test_bins = random_pieces(labelled, 0.2, bin_width_s, seed)
    assert not test_bins[:7].any()
    n_pieces = max(2, round((n_bins - 7) * bin_width_s / 2.0))
    sizes = [len(piece) for piece in np.array_split(np.flatnonzero(labelled), n_pieces)]
    n_test = max(1, round(0.2 * n_pieces))
    assert min(sizes) * n_test <= test_bins.sum() <= max(sizes) * n_test
    np.testing.assert_array_equal(test_bins, random_pieces(labelled, 0.2, bin_width_s, seed))


def test_a_random_split_trains_on_both_sides(days: list[Path]) -> None:
    data = study_set(jobs_of(days[:1], splits=("random",))[0])
    assert not (data.test_bins & (data.test.train_bins | data.test.norm_bins)).any()
    assert data.test_bins.any()
    assert data.test.train_bins[np.flatnonzero(data.test_bins)[-1] :].any() or data.test_bins[-1]


@pytest.mark.parametrize("causality", ["causal", "offline"])
@pytest.mark.parametrize("direction", DIRECTIONS.values())
def test_filters_find_what_is_linear(days: list[Path], causality: str, direction: str) -> None:
    jobs = jobs_of(
        days, protocols=("single-day", "cross-day"), kinds=("wiener", "kalman"), causalities=(causality,)
    )
    for job in (job for job in jobs if job.direction == direction):
        row = do_job(job).row
        if direction == DECODING:
            assert row["r2_mean"] > 0.4, job.name
            assert row["firing"] is None
        else:
            assert row["pcc_mean"] > 0.1, job.name
            recorded, simulated = (np.array(row["firing"][which]) for which in ("recorded", "simulated"))  # type: ignore[literal-required]
            np.testing.assert_allclose(simulated, recorded, atol=0.15)
        assert row["causal"] == (causality == "causal")
        assert row["decode_us"] > 0
        assert row["dense_macs"] >= (row["effective_acs"] or 0) > 0
        assert row["train"] == (["day0", "day1"] if job.protocol == "cross-day" else row["test"])


@pytest.mark.parametrize("kind", ["gru", "mlp", "resnet", "resnet-unet", "alignnet"])
def test_networks_are_trained_and_scored_on_the_test_bins(days: list[Path], kind: str) -> None:
    causalities = ("causal", "offline", "offline-2d") if kind == "alignnet" else ("causal", "offline")
    for job in jobs_of(days[:1], kinds=(kind,), causalities=causalities):
        fitted = fit(job)
        row = do_job(job).row
        test = fitted.data.test_bins
        day = fitted.data.test
        recorded = day.recorded.targets if job.direction == DECODING else day.counts
        expected = pcc(fitted.values[test], recorded[test].astype(np.float32))
        np.testing.assert_allclose(np.array(row["pcc"], dtype=float), expected, atol=1e-4)
        assert fitted.values.shape == recorded.shape
        assert row["parameters"] > 0
        assert row["dense_macs"] >= (row["effective_acs"] or 0) > 0
        assert (row["sparsity"] is not None) == (kind == "alignnet"), job.name


def test_training_helps(days: list[Path]) -> None:
    few, many = (jobs_of(days[:1], kinds=("mlp",), steps=steps) for steps in (2, 25))
    for less, more in zip(few, many, strict=True):
        before, after = do_job(less).row["pcc_mean"], do_job(more).row["pcc_mean"]
        assert after > before + 0.01


def test_an_interrupted_study_resumes_and_gives_the_same(days: list[Path], tmp_path: Path) -> None:
    jobs = jobs_of(days, kinds=("mlp", "wiener"), protocols=("single-day", "cross-day"))
    (tmp_path / "whole").mkdir()
    (tmp_path / "parts").mkdir()
    whole = run_study(jobs, tmp_path / "whole", workers=Workers(0))
    assert whole.computed == len(jobs) == len(whole.results)

    stop = 5

    def interrupt(what: str, _done: float) -> None:
        if what.startswith(f"{stop} of"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_study(jobs, tmp_path / "parts", workers=Workers(0), progress=interrupt)
    # One was being written, and the trace of another is gone.
    cached = sorted((tmp_path / "parts" / "jobs").glob("*.json"))
    assert len(cached) == stop
    cached[0].write_text("{")
    cached[1].with_suffix(".npz").unlink()
    again = run_study(jobs, tmp_path / "parts", workers=Workers(0))
    assert again.computed == len(jobs) - stop + 2
    assert _untimed(again.results) == _untimed(whole.results)
    assert run_study(jobs, tmp_path / "parts", workers=Workers(0)).computed == 0


def test_a_job_that_fails_is_named_and_the_others_are_cached(
    days: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(job: Job) -> Any:
        return Failure("out of luck") if job.test == days[1].resolve() else do_job(job)

    monkeypatch.setattr(run, "do_job", broken)
    study = run_study(jobs_of(days), tmp_path, workers=Workers(0))
    assert len(study.results) == 4
    assert len(study.missing) == 2
    assert all("day1" in line and line.endswith("out of luck") for line in study.missing)
    monkeypatch.undo()
    fixed = run_study(jobs_of(days), tmp_path, workers=Workers(0))
    assert (fixed.computed, len(fixed.results), fixed.missing) == (2, 6, [])


def test_the_command_writes_rows_tables_figures_and_a_page(days: list[Path], tmp_path: Path) -> None:
    bases, models = [], {}
    for direction, causality, what in (
        ("decode", "causal", "spikes to behaviour"),
        ("simulate", "causal", "behaviour to spikes"),
        ("simulate", "offline", "behaviour to spikes"),
    ):
        sizes = Sizes(members=1, widths=(8, 8), dec_widths=(8,), feature_dropout=0.1)
        small = pretrain_sessions(
            days[:2],
            PretrainSettings(
                bin_width_s=WIDTH_S, steps=2, sizes=sizes, direction=direction, causality=causality
            ),
        )
        path = tmp_path / f"{direction}-{causality}.safetensors"
        write_artifact(path, small.artifact)
        bases += ["--base", str(path)]
        models[small.artifact.model_id] = (causality, what)
    line = [
        "study", *map(str, days), "--kinds",
        "wiener,alignnet", "--causality", "causal,offline", "--bin-width", str(WIDTH_S), "--steps", "2",
        "--members", "1", *bases, "--output", str(tmp_path / "study"), "--json",
    ]  # fmt: skip
    result = CliRunner().invoke(app, line)
    assert result.exit_code == 0, result.output
    rows = json.loads(result.stdout)
    assert rows == json.loads((tmp_path / "study" / "results.json").read_text())
    # Four tests (3 + 1), two kinds in both directions and causalities; each base in its own.
    assert len(rows) == 4 * 2 * 2 * 2 + 3
    for row in rows:
        for key in ("kind", "causal", "protocol", "train", "test", "minutes", "seed", "direction", "outputs"):
            assert key in row
        assert len(row["r2"]) == len(row["pcc"]) == len(row["outputs"])
        with np.load(tmp_path / "study" / row["trace"]) as trace:
            assert trace["values"].shape == trace["targets"].shape == (len(trace["t_s"]), len(row["outputs"]))
    pretrained = [row for row in rows if row["base"]]
    assert {row["base"]: (row["form"], row["direction"]) for row in pretrained} == models
    assert len(pretrained) == 3
    written = {path.name for path in (tmp_path / "study").iterdir()}
    assert written >= {
        "results.json", "results.csv", "summary.csv", "scores.png", "figure-5.png", "figure-6.png",
        "figure-7.png", "report.html",
    }  # fmt: skip
    with (tmp_path / "study" / "results.csv").open() as file:
        assert len(list(csv.reader(file))) == len(rows) + 1
    assert all(model in (tmp_path / "study" / "report.html").read_text() for model in models)
    again = CliRunner().invoke(app, line[:-1])
    assert again.exit_code == 0, again.output
    assert "0 of them now" in again.stdout
    assert "cross-day PCC" in again.stdout


@pytest.mark.parametrize(
    ("asked", "code", "message"),
    [
        (["--protocol", "monthly"], 1, "there is no such protocol: monthly"),
        ([], 1, "cross-day needs two sessions to train on and one to test on, got 1"),
        (["--protocol", "single-day", "--kinds", "lstm"], 1, "there is no such kind: lstm"),
        (["--protocol", "single-day", "--causality", "3d"], 1, "there is no such causality: 3d"),
        (["--protocol", "single-day", "--directions", "up"], 2, "must be decode or simulate, not up"),
        (["--dask", "tcp://127.0.0.1:9", "--workers", "2"], 2, "a cluster has its own number"),
        (["--minutes", "1"], 2, "No such option: --minutes"),
        (["--protocol", "single-day", "--base", "indy"], 1, "pretrained models are scored across days"),
    ],
)
def test_the_command_names_what_is_wrong(
    days: list[Path], tmp_path: Path, asked: list[str], code: int, message: str
) -> None:
    result = CliRunner().invoke(app, ["study", str(days[0]), "--output", str(tmp_path / "o"), *asked])
    assert result.exit_code == code, result.output
    assert message in " ".join(f"{result.output} {result.exception}".replace("│", " ").split())


@pytest.mark.parametrize("package", ["pandas", "jinja2"])
def test_without_its_packages_the_command_names_them(
    days: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: str
) -> None:
    loaded = [name for name in sys.modules if name.startswith("rtdecode.calibrate.evaluation.study")]
    for name in (*loaded, package):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setattr(sys, "meta_path", [Missing(package), *sys.meta_path])
    result = CliRunner().invoke(app, ["study", str(days[0]), "--output", str(tmp_path / "o")])
    assert str(result.exception) == (
        f"study: the study needs {package}, which is not installed. Fix: pip install 'rtdecode[train,study]'"
    )


class Missing(MetaPathFinder):
    """Finds that a package is not installed."""

    def __init__(self, package: str) -> None:
        self.package = package

    def find_spec(self, fullname: str, path: object = None, target: object = None) -> None:
        if fullname == self.package:
            raise ModuleNotFoundError(f"No module named {fullname!r}", name=fullname)


def _untimed(rows: list[Any]) -> list[dict[str, Any]]:
    return [{key: value for key, value in row.items() if key not in TIMES} for row in rows]
