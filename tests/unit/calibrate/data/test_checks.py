"""A model is scored only on time that it was not trained on, and only on sessions that it fits."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from decoding import artifact_of
from simulated_days import simulated_day

from rtdecode.artifact import ModelArtifact, Output, write_artifact
from rtdecode.calibrate.adaptation.calibrate import calibrate_session
from rtdecode.calibrate.data.checks import check_channels, fits, output_columns, trained_on
from rtdecode.calibrate.data.sessions import LabelledSession, read_labelled
from rtdecode.calibrate.evaluation.bases import Base
from rtdecode.calibrate.evaluation.fewshot.plan import FewShotSettings
from rtdecode.calibrate.evaluation.fewshot.plan import plan as few_shot_plan
from rtdecode.calibrate.evaluation.study.learners import fit
from rtdecode.calibrate.evaluation.study.plan import Job
from rtdecode.errors import RtdecodeError
from rtdecode.session.layout import Behavior, Session

N_CHANNELS, WIDTH_S = 6, 0.05
OUTPUTS = tuple(
    Output(name, units, 0.0, 1.0, role)
    for name, units, role in (("x", "mm", "position"), ("vy", "mm/s", "velocity"))
)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A simulated session of a minute."""
    return simulated_day(tmp_path_factory.mktemp("days") / "day.h5", N_CHANNELS)


@pytest.fixture(scope="module")
def day(path: Path) -> LabelledSession:
    return read_labelled(path, WIDTH_S, ("x", "vy"))


def model(*sessions: dict[str, Any], **changes: Any) -> ModelArtifact:
    described: dict[str, Any] = {
        "bin_width_s": WIDTH_S, "n_channels": N_CHANNELS, "outputs": OUTPUTS,
        "run": {"weight": np.ones((N_CHANNELS, 2, 2), "f4"), "bias": np.zeros(2)},
        "provenance": {"sessions": list(sessions)},
    }  # fmt: skip
    return artifact_of("wiener", **(described | changes))


@pytest.mark.parametrize(
    ("seen", "last_fifth", "all_of_it"),
    [
        ({"sha256": "other"}, False, False),
        ({"validation": True, "train_s": 0.0}, False, False),
        ({"validation": False, "train_s": 60.0}, True, True),
        ({"train_s": 48.0, "holdout_s": 12.0}, False, True),
        ({"train_s": 54.0, "holdout_s": 6.0}, True, True),
        ({"train_s": 60.0, "holdout_s": 0.0}, True, True),
        ({}, True, True),
    ],
)
def test_a_model_was_trained_on_the_time_that_it_did_not_hold_out(
    seen: dict[str, Any], last_fifth: bool, all_of_it: bool
) -> None:
    one = model({"name": "before", "sha256": "other"}, {"sha256": "aa"} | seen)
    assert trained_on(one, "aa", 12.0) == last_fifth
    assert trained_on(one, "aa") == all_of_it
    assert not trained_on(one, "bb")
    assert not trained_on(replace(one, provenance={}), "aa")


@pytest.mark.parametrize("holdout_s", [0.0, 6.0, 12.0])
def test_every_command_refuses_a_base_by_the_same_rule(
    path: Path, day: LabelledSession, tmp_path: Path, holdout_s: float
) -> None:
    """The last fifth has to be unseen for `calibrate`, the whole day for few-shot and the study."""
    base = model({"name": "day", "sha256": day.sha256, "holdout_s": holdout_s})
    refused = rf"day\.h5: the base {base.model_id} was trained on this session"
    if holdout_s < 12.0:
        with pytest.raises(RtdecodeError, match=refused):
            calibrate_session(path, base)
    else:
        with pytest.raises(RtdecodeError, match="is not a network"):
            calibrate_session(path, base, rung="full")
    asked = FewShotSettings(minutes=(0.5,), wiener=False, device="cpu")
    with pytest.raises(RtdecodeError, match=refused):
        few_shot_plan([day], [Base(path=path, sha256="", artifact=base)], asked)
    write_artifact(tmp_path / "base.safetensors", base)
    with pytest.raises(RtdecodeError, match=refused):
        fit(
            Job(
                protocol="cross-day", split="chronological", kind="alignnet", causality="causal",
                direction="spikes to behaviour", seed=0, train=(), test=path, bin_width_s=WIDTH_S,
                outputs=("x", "vy"), steps=0, members=1, base=tmp_path / "base.safetensors",
            )
        )  # fmt: skip


def test_a_session_has_to_have_the_channels_outputs_and_units_of_the_model() -> None:
    one = model()
    check_channels(one, N_CHANNELS, "day.h5")
    with pytest.raises(
        RtdecodeError, match=r"day\.h5: has 5 channels, and the model has 6\. Fix: use a model"
    ):
        check_channels(one, 5, "day.h5")
    assert output_columns(OUTPUTS, ("vy", "force", "x"), ("mm/s", "N", "mm"), "day.h5") == [2, 0]
    with pytest.raises(
        RtdecodeError, match="has no behaviour called 'vy', which the model decodes, only x, y"
    ):
        output_columns(OUTPUTS, ("x", "y"), ("mm", "mm"), "day.h5")
    with pytest.raises(RtdecodeError, match=r"x is in 'cm', and in 'mm' in the model\. Fix: convert it"):
        output_columns(OUTPUTS, ("x", "vy"), ("cm", "mm/s"), "day.h5", fix="convert it")


def test_a_session_without_behaviour_fits_by_its_channels() -> None:
    session = Session(n_channels=N_CHANNELS, attrs={"session_id": "day"})
    assert fits(model(), session)
    assert not fits(model(n_channels=5), session)
    time, values = np.arange(3.0), np.zeros((3, 2), np.float32)
    for units, expected in ((("mm", "mm/s"), True), (("cm", "mm/s"), False)):
        behavior = Behavior(time, values, ("x", "vy"), units)
        assert fits(model(), replace(session, behavior=behavior)) == expected
