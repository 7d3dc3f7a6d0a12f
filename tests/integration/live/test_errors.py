"""Errors at the rig: one line, exit status 1, no traceback."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
from daemon import replay

from rtdecode.artifact import read_artifact, write_artifact
from rtdecode.session.read import read_session
from rtdecode.session.write import write_session
from rtdecode.tools.loopback import LoopbackRig, free_endpoint


def run(*arguments: object, environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "rtdecode.cli", *map(str, arguments)],
        capture_output=True,
        text=True,
        env={**os.environ, **(environment or {})},
        timeout=120,
    )


def assert_one_line(done: subprocess.CompletedProcess[str], *words: str) -> None:
    assert done.returncode == 1, done.stderr
    lines = [line for line in done.stderr.splitlines() if line.startswith("rtdecode:")]
    assert len(lines) == 1, done.stderr
    assert "Traceback" not in done.stderr
    assert "internal error" not in done.stderr
    for word in words:
        assert word in lines[0]


def edited(change: Callable[[h5py.File], object]) -> Callable[[Path], None]:
    def spoil(path: Path) -> None:
        with h5py.File(path, "r+") as file:
            change(file)

    return spoil


#: Each spoils a session, and a word that the message must contain.
FAULTS: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing": (Path.unlink, "does not exist"),
    "text": (lambda path: path.write_text("channel,time\n1,0.5\n"), "HDF5"),
    "truncated": (lambda path: os.truncate(path, path.stat().st_size // 2), "bad.h5"),
    "foreign": (edited(lambda file: file.attrs.pop("format")), "format"),
    "no channels": (edited(lambda file: file.attrs.modify("n_channels", 0)), "n_channels"),
    "nan": (edited(lambda file: file["behavior/values"].__setitem__((3, 1), np.nan)), "behavior/values"),
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("command", ["fit", "decode", "replay", "info"])
def test_a_bad_session_is_refused(
    fault: str, command: str, simulated_session: Path, simulated_model: Path, tmp_path: Path
) -> None:
    spoil, word = FAULTS[fault]
    path = shutil.copy(simulated_session, tmp_path / "bad.h5")
    spoil(path)
    more = {"decode": ["--model", simulated_model], "replay": ["--stream", "M1"]}.get(command, [])
    assert_one_line(run(command, path, *more), "bad.h5", word)


def test_a_session_of_another_array_is_refused_with_both_numbers(
    indy_piece: Path, simulated_model: Path
) -> None:
    assert_one_line(run("decode", indy_piece, "--model", simulated_model), "96", "16")


@pytest.mark.parametrize("command", ["fit", "decode"])
def test_an_unwritable_output_is_refused_before_the_work(
    command: str, simulated_session: Path, simulated_model: Path, tmp_path: Path
) -> None:
    more = ["--model", simulated_model] if command == "decode" else []
    done = run(command, simulated_session, *more, "--output", tmp_path / "nowhere" / "out.h5")
    assert_one_line(done, "nowhere", "folder does not exist")
    assert "%" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--model", "/nowhere/model.safetensors"], ["/nowhere/model.safetensors"]),
        (["--model", "nobody"], ["nobody"]),
        ([], ["has no current model"]),
        (["--bind", "tcp://0.0.0.0:5556"], ["--insecure"]),
        (["--behavior", "hand"], ["--record"]),
        (["--grace", "-1"], ["--grace"]),
    ],
)
def test_serve_refuses_bad_settings_at_the_start(
    arguments: list[str], words: list[str], tmp_path: Path
) -> None:
    done = run("serve", "--stream", "M1", *arguments, environment={"XDG_DATA_HOME": str(tmp_path)})
    assert_one_line(done, *words)


def test_a_recording_that_cannot_be_written_is_refused_before_serving(
    simulated_model: Path, simulated_session: Path
) -> None:
    given = ["serve", "--stream", "M1", "--model", simulated_model, "--bind", free_endpoint()]
    assert_one_line(
        run(*given, "--record", "/nowhere/live.h5"), "/nowhere/live.h5", "its folder does not exist"
    )
    assert_one_line(run(*given, "--record", simulated_session), "exists already", "--overwrite")


def test_without_a_model_those_of_other_streams_are_listed(
    simulated_model: Path, simulated_session: Path, tmp_path: Path
) -> None:
    home = {"XDG_DATA_HOME": str(tmp_path)}
    fitted = run(
        "fit", simulated_session, "--output", tmp_path / "m.safetensors", "--current", "M2", environment=home
    )
    assert fitted.returncode == 0, fitted.stderr
    assert_one_line(run("serve", "--stream", "M1", environment=home), "M1", "M2")


def test_the_current_model_of_a_stream_needs_no_flag(
    rig: LoopbackRig, simulated_session: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = {"XDG_DATA_HOME": str(tmp_path)}
    run("fit", simulated_session, "--output", tmp_path / "m.safetensors", "--current", "M2", environment=home)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    again = LoopbackRig(tmp_path, rig.lsl_config)
    again.start("serve", ["serve", "--stream", "M2", "--bind", free_endpoint(), "--control", free_endpoint()])
    again.await_line("serve", read_artifact(tmp_path / "m.safetensors").model_id, 30)
    again.end("serve")


def refused_stream(rig: LoopbackRig, stream: str, model: Path, *options: str) -> str:
    """The last line of a `serve` that ends because of its stream."""
    given = ["serve", "--stream", stream, "--model", str(model), "--bind", free_endpoint()]
    process = rig.start("serve", [*given, "--control", free_endpoint(), *options])
    assert process.wait(60) == 1
    assert "Traceback" not in rig.stderr("serve")
    return rig.stderr("serve").splitlines()[-1]


def test_a_missing_stream_is_an_error(rig: LoopbackRig, simulated_model: Path, stream: str) -> None:
    error = refused_stream(rig, stream, simulated_model, "--timeout", "1")
    assert stream in error
    assert "--timeout" in error


@pytest.mark.parametrize("layout", ["events", "counts"])
def test_a_stream_of_another_array_is_refused_with_both_numbers(
    rig: LoopbackRig, stream: str, simulated_session: Path, simulated_model: Path, layout: str
) -> None:
    wider = rig.folder / "wider.h5"
    write_session(wider, replace(read_session(simulated_session), n_channels=17))
    replay(rig, wider, stream, "--layout", layout)
    error = refused_stream(rig, stream, simulated_model)
    assert "16" in error
    assert "17" in error


def test_counts_coarser_than_the_models_bins_are_refused_with_both_numbers(
    rig: LoopbackRig, stream: str, simulated_session: Path, simulated_model: Path
) -> None:
    replay(rig, simulated_session, stream, "--layout", "counts", "--period", "25")
    error = refused_stream(rig, stream, simulated_model)
    assert "25 ms" in error
    assert "20 ms" in error


def test_a_damaged_model_is_refused(simulated_session: Path, simulated_model: Path, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.safetensors"
    data = bytearray(simulated_model.read_bytes())
    data[-10] ^= 0xFF
    damaged.write_bytes(data)
    assert_one_line(run("decode", simulated_session, "--model", damaged), "damaged.safetensors", "damaged")
    damaged.write_bytes(data[:100])
    assert_one_line(run("info", damaged), "damaged.safetensors")


def test_a_non_causal_model_is_not_served(simulated_model: Path, tmp_path: Path) -> None:
    offline = tmp_path / "offline.safetensors"
    write_artifact(offline, replace(read_artifact(simulated_model), causal=False))
    assert_one_line(run("serve", "--stream", "M1", "--model", offline), "offline.safetensors")
    info = run("info", offline)
    assert info.returncode == 0
    assert "the model is non-causal" in info.stdout


def test_bad_usage_exits_2() -> None:
    for arguments in (["serve"], ["fit"], ["serve", "--stream", "M1", "--grace", "soon"], ["fly"]):
        assert run(*arguments).returncode == 2


def test_debug_shows_the_traceback(tmp_path: Path) -> None:
    done = run("info", tmp_path / "missing.h5", "--debug")
    assert done.returncode == 1
    assert "Traceback" in done.stderr


def test_a_bare_checkout_is_an_error(simulated_session: Path) -> None:
    """`python -m rtdecode` in the project's own folder finds rtdecode/ without the other three packages."""
    script = "import sys; sys.modules['rtdecode.calibrate'] = None; from rtdecode.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", script, "fit", str(simulated_session)], capture_output=True, text=True
    )
    assert_one_line(done, "PYTHONSAFEPATH")
