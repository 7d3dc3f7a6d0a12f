"""`rtdecode calibrate today.h5` and `rtdecode serve --stream M1`, not a word more; and what a kill leaves."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from commands import document_of, refusal, rtdecode
from daemon import Subscriber, cut

from rtdecode.artifact import read_artifact
from rtdecode.session.read import read_session
from rtdecode.session.write import write_session
from rtdecode.tools.loopback import LoopbackRig, free_endpoint

SWAPPED = 8
KILLS = int(os.environ.get("RTDECODE_KILLS", "10"))

NO_TORCH = """
import importlib.util
find_spec = importlib.util.find_spec
importlib.util.find_spec = lambda name, *given: None if name == "torch" else find_spec(name, *given)
from rtdecode.cli import main
main()
"""

#: Writes models and makes them current, as `calibrate` does at its end, until it is killed.
WRITES = """
from pathlib import Path
from rtdecode.artifact import read_artifact, write_artifact
from rtdecode.model_store import find_model, install_current
artifacts = [read_artifact(find_model(name)) for name in ("indy", "sim")]
print("writing", flush=True)
while True:
    for artifact in artifacts:
        write_artifact("today.safetensors", artifact)
        install_current(Path("today.safetensors"), "M1")
"""


@pytest.fixture
def today(data_dir: Path, stream: str, tmp_path: Path) -> Path:
    """Seventy seconds of a real day, as `record --stream M1` writes them."""
    session = cut(read_session(data_dir / "indy" / "indy_20161207_02.h5"), 100.0, 170.0)
    write_session(
        tmp_path / "today.h5", replace(session, attrs=session.attrs | {"stream": stream}, path=None)
    )
    return tmp_path / "today.h5"


@pytest.mark.sessions
def test_the_morning_needs_no_other_word(rig: LoopbackRig, stream: str, today: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    # Where torch is installed it trains, which takes a minute; the demo does that.
    document = document_of("calibrate", today, script=NO_TORCH, XDG_DATA_HOME=str(home))
    assert Path(document["base"]).name == "indy.safetensors"
    assert document["deployed"] is True
    assert document["output"] == str(today.with_suffix(".calibrated.safetensors"))
    assert read_artifact(document["current"]).model_id == document["model"]

    cursor, control = free_endpoint(), free_endpoint()
    rig.set_environment("XDG_DATA_HOME", str(home))
    rig.start("serve", ["serve", "--stream", stream, "--bind", cursor, "--control", control])
    rig.await_line("serve", "ready for stream", 60.0)
    subscriber = Subscriber(cursor)
    rig.start("replay", ["replay", str(today), "--stream", stream, "--wait", "30"])
    assert subscriber.until(lambda m: m["bin"] > 20)["model"] == document["model"]

    # A second calibration goes straight into the daemon that runs.
    given = ["calibrate", today, "--rung", "readout", "--deploy", control, "--force"]
    again = document_of(*given, XDG_DATA_HOME=str(home))
    message = subscriber.until(lambda m: m["flags"] & SWAPPED)
    assert (message["model"], message["bin"]) == (again["model"], again["swapped"])
    rig.end("serve")
    subscriber.close()
    # Nobody is there any more: nothing is done, and the line says what to do.
    line = refusal(rtdecode(*given, XDG_DATA_HOME=str(home)))
    assert f"no daemon answers at {control}, so nothing was done" in line
    assert "start rtdecode serve" in line
    listed = document_of("models", stream, XDG_DATA_HOME=str(home))["streams"][0]
    assert [each["model"] for each in listed["models"]] == [again["model"], document["model"]]


def test_a_kill_at_any_moment_leaves_no_model_or_a_whole_one(tmp_path: Path) -> None:
    rng, n_models = random.Random(0), 0
    for kill in range(KILLS):
        folder = tmp_path / str(kill)
        folder.mkdir()
        process = subprocess.Popen(
            [sys.executable, "-c", WRITES],
            env={**os.environ, "XDG_DATA_HOME": str(folder / "share")},
            cwd=folder,
            stdout=subprocess.PIPE,
        )
        with process:
            assert process.stdout is not None
            assert process.stdout.readline() == b"writing\n"
            time.sleep(rng.uniform(0.0, 0.2))
            process.kill()
        for path in folder.rglob("*.safetensors"):
            read_artifact(path)
            n_models += 1
    assert n_models > KILLS
