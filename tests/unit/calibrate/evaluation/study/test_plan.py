"""Which jobs a study has, and what makes two of them the same."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rtdecode.calibrate.evaluation.study.plan import DIRECTIONS, EDITION, Base, Job, exists, plan
from rtdecode.calibrate.evaluation.study.rows import FORMS, KINDS
from rtdecode.errors import RtdecodeError

DAYS = [Path(f"day{i}.h5") for i in range(4)]
DIGESTS = {path: f"sha{i}" for i, path in enumerate(DAYS)} | {Path("base.safetensors"): "base"}


def planned(**changes: Any) -> list[Job]:
    asked: dict[str, Any] = {
        "protocols": ("single-day", "cross-day"),
        "splits": ("chronological", "random"),
        "kinds": KINDS,
        "forms": ("causal", "offline"),
        "directions": DIRECTIONS,
        "seeds": (0, 1),
        "bin_width_s": 0.05,
        "outputs": ("x", "y"),
        "steps": 10,
        "members": 1,
    }
    return plan(DAYS, **(asked | changes))


def test_every_kind_is_trained_for_every_day_split_form_direction_and_seed_once() -> None:
    jobs = planned()
    assert len({job.id(DIGESTS) for job in jobs}) == len(jobs)
    tests = 4 * 2 + 2
    per_kind = Counter((job.kind, job.seed) for job in jobs)
    for kind in ("gru", "mlp", "resnet", "resnet-unet", "alignnet"):
        assert per_kind[kind, 0] == per_kind[kind, 1] == tests * 2 * 2
    # A filter has no seed; a Kalman filter decodes causally and simulates offline.
    assert (per_kind["wiener", 0], per_kind["wiener", 1]) == (tests * 4, 0)
    assert (per_kind["kalman", 0], per_kind["kalman", 1]) == (tests * 2, 0)


def test_across_days_two_teach_and_the_next_is_scored() -> None:
    pairs = {(job.train, job.test) for job in planned(protocols=("cross-day",))}
    assert pairs == {((DAYS[0], DAYS[1]), DAYS[2]), ((DAYS[1], DAYS[2]), DAYS[3])}
    assert all(job.split is None for job in planned(protocols=("cross-day",)))
    with pytest.raises(RtdecodeError, match="across days takes two to learn from"):
        plan(DAYS[:2], **{**_asked(), "protocols": ("cross-day",)})


def test_a_pretrained_model_is_scored_across_days_in_its_form_and_the_direction_it_was_made_for() -> None:
    bases = [
        Base(Path(f"{form}{i}.safetensors"), form, direction)
        for form in ("causal", "offline")
        for i, direction in enumerate(DIRECTIONS)
    ]
    jobs = [job for job in planned(bases=bases) if job.base is not None]
    assert {(job.test, job.base, job.form, job.direction) for job in jobs} == {
        (day, base.path, base.form, base.direction) for day in DAYS[2:] for base in bases
    }
    assert all(job.train == () and job.protocol == "cross-day" and job.seed == 0 for job in jobs)
    assert len(jobs) == 8


@pytest.mark.parametrize(
    "asked", [{"forms": ("causal",)}, {"directions": DIRECTIONS[:1]}, {"kinds": ("gru", "wiener")}]
)
def test_a_pretrained_model_that_nothing_would_score_is_named(asked: dict[str, Any]) -> None:
    base = Base(Path("ahead.safetensors"), "offline", DIRECTIONS[1])
    with pytest.raises(RtdecodeError, match=r"ahead\.safetensors: is an alignnet, offline, beh"):
        planned(bases=[base], **asked)
    with pytest.raises(RtdecodeError, match="pretrained models are scored across days"):
        planned(bases=[base], protocols=("single-day",))


def test_only_alignnet_convolves_over_channels() -> None:
    assert {job.kind for job in planned(forms=("offline-2d",))} == {"alignnet"}
    assert [kind for kind in KINDS if exists(kind, "offline-2d", DIRECTIONS[0])] == ["alignnet"]


def test_an_id_is_of_what_decides_and_not_of_where_files_lie() -> None:
    job = planned()[0]
    moved = {Path("/elsewhere") / path: digest for path, digest in DIGESTS.items()}
    same = replace(
        job, test=Path("/elsewhere") / job.test, train=tuple(Path("/elsewhere") / path for path in job.train)
    )
    assert same.id(moved) == job.id(DIGESTS)
    changes: list[dict[str, Any]] = [
        {"protocol": "cross-day"}, {"split": "random"}, {"kind": "mlp"}, {"form": "causal"}, {"seed": 9},
        {"direction": DIRECTIONS[1]}, {"test": DAYS[3]}, {"train": (DAYS[2],)}, {"bin_width_s": 0.02},
        {"outputs": ("x",)}, {"steps": 11}, {"members": 2}, {"base": Path("base.safetensors")},
    ]  # fmt: skip
    others = {replace(job, **change).id(DIGESTS) for change in changes}
    assert len(others | {job.id(DIGESTS)}) == len(changes) + 1
    assert job.id({**DIGESTS, job.test: "changed"}) != job.id(DIGESTS)
    assert job.id(DIGESTS, {"width": 64}) != job.id(DIGESTS, {"width": 96}) != job.id(DIGESTS)


def test_another_edition_computes_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    job = planned()[0]
    before = job.id(DIGESTS)
    monkeypatch.setattr("rtdecode.calibrate.evaluation.study.plan.EDITION", EDITION + 1)
    assert job.id(DIGESTS) != before


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"protocols": ("monthly",)}, "no such protocol: monthly"),
        ({"splits": ("odd",)}, "no such split: odd"),
        ({"kinds": ("lstm",)}, "no such kind: lstm"),
        ({"forms": ("3d",)}, "no such form: 3d"),
        ({"directions": ("sideways",)}, "no such direction: sideways"),
        ({"kinds": ()}, "no such kind: none"),
    ],
)
def test_what_is_not_there_is_named(asked: dict[str, Any], said: str) -> None:
    with pytest.raises(RtdecodeError, match=said):
        planned(**asked)


def test_forms_of_the_plan_are_those_of_the_rows() -> None:
    assert {job.form for job in planned(forms=tuple(FORMS))} == set(FORMS)


def _asked() -> dict[str, Any]:
    return {
        "protocols": ("single-day",), "splits": ("chronological",), "kinds": ("mlp",), "forms": ("causal",),
        "directions": DIRECTIONS, "seeds": (0,), "bin_width_s": 0.05, "outputs": ("x",), "steps": 1,
        "members": 1,
    }  # fmt: skip
