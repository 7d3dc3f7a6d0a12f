"""The output stage and the LSL stream of a served session: published, recorded by others, decoded again."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from commands import document_here, refusal, rtdecode
from daemon import assert_once_in_order
from numpy.typing import NDArray

from rtdecode.session.read import read_session
from rtdecode.tools.loopback import LoopbackRig

FAILSAFE = 16

RIG = """
lsl_out = "{stream}-cursor"
record = "live.h5"
failsafe_after = 0.6

[output]
control = "fusion"
fusion_s = 0.8
matrix = [[2.0, 0.0], [0.0, -2.0], [0.5, 0.5]]
offset = [960.0, 540.0, 0.0]
names = ["right", "down", "across"]
units = "px"
drift_s = 20.0
drift_max = 10.0
dead_zone_speed = 5.0
workspace = [[760, 1160], [340, 740], [-50, 50]]
"""


def start_recorder(rig: LoopbackRig, name: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "rtdecode.testing.lsl_recorder", name, str(rig.folder / f"{name}.npz")],
        env={**os.environ, "LSLAPICFG": str(rig.folder / "lsl_api.cfg")},
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def recorded_by_others(rig: LoopbackRig, name: str) -> dict[str, NDArray[Any]]:
    with np.load(rig.folder / f"{name}.npz") as file:
        return {key: file[key] for key in file.files}


@pytest.fixture
def served_with_output(
    rig: LoopbackRig, serve: Any, replay: Any, stream: str, simulated_session: Path, simulated_model: Path
) -> Any:
    """Five seconds through serve with RIG; a pause and a reset on the way; two recorders of other make."""
    (rig.folder / "rig.toml").write_text(RIG.format(stream=stream))
    served = serve(simulated_model)
    names = (f"{stream}-cursor", f"{stream}-cursor-flags")
    recorders = [start_recorder(rig, name) for name in names]
    for recorder in recorders:
        while "open" not in recorder.stderr.readline():
            assert recorder.poll() is None
    replay(simulated_session, "--wait", "30")
    until = served.subscriber.until
    until(lambda m: m["bin"] > 75)
    assert served.request(cmd="pause")["ok"]
    until(lambda m: m["flags"] & 32)
    assert served.request(cmd="resume")["ok"]
    until(lambda m: m["flags"] == 0)
    assert served.request(cmd="reset")["ok"]
    until(lambda m: m["bin"] > 150)
    status = served.request(cmd="status")
    rig.end("replay")
    until(lambda m: m["flags"] & FAILSAFE)
    until(lambda m: m["bin"] > 225)
    for recorder in recorders:
        recorder.communicate(timeout=30)
        assert recorder.returncode == 0
    served.end()
    return served, status


def test_the_cursor_is_published_recorded_sent_over_lsl_and_decoded_again(
    rig: LoopbackRig, stream: str, simulated_model: Path, served_with_output: Any
) -> None:
    served, status = served_with_output
    messages = served.subscriber.messages
    assert_once_in_order(messages)
    value = np.array([m["value"] for m in messages])
    out = np.array([m["out"] for m in messages])
    stamps = np.array([m["t_bin"] for m in messages])
    flags = np.array([m["flags"] for m in messages])

    assert status["out"]["names"] == ["right", "down", "across"]
    assert status["lsl_out"] == f"{stream}-cursor"
    low, high = np.array([[760, 1160], [340, 740], [-50, 50]]).T
    assert ((out >= low) & (out <= high)).all()
    assert np.ptp(out, axis=0).min() > 1.0
    held = np.flatnonzero(flags & (1 | 16 | 32))
    held = held[held > 0]
    assert len(held) > 5
    came_home = out[held[0]]
    assert (np.abs(out[held] - out[held - 1]).max(axis=1) == 0).sum() >= len(held) - 1, came_home

    # What pylsl recorded, value and stamp for value and stamp.
    over_lsl = recorded_by_others(rig, f"{stream}-cursor")
    assert str(over_lsl["type"]) == "Cursor"
    assert float(over_lsl["rate"]) == pytest.approx(50.0)
    assert over_lsl["labels"].tolist() == ["x", "y", "vx", "vy", "out_right", "out_down", "out_across"]
    assert over_lsl["units"].tolist()[-3:] == ["px"] * 3
    n = len(over_lsl["stamps"])
    assert n > 200
    first = int(np.flatnonzero(stamps == over_lsl["stamps"][0])[0])
    assert first <= 2
    rows = slice(first, first + n)
    np.testing.assert_array_equal(over_lsl["stamps"][: len(stamps[rows])], stamps[rows])
    np.testing.assert_array_equal(
        over_lsl["samples"][: len(stamps[rows])], np.concatenate([value, out], axis=1)[rows]
    )
    marks = recorded_by_others(rig, f"{stream}-cursor-flags")
    assert marks["labels"].tolist() == ["bin", "flags"]
    sent = {int(b): int(f) for b, f in marks["samples"]}
    assert len(sent) > 200
    published = {m["bin"]: m["flags"] for m in messages}
    assert all(published[b] == f for b, f in sent.items() if b in published)

    # What serve recorded, and what decode makes of it.
    live = read_session(rig.folder / "live.h5").decoded
    np.testing.assert_array_equal(live.out.values[-len(out) :], out.astype(np.float32))
    assert live.out.names == ("right", "down", "across")
    again = rig.folder / "again.h5"
    arguments = ["decode", rig.folder / "live.h5", "--model", simulated_model, "--output", again]
    assert document_here(*arguments)["bins"] == len(live.bin)
    with h5py.File(again) as file:
        assert file["decoded/out"][:].tobytes() == live.out.values.tobytes()
        assert file["decoded/values"][:].tobytes() == live.values.tobytes()


def test_an_output_stage_the_model_cannot_feed_is_refused_before_anything_starts(
    tmp_path: Path, indy_model: Path
) -> None:
    (tmp_path / "rig.toml").write_text('stream = "none"\n[output]\ncontrol = "velocity"\n')
    line = refusal(rtdecode("serve", "--model", indy_model, cwd=tmp_path))
    assert "rig.toml: [output]: velocity control needs a decoded velocity" in line
