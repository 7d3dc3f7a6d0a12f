"""The jobs of a few-shot evaluation, and which of them are the same job."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from studies import few_shot_job as job

from rtdecode.calibrate.adaptation import interpolation
from rtdecode.calibrate.adaptation.finetune_settings import FINETUNING, finetuning
from rtdecode.calibrate.data.splits import LAST_FIFTH
from rtdecode.calibrate.evaluation.cache import id_of
from rtdecode.calibrate.evaluation.fewshot.plan import EDITION


def test_an_id_depends_on_contents_and_settings_and_not_on_paths_and_names() -> None:
    elsewhere = job(
        test=Path("/mnt/a.h5"), session="a", base=Path("/mnt/b.safetensors"), train=("was day0", "day1")
    )
    assert elsewhere.id == job().id
    changes: list[dict[str, Any]] = [
        {"kind": "gru"}, {"test_sha256": "ab"}, {"base_sha256": "bc"}, {"model": "00000000"},
        {"bin_width_s": 0.02}, {"outputs": ("x",)}, {"minutes": 1.0}, {"read_in_minutes": 2.0},
        {"labelled": "first"}, {"seed": 1}, {"steps": 100}, {"device": "cpu"},
    ]  # fmt: skip
    others = {replace(job(), **change).id for change in changes}
    assert len(others | {job().id}) == len(changes) + 1
    names = {"test", "session", "base", "train"}
    assert {name for change in changes for name in change} == set(vars(job())) - names


@pytest.mark.parametrize(
    ("changes", "job_id"),
    [
        ({"minutes": 0.5}, "bd0ab9661c13f48b"),
        ({"minutes": 0.0, "steps": 0, "labelled": "first"}, "31b8ad37c3dcb550"),
        (
            {"kind": "wiener", "base": None, "base_sha256": None, "model": None, "steps": 0, "minutes": 4.0},
            "db7527344f63b7c2",
        ),
        ({"kind": "gru", "minutes": 4.0, "steps": 60, "labelled": "first"}, "143b8413f0f74c3b"),
    ],
)
def test_jobs_cached_by_earlier_versions_stay_valid(changes: dict[str, Any], job_id: str) -> None:
    common = {"test_sha256": "ab", "base_sha256": "cd", "model": "ef", "seed": 1}
    assert job(**(common | changes)).id == job_id


def test_an_id_depends_on_the_version_the_test_set_and_how_networks_are_tuned() -> None:
    described = job().described()
    training = finetuning(FINETUNING, round(2.0 * 60.0 / 0.064), 0.064)
    assert described["edition"] == EDITION
    assert described["holdout"] == LAST_FIFTH
    assert described["recipe"] == training.recorded(0) | {
        "nearness": [interpolation.HALF_S, interpolation.SOUND]
    }
    assert described["recipe"]["learning_rate"] == FINETUNING.learning_rate
    assert described["recipe"]["batch"] == FINETUNING.batch
    assert id_of(described) == job().id
    assert id_of(described | {"recipe": {}}) != job().id


def test_an_id_without_tuning_does_not_depend_on_its_settings() -> None:
    assert job(minutes=0.0, steps=0).described()["recipe"] == {}


def test_a_name_has_day_model_minutes_and_seed() -> None:
    assert job().name == "today: alignnet f6ffb59f, 2 min, seed 0"
    assert job(kind="wiener", base=None, model=None).name == "today: wiener, 2 min, seed 0"
