"""The main job: a recorded session replayed, served, published, recorded, and decoded again to the bit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from commands import document_here
from daemon import assert_once_in_order

from rtdecode.session.bins import events_of
from rtdecode.session.read import read_session
from rtdecode.tools.loopback import LoopbackRig

STALE, CATCH_UP, GAP, FAILSAFE, PAUSED = 1, 2, 4, 16, 32


@pytest.fixture(scope="module")
def offline_r2(indy_piece: Path, indy_model: Path) -> list[float]:
    """How well the model decodes the piece itself."""
    found: list[float] = document_here("decode", indy_piece, "--model", indy_model)["r2"]
    return found


@pytest.fixture
def replay_with_hand(replay: Any, stream: str, indy_piece: Path) -> Any:
    """Replays the piece in a layout, with its behaviour, once a subscriber is there."""

    def start(layout: str, *more: str, name: str = "replay") -> None:
        options = ["--behavior", f"{stream}-hand", "--layout", layout, "--wait", "30"]
        replay(indy_piece, *options, *more, name=name)

    return start


@pytest.mark.sessions
@pytest.mark.parametrize(
    ("layout", "first"),
    [
        ("events", "serve"),
        ("counts", "replay"),
        ("snippets", "serve"),
        ("channel", "replay"),
    ],
)
def test_replayed_session_is_decoded_live_as_offline(
    rig: LoopbackRig,
    serve: Any,
    replay_with_hand: Any,
    stream: str,
    indy_piece: Path,
    indy_model: Path,
    offline_r2: list[float],
    layout: str,
    first: str,
) -> None:
    recording = rig.folder / "live.h5"
    if first == "replay":
        replay_with_hand(layout)
    served = serve(indy_model, "--record", str(recording), "--behavior", f"{stream}-hand")
    if first == "serve":
        replay_with_hand(layout)
    served.subscriber.until(lambda m: m["flags"] & FAILSAFE)
    served.end()

    messages = served.subscriber.messages
    assert_once_in_order(messages)
    session = read_session(recording)
    decoded = session.decoded
    assert session.complete
    # The file holds what was published, to the bit.
    assert [m["bin"] for m in messages] == decoded.bin[-len(messages) :].tolist()
    published = np.array([m["value"] for m in messages], np.float32)
    np.testing.assert_array_equal(published, decoded.values[-len(messages) :])
    # Nothing lost: every spike was recorded and, but for the bin in which the stream ended, counted.
    events, _ = events_of(read_session(indy_piece))
    assert sum(m["lost"] for m in messages) == 0
    if layout != "counts":
        assert len(session.events.time) == len(events.time)
        np.testing.assert_array_equal(session.events.channel, events.channel)
    else:
        assert int(session.counts.values.sum()) == len(events.time)
    # Unflagged values are as good as offline; bins lie at another phase, and the piece is short.
    live = document_here("decode", recording, "--model", indy_model)
    assert live["scored_bins"] > 250
    np.testing.assert_allclose(live["r2"], offline_r2, atol=0.1)


@pytest.mark.sessions
@pytest.mark.parametrize(
    ("layout", "model_of"),
    [
        ("events", "indy_model"),
        ("counts", "indy_model"),
        ("events", "indy_kalman"),
        ("events", "indy_alignnet"),
    ],
)
def test_recording_decodes_to_the_published_bits_through_pause_reset_and_outage(
    rig: LoopbackRig,
    serve: Any,
    replay_with_hand: Any,
    stream: str,
    layout: str,
    model_of: str,
    request: pytest.FixtureRequest,
) -> None:
    model = request.getfixturevalue(model_of)
    recording = rig.folder / "live.h5"
    replay_with_hand(layout, "--loop", name="before")
    served = serve(model, "--record", str(recording), "--behavior", f"{stream}-hand")
    until = served.subscriber.until
    start = until(lambda m: True)["bin"]
    until(lambda m: m["bin"] > start + 60)
    paused = served.request(cmd="pause")["bin"]
    held = until(lambda m: m["bin"] == paused + 20)
    resumed = served.request(cmd="resume")["bin"]
    until(lambda m: m["bin"] > resumed + 40)
    reset = served.request(cmd="reset")["bin"]
    until(lambda m: m["bin"] > reset + 40)
    rig.kill("before")
    until(lambda m: m["flags"] & FAILSAFE)
    outage = until(lambda m: m["flags"] & FAILSAFE)
    assert served.request(cmd="status")["state"] == "reconnecting"
    replay_with_hand(layout, "--loop", name="after")
    back = until(lambda m: m["flags"] & GAP)
    until(lambda m: m["bin"] > back["bin"] + 60)
    served.end()

    messages = {m["bin"]: m for m in served.subscriber.messages}
    assert_once_in_order(served.subscriber.messages)
    assert held["flags"] & PAUSED
    # x and y; a velocity goes to 0.
    assert held["value"][:2] == messages[paused - 1]["value"][:2]
    assert not messages[resumed]["flags"] & PAUSED
    assert outage["value"][:2] == messages[outage["bin"] - 1]["value"][:2]
    assert all(messages[b]["flags"] & FAILSAFE for b in range(outage["bin"], back["bin"]))
    session = read_session(recording)
    kinds = [entry.kind for entry in session.log if entry.kind != "warmup" and entry.bin >= 0]
    assert kinds[:8] == ["attached", "reset", "pause", "resume", "reset", "outage", "attached", "gap"]
    beside = [entry for entry in session.log if entry.bin < 0]
    assert [entry.kind for entry in beside][:3] == ["attached", "detached", "attached"]
    for entry in (*beside, *(e for e in session.log if e.kind in ("attached", "outage", "gap"))):
        assert entry.data["stream"] in (stream, f"{stream}-hand")
        assert entry.data["source_id"]
        assert entry.data["host"]
    assert f"{stream}-hand (source " in session.attrs["behavior_source"]

    again = rig.folder / "again.h5"
    document_here("decode", recording, "--model", model, "--output", again)
    with h5py.File(recording) as live, h5py.File(again) as offline:
        live_values, offline_values = live["decoded/values"][:], offline["decoded/values"][:]
        assert live_values.view(np.uint32).tolist() == offline_values.view(np.uint32).tolist()
        assert live["decoded/flags"][:].tolist() == offline["decoded/flags"][:].tolist()


@pytest.mark.sessions
def test_record_writes_a_session_that_can_be_fitted(
    rig: LoopbackRig, replay_with_hand: Any, stream: str, indy_piece: Path
) -> None:
    recording = rig.folder / "recorded.h5"
    replay_with_hand("events")
    arguments = ["record", "--stream", stream, "--behavior", f"{stream}-hand", "--output", str(recording)]
    rig.start("record", arguments)
    rig.await_line("record", "waiting for it", 60)
    rig.end("record")
    events, _ = events_of(read_session(indy_piece))
    session = read_session(recording)
    np.testing.assert_array_equal(session.events.channel, events.channel)
    # Stamps moved to now, and nothing else.
    np.testing.assert_allclose(np.diff(session.events.time), np.diff(events.time), atol=2e-4)
    assert session.behavior.names == ("x", "y", "vx", "vy")
