"""`rtdecode models`, `swap` and `fit`: which model is current, and files that are not replaced."""

from __future__ import annotations

import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from decoding import artifact_of, outputs
from simulated_days import simulated_day
from typer.testing import CliRunner

from rtdecode.artifact import ModelArtifact, read_artifact, write_artifact
from rtdecode.cli.calibrate.model_target import ModelTarget
from rtdecode.cli.commands import app
from rtdecode.cli.runtime.rig_config import pinned_model
from rtdecode.cli.runtime.swap import check_daemon
from rtdecode.errors import RtdecodeError
from rtdecode.model_store import current_model, history_of, install_current
from rtdecode.testing.fake_daemon import FakeControl
from rtdecode.tools.loopback import free_endpoint


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "share"))
    monkeypatch.chdir(tmp_path)
    for name in os.environ:
        if name.startswith("RTDECODE_"):
            monkeypatch.delenv(name)
    return tmp_path


def make(level: float) -> ModelArtifact:
    run = {"weight": np.full((4, 2, 1), level, "f4"), "bias": np.zeros(1)}
    return artifact_of("wiener", n_channels=4, outputs=outputs(1), run=run)


def installed(stream: str, level: float) -> str:
    write_artifact(f"{level:g}.safetensors", make(level))
    install_current(f"{level:g}.safetensors", stream)
    return make(level).model_id


def ran(*arguments: str) -> str:
    done = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


def refusal(*arguments: str) -> str:
    done = CliRunner().invoke(app, arguments)
    assert isinstance(done.exception, RtdecodeError), done.output
    assert "\n" not in str(done.exception)
    return str(done.exception)


def test_the_list_marks_what_is_current_and_what_is_missing() -> None:
    assert "no stream has a model" in ran("models")
    first, second, other = installed("M1", 1.0), installed("M1", 2.0), installed("it's/ä", 1.0)
    history_of("M1").path(first).unlink()
    Path("1.safetensors").unlink()
    installed("M1", 3.0)
    current_model("it's/ä").unlink()
    lines = ran("models").splitlines()
    assert [line for line in lines if not line.startswith(("*", " "))] == ["M1", "it's/ä"]
    assert [line.split()[:2] for line in lines[2:3]] == [["*", make(3.0).model_id]]
    assert next(line for line in lines if first in line).split()[-2] == "MISSING,"
    assert "2.safetensors" in next(line for line in lines if second in line)
    document = json.loads(ran("models", "--json"))
    m1, its = document["streams"]
    assert (m1["stream"], m1["current"], len(m1["models"])) == ("M1", make(3.0).model_id, 3)
    assert (its["current"], [each["model"] for each in its["models"]]) == (None, [other])
    assert json.loads(ran("models", "M1", "--json")) == {"streams": [m1]}
    assert "M2: this stream has no models; those that have: M1, it's/ä" in refusal("models", "M2")


def test_going_back_and_swapping_it_into_a_daemon() -> None:
    first, _ = installed("M1", 1.0), installed("M1", 2.0)
    shown = ran("models", "use", "M1", first[:5])
    assert f"model {first} (wiener): now the current model of stream M1: rtdecode serve --stream M1" in shown
    assert "rtdecode swap current" in shown
    with FakeControl(lambda request: {"ok": True, "bin": 5, "stream": {"name": "M1"}}) as control:
        document = json.loads(ran("models", "use", "M1", first, "--deploy", control.endpoint, "--json"))
        assert (document["model"], document["swapped"]) == (first, 5)
        assert ran("swap", "current", "--control", control.endpoint).startswith(
            f"model {first} decodes from bin 5"
        )
        assert [request["cmd"] for request in control.requests] == ["status", "swap"] * 2
    assert "no models of this stream have an id" in refusal("models", "use", "M1", "zzz")


def test_a_stream_may_be_called_as_the_word_for_going_back() -> None:
    model = installed("use", 1.0)
    assert model in ran("models", "use")
    assert "now the current model of stream use" in ran("models", "use", "use", model)
    for arguments in (["a", "b"], ["use", "M1"], ["a", "b", "c"], ["M1", "--deploy", "tcp://127.0.0.1:1"]):
        assert CliRunner().invoke(app, ["models", *arguments]).exit_code == 2


def test_without_a_daemon_nothing_is_done() -> None:
    first, second = installed("M1", 1.0), installed("M1", 2.0)
    with pytest.raises(
        RtdecodeError, match=r"no daemon answers at tcp.*Fix: start rtdecode serve, or give its"
    ):
        check_daemon(free_endpoint(), timeout_s=0.1)
    with FakeControl(lambda request: {"ok": False, "error": "no"}) as control:
        # Before the model, which there is not, is looked for.
        assert "no daemon answers" in refusal("swap", "nothing", "--control", control.endpoint)
        line = refusal("models", "use", "M1", first, "--deploy", control.endpoint)
        assert "leave --deploy out and swap later" in line
    assert read_artifact(current_model("M1")).model_id == second


def test_a_model_of_rig_toml_is_served_instead_and_that_is_said(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = installed("M1", 1.0)
    assert pinned_model("M1") is None
    Path("rig.toml").write_text('stream = "M1"\nmodel = "old.safetensors"\n')
    shown = ran("models", "use", "M1", model)
    assert "note: serve keeps using old.safetensors from rig.toml, not the current model of M1" in shown
    assert "rtdecode serve --stream" not in shown
    for same in ("current", "M1", str(current_model("M1"))):
        Path("rig.toml").write_text(f'model = "{same}"\n')
        assert pinned_model("M1") is None
    assert "not the current model of M2" in str(pinned_model("M2"))
    Path("rig.toml").rename("other.toml")
    Path("other.toml").write_text('model = "{date}.safetensors"\n')
    monkeypatch.setenv("RTDECODE_CONFIG", "other.toml")
    assert ".safetensors from rig.toml, not" in str(pinned_model("M1"))
    monkeypatch.setenv("RTDECODE_MODEL", "b.safetensors")
    assert "serve keeps using b.safetensors from RTDECODE_MODEL, not" in str(pinned_model("M1"))


def test_a_fit_replaces_no_file_that_it_was_not_told_to(folder: Path) -> None:
    today = str(simulated_day(folder / "today.h5", 8, seconds=40.0))

    def fitted(*arguments: str) -> str:
        document: dict[str, Any] = json.loads(ran("fit", today, "--json", "--bin-width", "0.05", *arguments))
        return Path(document["output"]).name

    assert [fitted(), fitted("--current", "it's/ä")] == [
        "today.fitted.safetensors",
        "today.fitted.2.safetensors",
    ]
    Path("typed.safetensors").write_text("mine")
    line = refusal("fit", today, "--output", "typed.safetensors")
    assert line.startswith("typed.safetensors: exists already. Fix: choose another name")
    assert Path("typed.safetensors").read_text() == "mine"
    assert fitted("--output", "typed.safetensors", "--overwrite") == "typed.safetensors"
    assert read_artifact("typed.safetensors").kind == "wiener"
    current_model("M1").parent.parent.mkdir(parents=True, exist_ok=True)
    current_model("M1").parent.write_text("no folder")
    line = refusal("fit", today, "--output", "last.safetensors", "--bin-width", "0.05", "--current", "M1")
    assert line.count("the model is in last.safetensors, but did not become current") == 1
    assert "until then serve it with --model last.safetensors" in line


@pytest.mark.parametrize("typed", [None, Path("m.safetensors"), Path("m.bin")])
def test_models_that_are_written_at_once_have_names_of_their_own(typed: Path | None) -> None:
    target = ModelTarget(typed, Path("today.h5"), "calibrated", overwrite=False)
    target.check([])
    with ThreadPoolExecutor(4) as pool:
        accepted = list(pool.map(lambda n: target.write(make(n)), range(4)))
        refused = list(pool.map(lambda n: target.write(make(n), refused=True), range(2)))
    name = {None: "today.calibrated{}.safetensors", Path("m.bin"): "m.bin{}"}.get(typed, "m{}.safetensors")
    assert {path.name for path in accepted} == {name.format(n) for n in ("", ".2", ".3", ".4")}
    stem = "today" if typed is None else "m"
    assert {path.name for path in refused} == {f"{stem}{n}.refused.safetensors" for n in ("", ".2")}
    assert [read_artifact(path).model_id for path in accepted] == [make(n).model_id for n in range(4)]


def test_an_output_that_cannot_be_written_is_refused_before_the_work(folder: Path) -> None:
    Path("folder").mkdir()
    for typed in ("nowhere/m.safetensors", "folder", f"{'ä' * 128}.safetensors"):
        with pytest.raises(RtdecodeError, match="cannot be written"):
            ModelTarget(Path(typed), Path("today.h5"), "fitted", overwrite=False).check([])
    with pytest.raises(
        RtdecodeError, match=r"too long for the disk\. .*, or name another file with --output"
    ):
        ModelTarget(None, Path(f"{'a' * 245}.h5"), "fitted", overwrite=False).check([])
