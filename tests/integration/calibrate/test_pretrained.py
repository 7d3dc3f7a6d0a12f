"""The models that ship: found by name, small, described, and able to decode what they were trained on."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from commands import document_here, refusal, rtdecode
from in_process_loop import run_in_process

from rtdecode.artifact import read_artifact
from rtdecode.model_store import find_model, list_models
from rtdecode.models.ensemble.load import networks_of
from rtdecode.tools.demo.run import CALIBRATION_S, DAY, HANDS, RADIUS_MM, SUBJECT
from rtdecode.tools.simulator.experiment import SimulatedDay
from rtdecode.tools.simulator.task import TaskSettings

OUTPUTS = ("x", "y", "vx", "vy")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No models of this machine's user."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "share"))
    return tmp_path


def test_indy_is_a_50_hz_base_of_23_days_and_small() -> None:
    path = find_model("indy")
    assert "indy" in {model.name for model in list_models()}
    assert path.stat().st_size < 5_000_000
    artifact = read_artifact(path)
    assert (artifact.kind, artifact.causal, artifact.bin_width_s) == ("alignnet", True, 0.02)
    assert (artifact.n_channels, artifact.output_names) == (96, OUTPUTS)
    days = artifact.provenance["sessions"]
    assert len({day["sha256"] for day in days}) == 23
    assert all(day["synthetic_times"] and day["train_s"] > 200 for day in days)
    assert any("nothing finer than 64 ms is real" in note for note in artifact.provenance["notes"])
    for net in networks_of(artifact):
        assert net.read_in.names == [day["name"] for day in days]


def test_its_card_says_what_it_is() -> None:
    path = find_model("indy")
    card = path.with_suffix(".md").read_text()
    for said in (
        read_artifact(path).model_id,
        "zenodo",
        "CC BY 4.0",
        "O'Doherty",
        "rtdecode pretrain",
        "synthetic",
    ):
        assert said in card, said
    assert re.search(r"\| *zero-shot|spikes only", card)


def test_it_decodes_a_day_that_it_has_seen(data_dir: Path) -> None:
    """The last one, whose read-in it is folded with."""
    day = data_dir / "indy" / "indy_20170123_02.h5"
    assert np.mean(document_here("decode", day, "--model", "indy")["r2"]) > 0.75


def test_evaluate_knows_it_by_its_name_and_refuses_what_it_was_trained_on(
    data_dir: Path, tmp_path: Path
) -> None:
    day = data_dir / "indy" / "indy_20161005_06.h5"
    done = rtdecode("evaluate", day, "--base", "indy", "--minutes", "0", "--output", tmp_path / "out")
    model = read_artifact(find_model("indy")).model_id
    assert f"the base {model} was trained on this session" in refusal(done)


def test_sim_is_a_small_base_of_simulated_days_and_its_card_says_how_it_was_made() -> None:
    path = find_model("sim")
    assert path.stat().st_size < 5_000_000
    artifact = read_artifact(path)
    assert (artifact.kind, artifact.causal, artifact.bin_width_s) == ("alignnet", True, 0.02)
    assert (artifact.n_channels, artifact.output_names) == (64, OUTPUTS)
    days = [day["name"] for day in artifact.provenance["sessions"]]
    assert days == ["day12", "day9", "day6", "day3", "day0"]
    card = path.with_suffix(".md").read_text()
    for said in (
        artifact.model_id,
        "simulated subject 4",
        "rtdecode subject --open-loop",
        "rtdecode pretrain",
    ):
        assert said in card, said


def steered(model: Path, day: int) -> float:
    """Of the demo's targets, the part that its subject brings the cursor into."""
    of = SimulatedDay(seed=SUBJECT, day=day, task=TaskSettings(radius_mm=RADIUS_MM))
    return run_in_process(of, read_artifact(model), trials=24).scores.success or 0.0


def test_sim_fails_after_a_month_and_recovers_without_torch(tmp_path: Path) -> None:
    """What the demo shows, in this process, and with the rung of an install that cannot train."""
    fresh, old = steered(find_model("sim"), 0), steered(find_model("sim"), DAY)
    assert fresh >= 0.9
    assert old <= fresh - 0.2
    today = tmp_path / "today.h5"
    given = ["--seed", SUBJECT, "--day", DAY, "--session", 1, "--seconds", CALIBRATION_S, *HANDS]
    document_here("subject", "--open-loop", today, *given)
    done = document_here("calibrate", today, "--base", "sim", "--rung", "readout")
    assert steered(Path(done["output"]), DAY) >= old + 0.2
