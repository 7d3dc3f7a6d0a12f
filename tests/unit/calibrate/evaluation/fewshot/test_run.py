"""Few-shot evaluation: what each model may see of a day, and what is made of the scores."""

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
from typer.testing import CliRunner

from rtdecode.artifact import ModelArtifact, write_artifact
from rtdecode.calibrate.evaluation import cache as keptjobs
from rtdecode.calibrate.evaluation.fewshot import run as fewshot
from rtdecode.calibrate.evaluation.fewshot.job import Measured, Score, do_job
from rtdecode.calibrate.evaluation.fewshot.plan import FewShotJob
from rtdecode.calibrate.evaluation.fewshot.report import over_days, table_rows
from rtdecode.calibrate.evaluation.fewshot.run import FewShot
from rtdecode.calibrate.evaluation.runner import Failure
from rtdecode.calibrate.fitting.pretrain import PretrainSettings, pretrain_sessions
from rtdecode.calibrate.training.settings import Sizes
from rtdecode.cli import app
from rtdecode.errors import RtdecodeError
from rtdecode.session.read import read_session
from rtdecode.session.write import write_session
from rtdecode.tools.simulator.scripted import CentreOut, draw_tuning, simulate_session

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
    paths = []
    for day in range(4):
        task = CentreOut(n_channels=20, mean_rate_hz=20.0 + 5.0 * day)
        path = folder / f"day{day}.h5"
        tuning = draw_tuning(task, 3 if day < 3 else 9)
        write_session(path, simulate_session(task, tuning, 100.0, day, f"day{day}"))
        paths.append(path)
    return paths


@pytest.fixture(scope="module")
def base(days: list[Path]) -> ModelArtifact:
    return pretrain_sessions(days[:2], SMALL).artifact


@pytest.fixture(scope="module")
def base_file(base: ModelArtifact, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("base") / "base.safetensors"
    write_artifact(path, base)
    return path


def in_process(work: Callable[[Any], Any], items: list[Any], **_options: Any) -> Any:
    """`run_jobs` without processes."""
    return ((i, work(item)) for i, item in enumerate(items))


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keptjobs, "run_jobs", in_process)


@pytest.fixture
def few_shot(here: None, tmp_path: Path) -> Callable[..., list[Score]]:
    """`fewshot.few_shot` in this process, into a folder of its own each time."""

    def scores(paths: Sequence[Path], bases: Sequence[Path], **asked: Any) -> list[Score]:
        n_before = len(list(tmp_path.glob("out*")))
        done = fewshot.few_shot(paths, bases, tmp_path / f"out{n_before}", **{"steps": 60} | asked)
        assert not done.missing
        return done.scores

    return scores


def saved(folder: Path, base: ModelArtifact) -> Path:
    path = folder / f"base{len(list(folder.glob('base*')))}.safetensors"
    write_artifact(path, base)
    return path


def test_a_new_day_is_scored_from_spikes_alone_and_after_minutes_of_labels(
    days: list[Path], base_file: Path, few_shot: Callable[..., list[Score]]
) -> None:
    told: list[float] = []
    scores = few_shot(
        days[2:], [base_file], minutes=MINUTES, seeds=(0, 1), progress=lambda _, done: told.append(done)
    )
    by = {(s.kind, s.test, s.minutes, s.seed): float(s.r2.mean()) for s in scores}
    assert len(by) == len(scores) == 2 * (1 + 2 * 2 + 2)
    assert told == sorted(told)
    assert told[-1] == 1.0
    # The tuning of day 2 is known; that of day 3 has to be learnt.
    assert by["alignnet", "day2", 0.0, 0] > 0.3 > by["alignnet", "day3", 0.0, 0]
    assert by["alignnet", "day3", 1.0, 0] > by["alignnet", "day3", 0.0, 0] + 0.1
    assert by["alignnet", "day3", 1.0, 0] != by["alignnet", "day3", 1.0, 1]
    assert by["wiener", "day3", 1.0, 0] > 0.1
    (wiener,) = (s for s in scores if (s.kind, s.test, s.minutes) == ("wiener", "day2", 0.5))
    assert wiener.as_json()["model"] is None
    tuned = scores[0].as_json()
    assert tuned["train"] == ["day0", "day1"]
    assert tuned["test"] == ["day2"]
    assert {
        "kind",
        "causal",
        "protocol",
        "minutes",
        "seed",
        "direction",
        "outputs",
        "r2",
        "pcc",
    } <= tuned.keys()


def test_nothing_but_the_labelled_minutes_is_learnt_from(
    days: list[Path], base_file: Path, tmp_path: Path, few_shot: Callable[..., list[Score]]
) -> None:
    """Behaviour before the labels changes nothing; within the labels it does."""
    session = read_session(days[3])
    behavior = session.behavior
    assert behavior is not None
    scores = {}
    for name, start_s, stop_s in (("as it was", 0.0, 0.0), ("before", 5.0, 45.0), ("labels", 55.0, 75.0)):
        values = behavior.values.copy()
        time_s = behavior.time - behavior.time[0]
        changed = (time_s >= start_s) & (time_s < stop_s)
        values[changed] = values[changed][::-1]
        path = tmp_path / f"{name}.h5"
        write_session(path, replace(session, behavior=replace(behavior, values=values)))
        scores[name] = [s.r2 for s in few_shot([path], [base_file], minutes=(0.0, 0.5))]
    for was, before in zip(scores["as it was"], scores["before"], strict=True):
        np.testing.assert_array_equal(was, before)
    for was, other in zip(scores["as it was"][1:], scores["labels"][1:], strict=True):
        assert (was != other).all()
    np.testing.assert_array_equal(scores["as it was"][0], scores["labels"][0])


def test_the_first_minutes_instead_of_the_last(
    days: list[Path], base_file: Path, tmp_path: Path, few_shot: Callable[..., list[Score]]
) -> None:
    """Behaviour after the labels changes nothing; within them it does. Spikes: those minutes', too."""
    session = read_session(days[3])
    behavior = session.behavior
    assert behavior is not None
    found = {}
    for name, start_s, stop_s in (("as it was", 0.0, 0.0), ("after", 35.0, 75.0), ("labels", 5.0, 25.0)):
        values = behavior.values.copy()
        time_s = behavior.time - behavior.time[0]
        changed = (time_s >= start_s) & (time_s < stop_s)
        values[changed] = values[changed][::-1]
        path = tmp_path / f"{name}.h5"
        write_session(path, replace(session, behavior=replace(behavior, values=values)))
        found[name] = few_shot([path], [base_file], minutes=(0.0, 0.5), known="first")
    assert {score.as_json()["known"] for score in found["as it was"]} == {"first"}
    r2 = {name: [score.r2 for score in scores] for name, scores in found.items()}
    for was, after in zip(r2["as it was"], r2["after"], strict=True):
        np.testing.assert_array_equal(was, after)
    for was, other in zip(r2["as it was"][1:], r2["labels"][1:], strict=True):
        assert (was != other).all()
    last = few_shot([tmp_path / "as it was.h5"], [base_file], minutes=(0.0, 0.5), wiener=False)
    assert (last[0].r2 != r2["as it was"][0]).all()
    with pytest.raises(RtdecodeError, match=r"known minutes 'middle'\. Fix: give last or first"):
        few_shot(days[2:], [base_file], known="middle")


def test_minutes_that_a_day_does_not_have_are_left_out(
    days: list[Path], base_file: Path, few_shot: Callable[..., list[Score]]
) -> None:
    scores = few_shot(days[2:3], [base_file], minutes=(0.0, 1.0, 1.4), wiener=False)
    assert [score.minutes for score in scores] == [0.0, 1.0]


def test_a_day_that_the_base_has_seen_is_refused(
    days: list[Path], base_file: Path, few_shot: Callable[..., list[Score]]
) -> None:
    with pytest.raises(RtdecodeError, match=r"day1\.h5: the base [0-9a-f]{8} was trained on this session"):
        few_shot(days[1:3], [base_file])


def test_what_does_not_fit_is_refused(
    days: list[Path],
    base: ModelArtifact,
    base_file: Path,
    tmp_path: Path,
    few_shot: Callable[..., list[Score]],
) -> None:
    task = CentreOut(n_channels=16)
    write_session(tmp_path / "narrow.h5", simulate_session(task, draw_tuning(task, 1), 60.0, 1, "narrow"))
    with pytest.raises(RtdecodeError, match=r"narrow\.h5: has 16 channels, and the model has 20"):
        few_shot([tmp_path / "narrow.h5"], [base_file])
    with pytest.raises(RtdecodeError, match="no model to start from"):
        few_shot(days[2:], [])
    for minutes in ((), (1.0, 0.5), (-1.0,), (1.0, 1.0)):
        with pytest.raises(RtdecodeError, match="give minutes that rise"):
            few_shot(days[2:], [base_file], minutes=minutes)
    with pytest.raises(RtdecodeError, match="bases of 50 and 20 ms"):
        few_shot(days[2:], [base_file, saved(tmp_path, replace(base, bin_width_s=0.02))])
    with pytest.raises(RtdecodeError, match="holds only what decoding needs"):
        few_shot(days[2:], [saved(tmp_path, replace(base, train={}))])


def evaluated(days: list[Path], base_file: Path, folder: Path, **options: Any) -> FewShot:
    return fewshot.few_shot(days[2:], [base_file], folder, minutes=(0.0, 0.5), steps=2, **options)


def untimed(done: FewShot) -> list[dict[str, Any]]:
    return [
        {name: value for name, value in score.as_json().items() if name != "seconds"} for score in done.scores
    ]


def test_what_was_interrupted_goes_on_and_gives_the_same(
    days: list[Path], base_file: Path, tmp_path: Path, here: None
) -> None:
    whole = evaluated(days, base_file, tmp_path / "whole")
    assert (whole.computed, len(whole.scores)) == (6, 6)

    def interrupt(what: str, _done: float) -> None:
        if what.startswith("4 of"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        evaluated(days, base_file, tmp_path / "parts", progress=interrupt)
    kept = sorted((tmp_path / "parts" / "jobs").glob("*.json"))
    assert len(kept) == 4
    # One that is not whole, one of another number of outputs.
    kept[0].write_text("{")
    document = json.loads(kept[1].read_text())
    kept[1].write_text(json.dumps(document | {"r2": document["r2"][:1]}))
    again = evaluated(days, base_file, tmp_path / "parts")
    assert again.computed == 4
    assert untimed(again) == untimed(whole)
    # The same files elsewhere, and what has been scored of other minutes, too.
    for path in (*days[2:], base_file):
        shutil.copy(path, tmp_path / path.name)
    moved = [tmp_path / path.name for path in (*days, base_file)]
    third = evaluated(moved[:-1], moved[-1], tmp_path / "parts")
    assert third.computed == 0
    assert [score.as_json() for score in third.scores] == [score.as_json() for score in again.scores]
    more = fewshot.few_shot(days[2:], [base_file], tmp_path / "parts", minutes=(0.5,), seeds=(0, 1), steps=2)
    assert more.computed == 2


def test_a_score_that_there_is_not_is_kept_as_such(
    days: list[Path], base_file: Path, tmp_path: Path, here: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def flat(job: FewShotJob) -> Measured:
        return Measured(np.array([0.1, np.nan, 1 / 3, -2.0]), np.full(4, np.nan), 1.5)

    monkeypatch.setattr(fewshot, "do_job", flat)
    done, again = (evaluated(days, base_file, tmp_path) for _ in range(2))
    assert (done.computed, again.computed) == (6, 0)
    for score in (*done.scores, *again.scores):
        np.testing.assert_array_equal(score.r2, [0.1, np.nan, 1 / 3, -2.0])
        assert np.isnan(score.pcc).all()
        assert score.seconds == 1.5


def test_a_file_that_was_changed_after_it_was_planned_with_is_not_scored(
    days: list[Path], base_file: Path, tmp_path: Path, here: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs: list[FewShotJob] = []

    def gathered(_work: object, items: list[FewShotJob], **_options: Any) -> Any:
        jobs.extend(items)
        return iter(())

    monkeypatch.setattr(keptjobs, "run_jobs", lambda *a, **k: (each for each in gathered(*a, **k)))
    evaluated(days, base_file, tmp_path)
    for change in ({"test": days[0]}, {"base_sha256": "0"}):
        with pytest.raises(RtdecodeError, match=r"is another file than the one that the jobs were planned"):
            do_job(replace(jobs[0], **change))


def test_a_job_that_fails_is_named_and_the_others_are_written(
    days: list[Path], base_file: Path, tmp_path: Path, here: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(job: FewShotJob) -> Measured | Failure:
        return Failure("out of luck") if job.minutes == 1.0 else Measured(np.ones(4), np.ones(4), 0.0)

    monkeypatch.setattr(fewshot, "do_job", broken)
    line = ["evaluate", str(days[2]), "--base", str(base_file), "--output", str(tmp_path / "out")]
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
def test_a_process_of_its_own_and_a_cluster_of_cluster_of_score_the_same(
    days: list[Path], base_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    """The number of batches travels with a job."""
    with cluster_of() if where == "cluster" else nullcontext() as address:
        apart = evaluated(days[1:], base_file, tmp_path / "apart", workers=1, dask=address)
    monkeypatch.setattr(keptjobs, "run_jobs", in_process)
    here = evaluated(days[1:], base_file, tmp_path / "here")
    assert (apart.computed, here.computed) == (3, 3)
    assert untimed(apart) == untimed(here)


def test_one_job_at_a_time_trains_on_a_gpu_unless_more_are_asked_for(
    days: list[Path], base_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[dict[str, Any]] = []

    def none_done(_work: object, _items: object, **options: Any) -> Any:
        asked.append(options)
        return (each for each in ())

    monkeypatch.setattr(keptjobs, "run_jobs", none_done)
    evaluated(days, base_file, tmp_path, device="cpu")
    monkeypatch.setattr(fewshot, "chosen_device", lambda name: torch.device("cuda"))
    evaluated(days, base_file, tmp_path)
    evaluated(days, base_file, tmp_path, workers=3)
    # The GPUs are the cluster's.
    evaluated(days, base_file, tmp_path, dask="tcp://127.0.0.1:9")
    assert [options["workers"] for options in asked] == [None, 1, 3, None]


def test_scores_are_averaged_over_days_after_seeds() -> None:
    def score(test: str, seed: int, r2: float) -> Score:
        values = np.array([r2, r2 + 0.2])
        return Score("gru", "x", (), test, 1.0, "last", seed, ("x", "y"), values, values, 0.0)

    scores = [score("a", 0, 0.1), score("a", 1, 0.3), score("b", 0, 0.6)]
    r2, mean, sd, n_days = over_days(scores)
    np.testing.assert_allclose(r2, [0.4, 0.6])
    assert mean == pytest.approx(0.5)
    assert sd == pytest.approx(np.std([0.3, 0.7], ddof=1))
    assert n_days == 2
    headings, rows = table_rows(scores)
    assert rows == [["gru", "1", "0.400", "0.600", "0.500", "0.283", "0.433", "2"]]
    assert len(headings) == len(rows[0])


def test_the_command_writes_json_and_a_picture(
    days: list[Path], base_file: Path, tmp_path: Path, here: None
) -> None:
    line = ["evaluate", str(days[2]), "--base", str(base_file)]
    result = CliRunner().invoke(app, [*line, "--minutes", "0,1", "--output", str(tmp_path / "out"), "--json"])
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert document == json.loads((tmp_path / "out" / "results.json").read_text())
    assert [(d["kind"], d["minutes"]) for d in document] == [("alignnet", 0), ("alignnet", 1), ("wiener", 1)]
    assert (tmp_path / "out" / "few-shot.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (["--kinds", "gru"], "--kinds: no base of kind gru"),
        (["--kinds", "wiener"], "is of kind alignnet, which --kinds does not name"),
        (["--dask", "tcp://127.0.0.1:9"], "--dask tcp://127.0.0.1:9: no Dask scheduler answers"),
    ],
)
def test_the_command_names_what_is_missing(
    days: list[Path],
    base_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    more: list[str],
    says: str,
) -> None:
    line = ["evaluate", str(days[2]), "--base", str(base_file), "--output", str(tmp_path)]
    monkeypatch.setattr("rtdecode.calibrate.evaluation.runner.CONNECT_S", 0.5)
    result = CliRunner().invoke(app, [*line, *more])
    assert isinstance(result.exception, RtdecodeError)
    assert says in str(result.exception)
