"""Errors at the rig: one line, exit status 1, no traceback."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from commands import refusal, rtdecode

from rtdecode.artifact import read_artifact, write_artifact
from rtdecode.model_store import install_current
from rtdecode.session.read import read_session
from rtdecode.session.write import write_session
from rtdecode.tools.loopback import LoopbackRig, free_endpoint


def assert_one_line(done: subprocess.CompletedProcess[str], *words: str) -> None:
    line = refusal(done)
    for word in words:
        assert word in line


@pytest.fixture
def bad_session(request: pytest.FixtureRequest, simulated_session: Path, tmp_path: Path) -> tuple[Path, str]:
    """A session with one fault, and a word that the message must contain."""
    path = tmp_path / "bad.h5"
    kind = request.param
    if kind == "missing":
        return path, "does not exist"
    if kind == "text":
        path.write_text("channel and time\n")
        return path, "text file"
    data = simulated_session.read_bytes()
    if kind == "truncated":
        path.write_bytes(data[: len(data) // 2])
        return path, "bad.h5"
    path.write_bytes(data)
    with h5py.File(path, "r+") as file:
        if kind == "foreign":
            del file.attrs["format"]
            return path, "format"
        if kind == "no channels":
            file.attrs["n_channels"] = 0
            return path, "n_channels"
        assert kind == "nan"
        file["behavior/time"][:] = np.nan
        return path, "behavior/time"


@pytest.mark.parametrize(
    ("command", "bad_session"),
    [
        *(("info", fault) for fault in ("missing", "text", "truncated", "foreign", "no channels", "nan")),
        *((command, fault) for command in ("fit", "decode", "replay") for fault in ("missing", "nan")),
    ],
    indirect=["bad_session"],
)
def test_a_bad_session_is_refused(bad_session: tuple[Path, str], command: str, simulated_model: Path) -> None:
    path, word = bad_session
    more = {"decode": ["--model", simulated_model], "replay": ["--stream", "M1"]}.get(command, [])
    assert_one_line(rtdecode(command, path, *more), "bad.h5", word)


def test_a_session_of_another_array_is_refused_with_both_numbers(
    indy_piece: Path, simulated_model: Path
) -> None:
    assert_one_line(rtdecode("decode", indy_piece, "--model", simulated_model), "96", "16")


@pytest.mark.parametrize("command", ["fit", "decode"])
def test_an_unwritable_output_is_refused_before_the_work(
    command: str, simulated_session: Path, simulated_model: Path, tmp_path: Path
) -> None:
    more = ["--model", simulated_model] if command == "decode" else []
    done = rtdecode(command, simulated_session, *more, "--output", tmp_path / "nowhere" / "out.h5")
    assert_one_line(done, "nowhere", "folder does not exist")
    assert "%" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--model", "/nowhere/model.safetensors"], ["/nowhere/model.safetensors"]),
        (["--model", "nobody"], ["nobody"]),
        ([], ["has no current model"]),
        (["--bind", "tcp://0.0.0.0:5556"], ["--insecure"]),
        (["--bind", "somewhere"], ["--bind"]),
        (["--behavior", "hand"], ["--record"]),
        (["--timeout", "-1"], ["--timeout"]),
        (["--failsafe-after", "0.1"], ["--failsafe-after"]),
        (["--grace", "-1"], ["--grace"]),
    ],
)
def test_serve_refuses_bad_settings_at_the_start(
    arguments: list[str], words: list[str], tmp_path: Path
) -> None:
    done = rtdecode("serve", "--stream", "M1", *arguments, XDG_DATA_HOME=str(tmp_path))
    assert_one_line(done, *words)


def test_a_recording_that_cannot_be_written_is_refused_before_serving(
    simulated_model: Path, simulated_session: Path
) -> None:
    given = ["serve", "--stream", "M1", "--model", simulated_model, "--bind", free_endpoint()]
    assert_one_line(
        rtdecode(*given, "--record", "/nowhere/live.h5"), "/nowhere/live.h5", "its folder does not exist"
    )
    assert_one_line(rtdecode(*given, "--record", simulated_session), "exists already", "another name")


def test_without_a_model_those_of_other_streams_are_listed(
    simulated_model: Path, simulated_session: Path, tmp_path: Path
) -> None:
    home = {"XDG_DATA_HOME": str(tmp_path)}
    fitted = rtdecode(
        "fit", simulated_session, "--output", tmp_path / "m.safetensors", "--current", "M2", **home
    )
    assert fitted.returncode == 0, fitted.stderr
    assert_one_line(rtdecode("serve", "--stream", "M1", **home), "M1", "M2")


def test_the_current_model_of_a_stream_needs_no_flag(
    rig: LoopbackRig, simulated_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(rig.folder))
    rig.set_environment("XDG_DATA_HOME", str(rig.folder))
    install_current(simulated_model, "M2")
    rig.start("serve", ["serve", "--stream", "M2", "--bind", free_endpoint(), "--control", free_endpoint()])
    rig.await_line("serve", read_artifact(simulated_model).model_id, 30)
    rig.end("serve")


def test_a_missing_stream_is_an_error(rig: LoopbackRig, simulated_model: Path, stream: str) -> None:
    arguments = ["serve", "--stream", stream, "--model", str(simulated_model), "--timeout", "1"]
    arguments += ["--bind", free_endpoint(), "--control", free_endpoint()]
    process = rig.start("serve", arguments)
    assert process.wait(60) == 1
    error = rig.stderr("serve").splitlines()[-1]
    assert stream in error
    assert "--timeout" in error
    assert "Traceback" not in rig.stderr("serve")


def assert_refused_after_the_timeout(rig: LoopbackRig, stream: str, model: Path, reason: str) -> None:
    """`serve` says why what it found is not taken, waits for another, and ends with the reason."""
    arguments = ["serve", "--stream", stream, "--model", str(model), "--timeout", "2"]
    process = rig.start("serve", [*arguments, "--bind", free_endpoint(), "--control", free_endpoint()])
    assert process.wait(60) == 1
    *lines, error = rig.stderr("serve").splitlines()
    said = next(
        line for line in lines if line.startswith(f"waiting for --stream {stream}: stream {stream} (type")
    )
    assert "no stream was found that can be taken within 2 s" in error
    for line in (said, error):
        assert reason in line
        assert ", source " in line


@pytest.mark.parametrize("layout", ["events", "counts"])
def test_a_stream_of_another_array_is_refused_with_both_numbers(
    rig: LoopbackRig, replay: Any, stream: str, simulated_session: Path, simulated_model: Path, layout: str
) -> None:
    session = read_session(simulated_session)
    wider = rig.folder / "wider.h5"
    write_session(wider, replace(session, n_channels=17))
    replay(wider, "--layout", layout)
    assert_refused_after_the_timeout(rig, stream, simulated_model, "the stream has 17 channels, the model 16")


def test_counts_coarser_than_the_models_bins_are_refused_with_both_numbers(
    rig: LoopbackRig, replay: Any, stream: str, simulated_session: Path, simulated_model: Path
) -> None:
    replay(simulated_session, "--layout", "counts", "--period", "25")
    assert_refused_after_the_timeout(
        rig, stream, simulated_model, "its counts cover 25 ms, the model's bins 20 ms"
    )


def test_a_damaged_model_is_refused(simulated_session: Path, simulated_model: Path, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.safetensors"
    data = bytearray(simulated_model.read_bytes())
    data[-10] ^= 0xFF
    damaged.write_bytes(data)
    assert_one_line(
        rtdecode("decode", simulated_session, "--model", damaged), "damaged.safetensors", "damaged"
    )
    damaged.write_bytes(data[:100])
    assert_one_line(rtdecode("info", damaged), "damaged.safetensors")


def test_a_non_causal_model_is_not_served(simulated_model: Path, tmp_path: Path) -> None:
    offline = tmp_path / "offline.safetensors"
    write_artifact(offline, replace(read_artifact(simulated_model), causal=False))
    assert_one_line(rtdecode("serve", "--stream", "M1", "--model", offline), "offline.safetensors")
    info = rtdecode("info", offline)
    assert info.returncode == 0
    assert "the model is non-causal" in info.stdout


def test_bad_usage_exits_2() -> None:
    for arguments in (["serve"], ["fit"], ["serve", "--stream", "M1", "--grace", "soon"], ["fly"]):
        assert rtdecode(*arguments).returncode == 2


def test_debug_shows_the_traceback(tmp_path: Path) -> None:
    done = rtdecode("info", tmp_path / "missing.h5", "--debug")
    assert done.returncode == 1
    assert "Traceback" in done.stderr


def test_a_bare_checkout_is_an_error(simulated_session: Path) -> None:
    """`python -m rtdecode` in the project's own folder finds rtdecode/ without the other three packages."""
    script = "import sys; sys.modules['rtdecode.calibrate'] = None; from rtdecode.cli import main; main()"
    assert_one_line(rtdecode("fit", simulated_session, script=script), "PYTHONSAFEPATH")
