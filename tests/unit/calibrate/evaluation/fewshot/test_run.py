"""Few-shot evaluation: which bins each model is trained on, and how scores are averaged."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from clusters import cluster_of
from simulated_days import behavior_of, simulated_day, with_values
from studies import few_shot_job as job
from typer.testing import CliRunner

from rtdecode.artifact import ModelArtifact, write_artifact
from rtdecode.calibrate.evaluation import scored
from rtdecode.calibrate.evaluation.cache import Done
from rtdecode.calibrate.evaluation.fewshot import run
from rtdecode.calibrate.evaluation.fewshot.job import do_job
from rtdecode.calibrate.evaluation.fewshot.plan import FewShotJob, FewShotSettings
from rtdecode.calibrate.evaluation.fewshot.report import FewShotScore, over_days, table_rows
from rtdecode.calibrate.evaluation.runner import Failure, Workers
from rtdecode.calibrate.evaluation.scored import limited
from rtdecode.calibrate.evaluation.scores import Score
from rtdecode.calibrate.fitting.pretrain import PretrainSettings, pretrain_sessions
from rtdecode.calibrate.progress import Progress, ignore
from rtdecode.calibrate.training.settings import Sizes
from rtdecode.cli.commands import app
from rtdecode.errors import RtdecodeError
from rtdecode.session.read import read_session
from rtdecode.session.write import write_session

MINUTES = (0.0, 0.5, 1.0)
SMALL = PretrainSettings(
    bin_width_s=0.05,
    steps=80,
    batch=8,
    sizes=Sizes(members=1, widths=(16, 16), dec_widths=(16,), feature_dropout=0.1),
)


@pytest.fixture(scope="module")
def days(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Simulated days of one array: rates differ, and the tuning of the last one is new."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("days")
    return [
        simulated_day(
            folder / f"day{day}.h5", 20, day, 100.0, 3 if day < 3 else 9, mean_rate_hz=20.0 + 5.0 * day
        )
        for day in range(4)
    ]


@pytest.fixture(scope="module")
def base(days: list[Path]) -> ModelArtifact:
    return pretrain_sessions(days[:2], SMALL).artifact


@pytest.fixture(scope="module")
def base_file(base: ModelArtifact, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("base") / "base.safetensors"
    write_artifact(path, base)
    return path


@pytest.fixture
def few_shot(tmp_path: Path) -> Callable[..., list[FewShotScore]]:
    """Scores by `run.few_shot` in this process, into a new folder each time."""

    def scores(
        paths: Sequence[Path], bases: Sequence[Path], progress: Progress = ignore, **asked: Any
    ) -> list[FewShotScore]:
        folder = tmp_path / f"out{len(list(tmp_path.glob('out*')))}"
        settings = FewShotSettings(**({"steps": 60} | asked))
        done = run.few_shot(paths, bases, folder, settings, workers=Workers(0), progress=progress)
        assert not done.missing
        return done.results

    return scores


def saved(folder: Path, base: ModelArtifact) -> Path:
    path = folder / f"base{len(list(folder.glob('base*')))}.safetensors"
    write_artifact(path, base)
    return path


def test_a_new_day_is_scored_from_spikes_alone_and_after_minutes_of_labels(
    days: list[Path], base_file: Path, few_shot: Callable[..., list[FewShotScore]]
) -> None:
    reported: list[float] = []
    scores = few_shot(
        days[2:], [base_file], minutes=MINUTES, seeds=(0, 1), progress=lambda _, done: reported.append(done)
    )
    by = {(s.job.kind, s.job.session, s.job.minutes, s.job.seed): float(s.r2.mean()) for s in scores}
    assert len(by) == len(scores) == 2 * (1 + 2 * 2 + 2)
    assert reported == sorted(reported)
    assert reported[-1] == 1.0
    # Day 2 has the tuning that the base was trained on, day 3 another one.
    assert by["alignnet", "day2", 0.0, 0] > 0.3 > by["alignnet", "day3", 0.0, 0]
    assert by["alignnet", "day3", 1.0, 0] > by["alignnet", "day3", 0.0, 0] + 0.1
    assert by["alignnet", "day3", 1.0, 0] != by["alignnet", "day3", 1.0, 1]
    assert by["wiener", "day3", 1.0, 0] > 0.1
    (wiener,) = (s for s in scores if (s.job.kind, s.job.session, s.job.minutes) == ("wiener", "day2", 0.5))
    assert wiener.as_json()["model"] is None
    tuned = scores[0].as_json()
    assert tuned["train"] == ["day0", "day1"]
    assert tuned["test"] == ["day2"]
    keys = {"kind", "causal", "protocol", "minutes", "seed", "direction", "outputs", "r2", "pcc"}
    assert keys <= tuned.keys()


@pytest.mark.parametrize(
    ("labelled", "elsewhere_s", "labels_s"),
    [("last", (5.0, 45.0), (55.0, 75.0)), ("first", (35.0, 75.0), (5.0, 25.0))],
)
def test_only_the_labelled_minutes_are_trained_on(
    days: list[Path],
    base_file: Path,
    tmp_path: Path,
    few_shot: Callable[..., list[FewShotScore]],
    labelled: str,
    elsewhere_s: tuple[float, float],
    labels_s: tuple[float, float],
) -> None:
    """Other behaviour changes nothing; within the labels it does. Spikes: those minutes', too."""
    session = read_session(days[3])
    time_s = behavior_of(session).time - behavior_of(session).time[0]

    def scores(name: str, start_s: float, stop_s: float) -> list[FewShotScore]:
        def turned(values: np.ndarray) -> np.ndarray:
            changed = (time_s >= start_s) & (time_s < stop_s)
            values[changed] = values[changed][::-1]
            return values

        path = tmp_path / f"{name}.h5"
        write_session(path, with_values(session, turned))
        return few_shot([path], [base_file], minutes=(0.0, 0.5), labelled=labelled, steps=5)

    original = scores("original", 0.0, 0.0)
    for was, other in zip(original, scores("elsewhere", *elsewhere_s), strict=True):
        np.testing.assert_array_equal(was.r2, other.r2)
    unlabelled, *tuned = zip(original, scores("labels", *labels_s), strict=True)
    np.testing.assert_array_equal(unlabelled[0].r2, unlabelled[1].r2)
    assert all((was.r2 != other.r2).all() for was, other in tuned)
    assert {score.as_json()["known"] for score in original} == {labelled}
    other = few_shot(
        [tmp_path / "original.h5"],
        [base_file],
        minutes=(0.0,),
        wiener=False,
        labelled="first" if labelled == "last" else "last",
    )
    assert (other[0].r2 != original[0].r2).all()


def test_an_output_without_labels_in_the_minutes_costs_the_others_nothing(
    days: list[Path], base_file: Path, few_shot: Callable[..., list[FewShotScore]], tmp_path: Path
) -> None:
    def unknown(values: np.ndarray) -> np.ndarray:
        values[: round(0.81 * len(values)), 1] = np.nan
        return values

    damaged = tmp_path / "damaged.h5"
    write_session(damaged, with_values(replace(read_session(days[2]), path=None), unknown))
    before, now = (few_shot([path], [base_file], minutes=(0.5,), steps=1) for path in (days[2], damaged))
    kept = [0, 2, 3]
    for one, other in zip(before, now, strict=True):
        np.testing.assert_allclose(other.r2[kept], one.r2[kept], atol=0.02)
        assert np.isfinite(other.r2[1]) == (other.job.kind == "alignnet")


def test_minutes_that_a_day_does_not_have_are_left_out(
    days: list[Path], base_file: Path, few_shot: Callable[..., list[FewShotScore]]
) -> None:
    scores = few_shot(days[2:3], [base_file], minutes=(0.0, 1.0, 1.4), wiener=False, steps=2)
    assert [score.job.minutes for score in scores] == [0.0, 1.0]


def test_a_day_that_the_base_was_trained_on_is_refused(
    days: list[Path], base_file: Path, few_shot: Callable[..., list[FewShotScore]]
) -> None:
    with pytest.raises(RtdecodeError, match=r"day1\.h5: the base [0-9a-f]{8} was trained on this session"):
        few_shot(days[1:3], [base_file])


def test_what_does_not_fit_is_refused(
    days: list[Path],
    base: ModelArtifact,
    base_file: Path,
    tmp_path: Path,
    few_shot: Callable[..., list[FewShotScore]],
) -> None:
    simulated_day(tmp_path / "narrow.h5", 16)
    with pytest.raises(RtdecodeError, match=r"narrow\.h5: has 16 channels, and the model has 20"):
        few_shot([tmp_path / "narrow.h5"], [base_file])
    with pytest.raises(RtdecodeError, match="needs a model to start from"):
        few_shot(days[2:], [])
    with pytest.raises(RtdecodeError, match=r"labelled minutes cannot be 'middle'\. Fix: give last or first"):
        few_shot(days[2:], [base_file], labelled="middle")
    for minutes in ((), (1.0, 0.5), (-1.0,), (1.0, 1.0)):
        with pytest.raises(RtdecodeError, match="minutes must be increasing"):
            few_shot(days[2:], [base_file], minutes=minutes)
    with pytest.raises(RtdecodeError, match="the bases differ: bins of 50 and 20 ms"):
        few_shot(days[2:], [base_file, saved(tmp_path, replace(base, bin_width_s=0.02))])
    with pytest.raises(RtdecodeError, match="holds only what decoding needs"):
        few_shot(days[2:], [saved(tmp_path, replace(base, train={}))])


def evaluated(days: list[Path], base_file: Path, folder: Path, **options: Any) -> Done[FewShotScore]:
    settings = FewShotSettings(**({"minutes": (0.0, 0.5), "steps": 2} | options.pop("settings", {})))
    return run.few_shot(days[2:], [base_file], folder, settings, **({"workers": Workers(0)} | options))


def untimed(done: Done[FewShotScore]) -> list[dict[str, Any]]:
    return [
        {name: value for name, value in score.as_json().items() if name != "seconds"}
        for score in done.results
    ]


def test_an_interrupted_evaluation_resumes_and_gives_the_same(
    days: list[Path], base_file: Path, tmp_path: Path
) -> None:
    whole = evaluated(days, base_file, tmp_path / "whole")
    assert (whole.computed, len(whole.results)) == (6, 6)

    def interrupt(what: str, _done: float) -> None:
        if what.startswith("4 of"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        evaluated(days, base_file, tmp_path / "parts", progress=interrupt)
    cached = sorted((tmp_path / "parts" / "jobs").glob("*.json"))
    assert len(cached) == 4
    # A damaged one, and one with another number of outputs.
    cached[0].write_text("{")
    document = json.loads(cached[1].read_text())
    cached[1].write_text(json.dumps(document | {"r2": document["r2"][:1]}))
    again = evaluated(days, base_file, tmp_path / "parts")
    assert again.computed == 4
    assert untimed(again) == untimed(whole)
    # The same files elsewhere, and jobs cached with other minutes.
    for path in (*days[2:], base_file):
        shutil.copy(path, tmp_path / path.name)
    moved = [tmp_path / path.name for path in (*days, base_file)]
    third = evaluated(moved[:-1], moved[-1], tmp_path / "parts")
    assert third.computed == 0
    assert [score.as_json() for score in third.results] == [score.as_json() for score in again.results]
    more = evaluated(days, base_file, tmp_path / "parts", settings={"minutes": (0.5,), "seeds": (0, 1)})
    assert more.computed == 2


def test_a_missing_score_is_cached_as_missing(
    days: list[Path], base_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def flat(job: FewShotJob) -> FewShotScore:
        return Score(job, np.array([0.1, np.nan, 1 / 3, -2.0]), np.full(4, np.nan), 1.5)

    monkeypatch.setattr(run, "do_job", flat)
    done, again = (evaluated(days, base_file, tmp_path) for _ in range(2))
    assert (done.computed, again.computed) == (6, 0)
    for score in (*done.results, *again.results):
        np.testing.assert_array_equal(score.r2, [0.1, np.nan, 1 / 3, -2.0])
        assert np.isnan(score.pcc).all()
        assert score.seconds == 1.5


def test_a_file_that_changed_after_planning_is_not_scored(
    days: list[Path], base_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs: list[FewShotJob] = []
    monkeypatch.setattr(run, "do_job", lambda job: jobs.append(job) or Failure("not run"))
    evaluated(days, base_file, tmp_path)
    for change in ({"test": days[0]}, {"base_sha256": "0"}):
        with pytest.raises(RtdecodeError, match=r"has changed since the jobs were planned"):
            do_job(replace(jobs[0], **change))


def test_a_job_that_fails_is_named_and_the_others_are_written(
    days: list[Path], base_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(job: FewShotJob) -> FewShotScore | Failure:
        return Failure("out of luck") if job.minutes == 1.0 else Score(job, np.ones(4), np.ones(4), 0.0)

    monkeypatch.setattr(run, "do_job", broken)
    line = ["evaluate", str(days[2]), "--base", str(base_file), "--output", str(tmp_path / "out")]
    line += ["--workers", "0"]
    result = CliRunner().invoke(app, [*line, "--minutes", "0,1", "--kinds", "alignnet"])
    assert isinstance(result.exception, RtdecodeError)
    assert "1 of 2 jobs gave no result" in str(result.exception)
    assert "missing: day2: alignnet" in result.stderr
    assert "alignnet        0" in result.stdout
    assert [d["minutes"] for d in json.loads((tmp_path / "out" / "results.json").read_text())] == [0]
    result = CliRunner().invoke(app, [*line, "--minutes", "1", "--kinds", "alignnet"])
    assert "1 of 1 jobs gave no result" in str(result.exception)
    assert json.loads((tmp_path / "out" / "results.json").read_text()) == []


@pytest.mark.parametrize("where", ["processes", "cluster"])
def test_another_process_and_a_cluster_give_the_same_scores(
    days: list[Path], base_file: Path, tmp_path: Path, where: str
) -> None:
    with cluster_of() if where == "cluster" else nullcontext() as address:
        apart = evaluated(days[1:], base_file, tmp_path / "apart", workers=Workers(1, address))
    here = evaluated(days[1:], base_file, tmp_path / "here")
    assert (apart.computed, here.computed) == (3, 3)
    assert untimed(apart) == untimed(here)


def test_one_job_at_a_time_trains_on_a_gpu_unless_another_number_is_given(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert limited(Workers(), "cpu").n is None
    monkeypatch.setattr(scored, "chosen_device", lambda name: torch.device("cuda"))
    assert limited(Workers(), "auto") == Workers(1)
    assert limited(Workers(3), "auto") == Workers(3)
    # The GPUs are the cluster's.
    assert limited(Workers(dask="tcp://127.0.0.1:9"), "auto").n is None


def test_scores_are_averaged_over_days_after_seeds() -> None:
    def score(test: str, seed: int, r2: float) -> FewShotScore:
        values = np.array([r2, r2 + 0.2])
        return Score(job(kind="gru", session=test, minutes=1.0, seed=seed), values, values, 0.0)

    scores = [score("a", 0, 0.1), score("a", 1, 0.3), score("b", 0, 0.6)]
    r2, mean, sd, n_days = over_days(scores)
    np.testing.assert_allclose(r2, [0.4, 0.6])
    assert mean == pytest.approx(0.5)
    assert sd == pytest.approx(np.std([0.3, 0.7], ddof=1))
    assert n_days == 2
    headings, rows = table_rows(scores)
    assert rows == [["gru", "1", "0.400", "0.600", "0.500", "0.283", "0.433", "2"]]
    assert len(headings) == len(rows[0])


@pytest.mark.parametrize("protocol", [[], ["--protocol", "few-shot"]])
def test_the_command_writes_json_and_a_figure(
    days: list[Path], base_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, protocol: list[str]
) -> None:
    monkeypatch.setattr(run, "do_job", lambda job: Score(job, np.full(4, job.minutes), np.ones(4), 0.0))
    line = ["evaluate", str(days[2]), "--base", str(base_file), "--workers", "0", "--known", "first"]
    line += [*protocol, "--minutes", "0,1", "--output", str(tmp_path / "out"), "--json"]
    result = CliRunner().invoke(app, line)
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert document == json.loads((tmp_path / "out" / "results.json").read_text())
    assert [(d["kind"], d["minutes"]) for d in document] == [("alignnet", 0), ("alignnet", 1), ("wiener", 1)]
    assert {d["known"] for d in document} == {"first"}
    assert (tmp_path / "out" / "few-shot.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--kinds", "gru"], "--kinds: no base is of kind gru"),
        (["--kinds", "wiener"], "is of kind alignnet, which --kinds does not name"),
        (["--dask", "nowhere://127.0.0.1:9"], "--dask nowhere://127.0.0.1:9: no Dask scheduler answers"),
        (
            ["--protocol", "single-day,cross-day", "--forms", "causal"],
            "evaluate has no protocol single-day,cross-day: it runs few-shot or first-seconds. "
            "Fix: run rtdecode study --protocol single-day,cross-day",
        ),
        (["--steps", "3", "--protocol=cross-day"], "Fix: run rtdecode study --protocol cross-day"),
    ],
)
def test_the_command_names_what_is_wrong(
    days: list[Path], base_file: Path, tmp_path: Path, options: list[str], message: str
) -> None:
    line = ["evaluate", str(days[2]), "--base", str(base_file), "--output", str(tmp_path)]
    result = CliRunner().invoke(app, [*line, *options])
    assert isinstance(result.exception, RtdecodeError)
    assert message in str(result.exception)


@pytest.mark.parametrize(
    "options",
    [
        ["--splits", "random"],
        ["--workers", "2", "--dask", "tcp://127.0.0.1:9"],
        ["--labelled", "middle"],
        ["--minutes", "1,0"],
        ["--kinds", "mlp"],
    ],
)
def test_the_command_refuses_wrong_usage(days: list[Path], tmp_path: Path, options: list[str]) -> None:
    result = CliRunner().invoke(app, ["evaluate", str(days[2]), "--output", str(tmp_path), *options])
    assert result.exit_code == 2
    assert options[0] in result.output
