"""Which jobs a few-shot evaluation has, and what makes two of them the same."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rtdecode.calibrate.adaptation import interpolation
from rtdecode.calibrate.evaluation.fewshot.plan import EDITION, FewShotJob


def job(**changes: Any) -> FewShotJob:
    asked: dict[str, Any] = {
        "kind": "alignnet", "test": Path("/data/today.h5"), "test_sha256": "aa", "session": "today",
        "base": Path("/models/base.safetensors"), "base_sha256": "bb", "model": "f6ffb59f",
        "train": ("day0", "day1"), "bin_width_s": 0.064, "outputs": ("x", "y"), "minutes": 2.0,
        "read_in_minutes": 4.0, "known": "last", "seed": 0, "steps": 200, "device": "auto",
    }  # fmt: skip
    return FewShotJob(**(asked | changes))


def test_an_id_is_of_what_decides_and_not_of_where_files_lie_and_what_they_are_called() -> None:
    elsewhere = job(
        test=Path("/mnt/a.h5"), session="a", base=Path("/mnt/b.safetensors"), train=("was day0", "day1")
    )
    assert elsewhere.id == job().id
    changes: list[dict[str, Any]] = [
        {"kind": "gru"}, {"test_sha256": "ab"}, {"base_sha256": "bc"}, {"model": "00000000"},
        {"bin_width_s": 0.02}, {"outputs": ("x",)}, {"minutes": 1.0}, {"read_in_minutes": 2.0},
        {"known": "first"}, {"seed": 1}, {"steps": 100}, {"device": "cpu"},
    ]  # fmt: skip
    others = {replace(job(), **change).id for change in changes}
    assert len(others | {job().id}) == len(changes) + 1
    told = {"test", "session", "base", "train"}
    assert {name for change in changes for name in change} == set(vars(job())) - told


@pytest.mark.parametrize(
    ("where", "name", "value"),
    [
        ("rtdecode.calibrate.evaluation.fewshot.plan", "EDITION", EDITION + 1),
        (interpolation.__name__, "HALF_S", 60.0),
        ("rtdecode.calibrate.evaluation.fewshot.plan", "LAST_FIFTH", 0.3),
    ],
)
def test_what_is_computed_otherwise_is_computed_anew(
    monkeypatch: pytest.MonkeyPatch, where: str, name: str, value: float
) -> None:
    before = job().id
    monkeypatch.setattr(f"{where}.{name}", value)
    assert job().id != before


def test_ids_are_those_of_earlier_versions() -> None:
    """With the settings of fine-tuning, which are part of the id where there is any."""
    assert job().id == "2ec68aa563b89997"
    assert job(minutes=0.0, steps=0).id == "ee2a42cadac23c54"
    assert job(kind="wiener", base=None, model=None, steps=0).id == "e32a5861074dd44f"


def test_settings_of_fine_tuning_are_in_the_id_only_with_fine_tuning(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tuned, plain = job().id, job(minutes=0.0, steps=0).id
    monkeypatch.setattr(interpolation, "HALF_S", 60.0)
    assert job().id != tuned
    assert job(minutes=0.0, steps=0).id == plain


def test_its_name_says_what_it_is_of() -> None:
    assert job().name == "today: alignnet f6ffb59f, 2 min, seed 0"
    assert job(kind="wiener", base=None, model=None).name == "today: wiener, 2 min, seed 0"
