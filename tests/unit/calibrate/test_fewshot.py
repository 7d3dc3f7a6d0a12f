"""Few-shot evaluation: what each model may see of a day, and what is made of the scores."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from rtdecode.artifact import ModelArtifact, write_artifact
from rtdecode.calibrate import adapt, networks, pretrain
from rtdecode.calibrate.fewshot import Score, few_shot
from rtdecode.calibrate.fewshotreport import over_days, table_rows
from rtdecode.calibrate.pretrain import pretrain_sessions
from rtdecode.calibrate.sizes import Sizes
from rtdecode.calibrate.training import TrainingSettings
from rtdecode.cli import app
from rtdecode.errors import RtdecodeError
from rtdecode.session.read import read_session
from rtdecode.session.write import write_session
from rtdecode.tools.simulated import CentreOut, draw_tuning, simulate_session

MINUTES = (0.0, 0.5, 1.0)
SMALL = Sizes(members=1, widths=(16, 16), dec_widths=(16,), feature_dropout=0.1)


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
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(networks, "TrainingSettings", partial(TrainingSettings, batch=8))
        patch.setattr(pretrain, "MANY_DAYS", SMALL)
        return pretrain_sessions(days[:2], bin_width_s=0.05, steps=80).artifact


@pytest.fixture(autouse=True)
def few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adapt, "STEPS", 60)


def test_a_new_day_is_scored_from_spikes_alone_and_after_minutes_of_labels(
    days: list[Path], base: ModelArtifact
) -> None:
    told: list[float] = []
    scores = few_shot(
        days[2:], [base], minutes=MINUTES, seeds=(0, 1), progress=lambda _, done: told.append(done)
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
    days: list[Path], base: ModelArtifact, tmp_path: Path
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
        scores[name] = [s.r2 for s in few_shot([path], [base], minutes=(0.0, 0.5))]
    for was, before in zip(scores["as it was"], scores["before"], strict=True):
        np.testing.assert_array_equal(was, before)
    for was, other in zip(scores["as it was"][1:], scores["labels"][1:], strict=True):
        assert (was != other).all()
    np.testing.assert_array_equal(scores["as it was"][0], scores["labels"][0])


def test_the_first_minutes_instead_of_the_last(days: list[Path], base: ModelArtifact, tmp_path: Path) -> None:
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
        found[name] = few_shot([path], [base], minutes=(0.0, 0.5), known="first")
    assert {score.as_json()["known"] for score in found["as it was"]} == {"first"}
    r2 = {name: [score.r2 for score in scores] for name, scores in found.items()}
    for was, after in zip(r2["as it was"], r2["after"], strict=True):
        np.testing.assert_array_equal(was, after)
    for was, other in zip(r2["as it was"][1:], r2["labels"][1:], strict=True):
        assert (was != other).all()
    last = few_shot([tmp_path / "as it was.h5"], [base], minutes=(0.0, 0.5), wiener=False)
    assert (last[0].r2 != r2["as it was"][0]).all()
    with pytest.raises(RtdecodeError, match=r"known minutes 'middle'\. Mend: give last or first"):
        few_shot(days[2:], [base], known="middle")


def test_minutes_that_a_day_does_not_have_are_left_out(days: list[Path], base: ModelArtifact) -> None:
    scores = few_shot(days[2:3], [base], minutes=(0.0, 1.0, 1.4), wiener=False)
    assert [score.minutes for score in scores] == [0.0, 1.0]


def test_a_day_that_the_base_has_seen_is_refused(days: list[Path], base: ModelArtifact) -> None:
    with pytest.raises(RtdecodeError, match=r"day1\.h5: the base [0-9a-f]{8} was trained on this session"):
        few_shot(days[1:3], [base])


def test_what_does_not_fit_is_refused(days: list[Path], base: ModelArtifact, tmp_path: Path) -> None:
    task = CentreOut(n_channels=16)
    write_session(tmp_path / "narrow.h5", simulate_session(task, draw_tuning(task, 1), 60.0, 1, "narrow"))
    with pytest.raises(RtdecodeError, match=r"narrow\.h5: has 16 channels, and the base 20"):
        few_shot([tmp_path / "narrow.h5"], [base])
    with pytest.raises(RtdecodeError, match="no model to start from"):
        few_shot(days[2:], [])
    for minutes in ((), (1.0, 0.5), (-1.0,), (1.0, 1.0)):
        with pytest.raises(RtdecodeError, match="give minutes that rise"):
            few_shot(days[2:], [base], minutes=minutes)
    with pytest.raises(RtdecodeError, match="bases of 50 and 20 ms"):
        few_shot(days[2:], [base, replace(base, bin_width_s=0.02)])
    with pytest.raises(RtdecodeError, match="holds only what decoding needs"):
        few_shot(days[2:], [replace(base, train={})])


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


def test_the_command_writes_json_and_a_picture(days: list[Path], base: ModelArtifact, tmp_path: Path) -> None:
    write_artifact(tmp_path / "base.safetensors", base)
    line = ["evaluate", str(days[2]), "--base", str(tmp_path / "base.safetensors")]
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
    ],
)
def test_the_command_names_what_is_missing(
    days: list[Path], base: ModelArtifact, tmp_path: Path, more: list[str], says: str
) -> None:
    write_artifact(tmp_path / "base.safetensors", base)
    line = ["evaluate", str(days[2]), "--base", str(tmp_path / "base.safetensors"), "--output", str(tmp_path)]
    result = CliRunner().invoke(app, [*line, *more])
    assert isinstance(result.exception, RtdecodeError)
    assert says in str(result.exception)
