"""`rtdecode simulate` on a real session, replayed into a daemon; and a subject that fires by a model."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from daemon import assert_once_in_order, cut

from rtdecode.modelstore import find_model
from rtdecode.session.read import read_session
from rtdecode.session.write import write_session
from rtdecode.tools.rig import LoopbackRig

KEYS = {
    "output", "model", "seed", "bins", "channels", "spikes", "pcc", "firing", "rate_hz", "seconds", "notes",
}  # fmt: skip


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "rtdecode.cli", *map(str, arguments)],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        timeout=120,
    )


@pytest.fixture(scope="module")
def simulated(indy: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """Spikes of the model that ships for 40 seconds of a real session, and what was told of them."""
    folder = tmp_path_factory.mktemp("simulate")
    write_session(folder / "piece.h5", cut(read_session(indy), 100.0, 140.0))
    done = run(
        "simulate",
        folder / "piece.h5",
        "--model",
        "indy",
        "--output",
        folder / "out.h5",
        "--seed",
        3,
        "--json",
    )
    assert done.returncode == 0, done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    return folder / "out.h5", document


def test_simulated_spikes_are_like_recorded_ones(simulated: tuple[Path, dict[str, Any]]) -> None:
    path, told = simulated
    assert told.keys() >= KEYS
    assert (told["output"], told["seed"], told["channels"]) == (str(path), 3, 96)
    assert told["bins"] == 2000
    session = read_session(path)
    assert session.events is not None
    assert told["spikes"] == len(session.events.time)
    # The model learnt from this day among others; what is asked for is that the way is the right one.
    correlations = np.array([np.nan if one is None else one for one in told["pcc"]])
    assert np.nanmedian(correlations) > 0.05
    recorded, made = (np.array(told["rate_hz"][which]) for which in ("recorded", "simulated"))
    assert np.corrcoef(recorded, made)[0, 1] > 0.6
    firing = (np.array(told["firing"][which]) for which in ("recorded", "simulated"))
    assert np.abs(np.subtract(*firing)).mean() < 0.08
    assert any("spread at random" in note for note in told["notes"])


def test_a_model_decodes_its_own_spikes(simulated: tuple[Path, dict[str, Any]]) -> None:
    done = run("decode", simulated[0], "--model", "indy", "--from", 5, "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["bins"] == 2000
    assert np.mean(told["pcc"]) > 0.3


def test_a_simulated_session_is_replayed_into_a_daemon(
    rig: LoopbackRig, serve: Any, stream: str, simulated: tuple[Path, dict[str, Any]]
) -> None:
    path, told = simulated
    served = serve(find_model("indy"), "--record", "live.h5", "--behavior", "hand")
    replay = ["replay", str(path), "--stream", stream, "--behavior", "hand", "--speed", "8"]
    rig.start("replay", replay).wait(60.0)
    rig.end("replay")
    served.end()
    assert_once_in_order(served.subscriber.messages)
    live = read_session(rig.folder / "live.h5")
    assert live.events is not None
    assert len(live.events.time) == told["spikes"]
    assert live.behavior is not None
    assert live.behavior.names == ("x", "y", "vx", "vy")


def test_a_subject_of_a_generator_writes_a_session(tmp_path: Path) -> None:
    out = tmp_path / "open.h5"
    given = ["subject", "--generator", "indy", "--open-loop", out, "--seconds", 20]
    done = run(*given, "--json")
    assert done.returncode == 0, done.stderr
    told, session = json.loads(done.stdout), read_session(out)
    assert told["channels"] == session.n_channels == 96
    assert told["generator"] == "2730cf0c"
    assert told["spikes"] > 20 * 96
    for wrong, line in (
        (["--channels", 64], "rtdecode: --channels: 64, and the generator has 96. Mend: leave it out"),
        (["--day", 2], "rtdecode: --day: the units of a generator do not drift. Mend: "),
    ):
        refused = run(*given, "--overwrite", *wrong)
        assert refused.returncode == 1
        assert refused.stderr.startswith(line)
        assert refused.stderr.count("\n") == 1


def test_what_cannot_be_simulated_is_one_line(
    indy_piece: Path, simulated_model: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out.h5"
    for given, line in (
        (
            ["--model", simulated_model],
            f"{simulated_model}: a wiener model tells no spikes from behaviour. Mend",
        ),
        (["--model", "indy", "--session", "monday"], "--session: the model knows no session 'monday', but"),
    ):
        refused = run("simulate", indy_piece, *given, "--output", out)
        assert refused.returncode == 1
        assert refused.stderr.startswith(f"rtdecode: {line}")
        assert refused.stderr.count("\n") == 1
        assert not out.exists()
    same = run("simulate", indy_piece, "--model", "indy", "--output", indy_piece, "--overwrite")
    assert "is the session itself" in same.stderr
