"""Models that change in mid-session: every bin once, in order, and the recording decodes to the same bits."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import document_here
from daemon import assert_once_in_order

from rtdecode.artifact import ModelArtifact, Output, read_artifact, write_artifact
from rtdecode.session.read import read_session
from rtdecode.tools.loopback import LoopbackRig

SWAPPED = 8
N_SWAPS = 9


def shifted(path: Path, model: Path, by_mm: float) -> Path:
    """A copy of a model that decodes x a little elsewhere: another id, and other values."""
    artifact = read_artifact(model)
    name = "bias" if "bias" in artifact.run else "0.head.bias"
    run = {key: tensor.copy() for key, tensor in artifact.run.items()}
    run[name] = run[name] + np.array([by_mm] + [0.0] * (len(artifact.outputs) - 1), run[name].dtype)
    write_artifact(path, replace(artifact, run=run))
    return path


def another_array(path: Path) -> Path:
    outputs = (Output("x", "mm", 0.0, 1.0, "position"),)
    write_artifact(
        path,
        ModelArtifact(
            kind="wiener",
            causal=True,
            bin_width_s=0.02,
            n_channels=7,
            channel_mask=(True,) * 7,
            outputs=outputs,
            count_max=20,
            run={"weight": np.zeros((7, 2, 1), np.float32), "bias": np.zeros(1)},
        ),
    )
    return path


def decoded_again(recording: Path, output: Path, *models: Path) -> Any:
    named = [argument for model in models for argument in ("--model", model)]
    return document_here("decode", recording, *named, "--output", output, "--overwrite")


@pytest.mark.sessions
@pytest.mark.parametrize("model_of", ["indy_model", "indy_alignnet"])
def test_swaps_and_refused_swaps_lose_nothing_and_decode_to_the_same_bits(
    rig: LoopbackRig,
    serve: Any,
    replay: Any,
    indy_piece: Path,
    model_of: str,
    request: pytest.FixtureRequest,
) -> None:
    first: Path = request.getfixturevalue(model_of)
    models = [shifted(rig.folder / f"{i}.safetensors", first, 3.0 * i) for i in range(1, 4)]
    ids = [read_artifact(path).model_id for path in (first, *models)]
    corrupt = rig.folder / "corrupt.safetensors"
    corrupt.write_bytes(first.read_bytes()[:-100])
    gone = rig.folder / "gone.safetensors"
    seven = another_array(rig.folder / "seven.safetensors")
    recording = rig.folder / "live.h5"
    replay(indy_piece, "--wait", "30", "--loop")
    served = serve(first, "--record", str(recording))
    start = served.subscriber.until(lambda m: True)["bin"]
    at: list[int] = []
    for i in range(N_SWAPS):
        reply = served.request(cmd="swap", path=str(models[i % 3]))
        assert reply == {"ok": True, "bin": reply["bin"], "model": ids[1 + i % 3]}
        at.append(reply["bin"])
        if i % 3 == 2:
            for bad in (corrupt, gone, seven):
                refused = served.request(cmd="swap", path=str(bad))
                assert refused["ok"] is False
                assert str(bad) in refused["error"]
        if i == 4:
            served.request(cmd="reset")
        served.subscriber.until(lambda m, b=at[-1]: m["bin"] > b + 8)
    status = served.request(cmd="status")
    assert status["model"]["id"] == ids[1 + (N_SWAPS - 1) % 3]
    assert status["counters"]["swaps"] == N_SWAPS
    served.end()

    messages = served.subscriber.messages
    assert_once_in_order(messages)
    assert messages[0]["bin"] == start
    assert [m["bin"] for m in messages if m["flags"] & SWAPPED] == at
    for message in messages:
        swaps = sum(b <= message["bin"] for b in at)
        assert message["model"] == (ids[0] if swaps == 0 else ids[1 + (swaps - 1) % 3])
    session = read_session(recording)
    kinds = [entry.kind for entry in session.log]
    assert (kinds.count("swap"), kinds.count("swap_refused")) == (N_SWAPS, N_SWAPS)
    live = session.decoded
    assert live.models == tuple(ids)
    published = np.array([m["value"] for m in messages], np.float32)
    np.testing.assert_array_equal(published, live.values[-len(messages) :])

    again_path = rig.folder / "again.h5"
    assert decoded_again(recording, again_path, first)["models"] == ids
    again = read_session(again_path).decoded
    np.testing.assert_array_equal(again.values.view(np.uint32), live.values.view(np.uint32))
    np.testing.assert_array_equal(again.model, live.model)
    np.testing.assert_array_equal(again.flags, live.flags)
    decoded_again(recording, again_path)
    again = read_session(again_path).decoded
    np.testing.assert_array_equal(again.values.view(np.uint32), live.values.view(np.uint32))
    # Files that have moved are named, in any order.
    moved = [shutil.move(path, rig.folder / f"moved{i}.safetensors") for i, path in enumerate(models)]
    decoded_again(recording, again_path, *moved, first)
    again = read_session(again_path).decoded
    np.testing.assert_array_equal(again.values.view(np.uint32), live.values.view(np.uint32))


@pytest.mark.sessions
def test_the_command_and_a_watched_folder_swap_too(
    rig: LoopbackRig, serve: Any, replay: Any, indy_piece: Path, indy_model: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "models"
    folder.mkdir()
    today = shifted(tmp_path / "today.safetensors", indy_model, 5.0)
    later = shifted(tmp_path / "later.safetensors", indy_model, 9.0)
    replay(indy_piece, "--wait", "30", "--loop")
    served = serve(indy_model, "--watch", str(folder))
    served.subscriber.until(lambda m: m["bin"] > 10)
    swap = document_here("swap", today, "--control", served.control)
    message = served.subscriber.until(lambda m: m["flags"] & SWAPPED)
    assert swap == {"path": str(today), "bin": message["bin"], "model": read_artifact(today).model_id}
    assert message["model"] == swap["model"]

    (folder / "corrupt.safetensors").write_bytes(b"no model")
    rig.await_line(served.name, "NOT SWAPPED", 20.0)
    shutil.copy(later, folder / "later.safetensors")
    message = served.subscriber.until(lambda m: m["flags"] & SWAPPED)
    assert message["model"] == read_artifact(later).model_id
    served.end()
    assert_once_in_order(served.subscriber.messages)
