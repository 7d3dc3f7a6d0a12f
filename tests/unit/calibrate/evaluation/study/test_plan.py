"""The jobs of a study, and which of them are the same job."""

from __future__ import annotations

from collections import Counter
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from rtdecode.calibrate.evaluation.study.plan import (
    EDITION,
    Base,
    Job,
    StudySettings,
    exists,
    plan,
)
from rtdecode.calibrate.evaluation.study.recipes import recipe
from rtdecode.calibrate.evaluation.study.rows import CAUSALITIES, DECODING, DIRECTIONS, KINDS, SIMULATION
from rtdecode.errors import RtdecodeError

DAYS = [Path(f"day{i}.h5") for i in range(4)]
DIGESTS = {path: f"sha{i}" for i, path in enumerate(DAYS)} | {Path("base.safetensors"): "base"}


def planned(days: list[Path] | None = None, bases: tuple[Base, ...] = (), **changes: Any) -> list[Job]:
    asked: dict[str, Any] = {
        "splits": ("chronological", "random"), "seeds": (0, 1), "bin_width_s": 0.05, "outputs": ("x", "y"),
        "steps": 10, "members": 1,
    }  # fmt: skip
    return plan(days or DAYS, StudySettings(**(asked | changes)), bases)


def test_every_kind_is_trained_for_every_day_split_causality_direction_and_seed_once() -> None:
    jobs = planned()
    assert len({job.id(DIGESTS) for job in jobs}) == len(jobs)
    tests = 4 * 2 + 2
    per_kind = Counter((job.kind, job.seed) for job in jobs)
    for kind in ("gru", "mlp", "resnet", "resnet-unet", "alignnet"):
        assert per_kind[kind, 0] == per_kind[kind, 1] == tests * 2 * 2
    # A filter has no seed; a Kalman filter decodes causally and simulates offline.
    assert (per_kind["wiener", 0], per_kind["wiener", 1]) == (tests * 4, 0)
    assert (per_kind["kalman", 0], per_kind["kalman", 1]) == (tests * 2, 0)


def test_across_days_two_sessions_are_trained_on_and_the_next_is_scored() -> None:
    pairs = {(job.train, job.test) for job in planned(protocols=("cross-day",))}
    assert pairs == {((DAYS[0], DAYS[1]), DAYS[2]), ((DAYS[1], DAYS[2]), DAYS[3])}
    assert all(job.split is None for job in planned(protocols=("cross-day",)))
    with pytest.raises(RtdecodeError, match="cross-day needs two sessions to train on and one"):
        planned(DAYS[:2])


def test_a_pretrained_model_is_scored_across_days_in_its_causality_and_direction() -> None:
    bases = tuple(
        Base(Path(f"{causality}{i}.safetensors"), causality, direction)
        for causality in ("causal", "offline")
        for i, direction in enumerate(DIRECTIONS.values())
    )
    jobs = [job for job in planned(bases=bases) if job.base is not None]
    assert {(job.test, job.base, job.causality, job.direction) for job in jobs} == {
        (day, base.path, base.causality, base.direction) for day in DAYS[2:] for base in bases
    }
    assert all(job.train == () and job.protocol == "cross-day" and job.seed == 0 for job in jobs)
    assert len(jobs) == 8


@pytest.mark.parametrize(
    "asked", [{"causalities": ("causal",)}, {"directions": (DECODING,)}, {"kinds": ("gru", "wiener")}]
)
def test_a_pretrained_model_that_the_settings_exclude_is_named(asked: dict[str, Any]) -> None:
    base = Base(Path("ahead.safetensors"), "offline", SIMULATION)
    with pytest.raises(RtdecodeError, match=r"ahead\.safetensors: is an alignnet, offline, beh"):
        planned(bases=(base,), **asked)
    with pytest.raises(RtdecodeError, match="pretrained models are scored across days"):
        planned(bases=(base,), protocols=("single-day",))


def test_only_alignnet_convolves_over_channels() -> None:
    assert {job.kind for job in planned(causalities=("offline-2d",))} == {"alignnet"}
    assert [kind for kind in KINDS if exists(kind, "offline-2d", DECODING)] == ["alignnet"]


def test_an_id_depends_on_contents_and_settings_and_not_on_paths() -> None:
    job = planned()[0]
    moved = {Path("/elsewhere") / path: digest for path, digest in DIGESTS.items()}
    same = replace(
        job, test=Path("/elsewhere") / job.test, train=tuple(Path("/elsewhere") / path for path in job.train)
    )
    assert same.id(moved) == job.id(DIGESTS)
    changes: list[dict[str, Any]] = [
        {"protocol": "cross-day"}, {"split": "random"}, {"kind": "mlp"}, {"causality": "causal"}, {"seed": 9},
        {"direction": SIMULATION}, {"test": DAYS[3]}, {"train": (DAYS[2],)}, {"bin_width_s": 0.02},
        {"outputs": ("x",)}, {"steps": 11}, {"members": 2}, {"base": Path("base.safetensors")},
    ]  # fmt: skip
    others = {replace(job, **change).id(DIGESTS) for change in changes}
    assert len(others | {job.id(DIGESTS)}) == len(changes) + 1
    assert {name for change in changes for name in change} == {field.name for field in fields(Job)}
    assert job.id({**DIGESTS, job.test: "changed"}) != job.id(DIGESTS)
    assert job.id(DIGESTS, {"width": 64}) != job.id(DIGESTS, {"width": 96}) != job.id(DIGESTS)
    assert job.id(DIGESTS, edition=EDITION + 1) != job.id(DIGESTS)


@pytest.mark.parametrize(
    ("name", "job_id"),
    [
        ("single-day d0: alignnet offline-2d, spikes to behaviour, seed 0", "e9a0a47453c4e867"),
        ("single-day d1: gru causal, spikes to behaviour, seed 1", "c5b4fabbe422b925"),
        ("cross-day d2: resnet-unet causal, behaviour to spikes, seed 0", "6304fbe01af7d3c6"),
        ("cross-day d3: kalman causal, spikes to behaviour, seed 0", "efafd1821bcd6bde"),
        ("cross-day d3: alignnet causal pretrained, spikes to behaviour, seed 0", "c6587651ecc3ec92"),
    ],
)
def test_jobs_cached_by_earlier_versions_stay_valid(name: str, job_id: str) -> None:
    days = [Path(f"d{i}.h5") for i in range(4)]
    digests = {path: str(i) * 8 for i, path in enumerate(days)} | {Path("b"): "b"}
    jobs = planned(
        days,
        (Base(Path("b"), "causal", DECODING),),
        causalities=tuple(CAUSALITIES),
        bin_width_s=0.064,
        steps=15,
    )
    ids = [
        job.id(digests, {} if job.base else recipe(job.kind, job.causality, job.direction))
        for job in jobs
        if (job.name, job.split) == (name, None if name.startswith("cross-day") else "chronological")
    ]
    assert ids == [job_id]


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"protocols": ("monthly",)}, "no such protocol: monthly"),
        ({"splits": ("odd",)}, "no such split: odd"),
        ({"kinds": ("lstm",)}, "no such kind: lstm"),
        ({"causalities": ("3d",)}, "no such causality: 3d"),
        ({"directions": ("sideways",)}, "no such direction: sideways"),
        ({"kinds": ()}, "no such kind: none"),
    ],
)
def test_an_unknown_setting_is_named(asked: dict[str, Any], message: str) -> None:
    with pytest.raises(RtdecodeError, match=message):
        planned(**asked)


def test_the_plan_has_all_causalities_of_the_rows() -> None:
    assert {job.causality for job in planned(causalities=tuple(CAUSALITIES))} == set(CAUSALITIES)
