"""`rtdecode calibrate today.h5` and `rtdecode serve --stream M1`, not a word more; and what a kill leaves."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from daemon import Subscriber, cut

from rtdecode.artifact import read_artifact
from rtdecode.session.read import read_session
from rtdecode.session.write import write_session
from rtdecode.tools.loopback import LoopbackRig, free_endpoint

SWAPPED = 8
KILLS = int(os.environ.get("RTDECODE_KILLS", "6"))


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A user data directory without models."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture
def today(data_dir: Path, stream: str, tmp_path: Path) -> Path:
    """Seventy seconds of a real day, as `record --stream M1` writes them."""
    session = cut(read_session(data_dir / "indy" / "indy_20161207_02.h5"), 100.0, 170.0)
    write_session(
        tmp_path / "today.h5", replace(session, attrs=session.attrs | {"stream": stream}, path=None)
    )
    return tmp_path / "today.h5"


def calibrate(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "rtdecode.cli", "calibrate", *arguments],
        env={**os.environ, "XDG_DATA_HOME": str(home), "PYTHONSAFEPATH": "1"},
        cwd=home,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.sessions
def test_the_morning_needs_no_other_word(
    rig: LoopbackRig, stream: str, today: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = calibrate(home, str(today), "--json")
    assert ended.returncode == 0, ended.stderr
    document = json.loads(ended.stdout)
    assert Path(document["base"]).name == "indy.safetensors"
    assert document["deployed"] is True
    assert document["output"] == str(today.with_suffix(".safetensors"))
    assert read_artifact(document["current"]).model_id == document["model"]

    cursor, control = free_endpoint(), free_endpoint()
    rig.set_environment("XDG_DATA_HOME", str(home))
    rig.start("serve", ["serve", "--stream", stream, "--bind", cursor, "--control", control])
    rig.await_line("serve", "ready for stream", 60.0)
    subscriber = Subscriber(cursor)
    rig.start("replay", ["replay", str(today), "--stream", stream, "--wait", "30"])
    assert subscriber.until(lambda m: m["bin"] > 20)["model"] == document["model"]

    # A second calibration, in another way, goes straight into the daemon that runs.
    ended = calibrate(home, str(today), "--rung", "readout", "--deploy", control, "--force", "--json")
    assert ended.returncode == 0, ended.stderr
    again = json.loads(ended.stdout)
    message = subscriber.until(lambda m: m["flags"] & SWAPPED)
    assert (message["model"], message["bin"]) == (again["model"], again["swapped"])
    rig.end("serve")
    subscriber.close()
    # Nobody is there any more: the model is kept, and the line says what to do.
    ended = calibrate(home, str(today), "--rung", "readout", "--deploy", control, "--force", "--json")
    assert ended.returncode == 1
    assert json.loads(ended.stdout)["deployed"] is False
    assert "the daemon did not swap it in" in ended.stderr
    assert f"--control {control}" in ended.stderr


@pytest.mark.sessions
def test_a_kill_at_any_moment_leaves_no_model_or_a_whole_one(today: Path, home: Path) -> None:
    output = today.with_suffix(".safetensors")
    command: list[Any] = [sys.executable, "-m", "rtdecode.cli", "calibrate", today, "--rung", "readout"]
    environment = {**os.environ, "XDG_DATA_HOME": str(home / "killed"), "PYTHONSAFEPATH": "1"}

    def start() -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=today.parent
        )

    started = time.monotonic()
    assert start().wait(120.0) in (0, 3)
    whole_s = time.monotonic() - started
    rng = random.Random(0)
    for _ in range(KILLS):
        output.unlink(missing_ok=True)
        process = start()
        # Late ones find it at what it writes; the last may come after its end.
        time.sleep(whole_s * rng.triangular(0.2, 1.1, 1.0))
        process.kill()
        process.wait()
        models = [*today.parent.glob("*.safetensors"), *(home / "killed").rglob("*.safetensors")]
        for path in models:
            read_artifact(path)
