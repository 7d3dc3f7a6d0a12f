"""The simulated subject in closed loop with a real daemon, over LSL and ZeroMQ."""

from __future__ import annotations

import json
import math
import time
from pathlib import Path
from typing import Any

import numpy as np
import pylsl
import pytest

from rtdecode.artifact import write_artifact
from rtdecode.calibrate.fitting.fit import fit_sessions
from rtdecode.session.read import read_session
from rtdecode.tools.loopback import LoopbackRig, free_endpoint
from rtdecode.tools.simulator.scores import score_session

SEED = "1"
LONG_S = 120.0


def run_to_its_end(rig: LoopbackRig, name: str, arguments: list[str]) -> Any:
    """Start a process, wait until it ends by itself, and return the document that it printed."""
    rig.start(name, arguments).wait(LONG_S)
    return json.loads(rig.end(name))


@pytest.fixture(scope="session")
def subject_model(lsl_config: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Wiener filter fitted to two minutes of open loop, by the commands of a user."""
    folder = tmp_path_factory.mktemp("subject")
    with LoopbackRig(folder, lsl_config) as rig:
        given = ["subject", "--open-loop", "open.h5", "--seconds", "120", "--seed", SEED, "--json"]
        document = run_to_its_end(rig, "open", given)
    session = read_session(folder / "open.h5")
    assert (document["seconds"], document["channels"]) == (120.0, 64)
    assert document["spikes"] == len(session.events.time)
    write_artifact(folder / "wiener.safetensors", fit_sessions([folder / "open.h5"], "wiener", 0.02).artifact)
    return folder / "wiener.safetensors"


def test_a_filter_from_open_loop_closes_the_loop(
    rig: LoopbackRig, serve: Any, stream: str, subject_model: Path
) -> None:
    served = serve(subject_model, "--record", "served.h5", "--behavior", f"{stream}-hand")
    given = ["subject", "--stream", stream, "--seed", SEED, "--json"]
    shown = free_endpoint()
    process = rig.start(
        "subject",
        [*given, "--cursor", served.cursor, "--trials", "8", "--output", "run.h5", "--task-bind", shown],
    )
    rig.start("monitor", ["monitor", "--cursor", served.cursor, "--task", shown, "--json"])
    (found,) = pylsl.resolve_byprop("name", f"{stream}-markers", 1, LONG_S)
    assert (found.type(), found.channel_format()) == ("Markers", pylsl.cf_string)
    inlet = pylsl.StreamInlet(found, recover=False)
    inlet.open_stream(10.0)
    markers: list[tuple[dict[str, Any], float]] = []
    deadline = time.monotonic() + LONG_S
    while process.poll() is None:
        assert time.monotonic() < deadline
        try:
            text, stamp = inlet.pull_sample(0.1)
        except pylsl.util.LostError:
            # The outlet is closed after its last sample was delivered.
            break
        if text is not None:
            markers.append((json.loads(text[0]), stamp))
    process.wait(LONG_S)
    document = json.loads(rig.end("subject"))
    seen = [json.loads(line) for line in rig.end("monitor").splitlines()]
    served.end()

    # A monitor receives the targets that the task showed.
    targets = [one["task"]["target"] for one in seen if one.get("task") and one["task"]["target"]]
    assert targets
    assert {round(math.hypot(*target)) for target in targets} <= {0, 80}

    assert (document["trials"], document["seed"], document["task"]) == (8, 1, "centre-out")
    assert document["success"] >= 0.75
    assert document["bits_per_s"] > 0.5

    run = read_session(rig.folder / "run.h5")
    again = score_session(run)
    assert (again.trials, again.successes) == (document["trials"], document["successes"])
    assert again.bits_per_s == pytest.approx(document["bits_per_s"], rel=1e-4)
    assert again.acquisition_time_s == pytest.approx(document["acquisition_time_s"], abs=1e-6)

    # Markers agree with the file, and their timestamps are the times of the events.
    on = [stamp for marker, stamp in markers if marker["event"] == "target_on"]
    done = [stamp for marker, stamp in markers if marker["event"] in ("success", "timeout")]
    np.testing.assert_allclose(on[-len(run.trials.start) :], run.trials.start[-len(on) :], atol=1e-6)
    np.testing.assert_allclose(done, run.trials.stop[-len(done) :], atol=1e-6)
    targets = [marker["target"] for marker, _ in markers if marker["event"] == "target_on"]
    np.testing.assert_allclose(targets, run.trials.columns["target"][-len(targets) :], atol=1e-4)

    # The daemon recorded every spike, each with its own time.
    recorded = read_session(rig.folder / "served.h5")
    assert recorded.decoded.lost.sum() == 0
    first = int(np.searchsorted(run.events.time, recorded.events.time[0] - 1e-4))
    n = min(len(run.events.time) - first, len(recorded.events.time))
    assert n > 0.9 * len(run.events.time)
    np.testing.assert_array_equal(run.events.channel[first : first + n], recorded.events.channel[:n])
    np.testing.assert_allclose(run.events.time[first : first + n], recorded.events.time[:n], atol=2e-3)
    assert recorded.behavior.names == ("x", "y", "vx", "vy", "cursor_x", "cursor_y")


def test_a_pause_aborts_the_trial_and_ctrl_c_ends_with_the_scores(
    rig: LoopbackRig, serve: Any, stream: str, subject_model: Path
) -> None:
    served = serve(subject_model)
    rig.start("subject", ["subject", "--stream", stream, "--seed", SEED, "--cursor", served.cursor, "--json"])
    rig.await_line("subject", "the cursor is there", 60.0)
    assert served.request(cmd="pause")["ok"]
    rig.await_line("subject", "NO CURSOR: the daemon does not decode", 30.0)
    assert served.request(cmd="resume")["ok"]
    rig.await_line("subject", "the cursor is back", 30.0)
    document = json.loads(rig.end("subject"))
    assert document["aborted"] <= 1
    assert document["trials"] == len(document["each"])


def test_no_cursor_is_one_line(rig: LoopbackRig, stream: str) -> None:
    given = ["subject", "--stream", stream, "--cursor", free_endpoint(), "--timeout", "1"]
    process = rig.start("subject", given)
    assert process.wait(60.0) == 1
    line = rig.stderr("subject").strip().splitlines()[-1]
    assert line.startswith("rtdecode: --cursor tcp://127.0.0.1:")
    assert "no cursor was received for 1 s (no message received yet). Fix: start rtdecode serve" in line
    assert "Traceback" not in rig.stderr("subject")
    rig.end("subject", must_succeed=False)
