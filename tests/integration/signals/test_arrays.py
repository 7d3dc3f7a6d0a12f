"""Two arrays from processes of their own, killed and restarted in turn: one's death is its own."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import document_here
from daemon import Served, assert_once_in_order

from rtdecode.artifact import read_artifact
from rtdecode.decode.inputs import codes_of
from rtdecode.session.arrays import session_arrays
from rtdecode.session.bins import features_at
from rtdecode.session.layout import Events, Features, Session
from rtdecode.session.read import read_session
from rtdecode.session.write import write_session
from rtdecode.tools.loopback import LoopbackRig

GAP, FAILSAFE, PARTIAL = 4, 16, 64


def of_array(session: Session, first: int, stop: int, path: Path) -> Path:
    """A session of some of the channels, over the whole time."""
    events = session.events
    assert events is not None
    own = (events.channel >= first) & (events.channel < stop)
    part = Events(events.time[own], (events.channel[own] - first).astype(np.uint16))
    write_session(path, replace(session, n_channels=stop - first, events=part, counts=None, path=None))
    return path


@pytest.fixture(scope="module")
def two_arrays(simulated_session: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A session of two arrays, a model of both, and a session of each to replay."""
    folder = tmp_path_factory.mktemp("arrays")
    session = read_session(simulated_session)
    n, half = session.n_channels, session.n_channels // 2
    arrays = json.dumps([{"name": "M1", "n_channels": half}, {"name": "PMd", "n_channels": n - half}])
    write_session(folder / "both.h5", replace(session, attrs=session.attrs | {"arrays": arrays}, path=None))
    fitted = folder / "both.safetensors"
    document_here("fit", folder / "both.h5", "--kind", "wiener", "--output", fitted)
    return {
        "model": fitted,
        "M1": of_array(session, 0, half, folder / "M1.h5"),
        "PMd": of_array(session, half, n, folder / "PMd.h5"),
    }


@pytest.mark.parametrize("partial", [False, True])
def test_an_array_that_is_killed_and_restarted_is_flagged_and_the_other_goes_on(
    rig: LoopbackRig, stream: str, two_arrays: dict[str, Path], partial: bool
) -> None:
    names = {"M1": f"{stream}-M1", "PMd": f"{stream}-PMd"}

    def play(array: str, push_ms: str) -> None:
        options = ["--stream", names[array], "--push", push_ms, "--loop"]
        rig.start(array, ["replay", str(two_arrays[array]), *options])

    play("M1", "5")
    play("PMd", "1")
    recording = rig.folder / "live.h5"
    options = ["--stream", names["PMd"], "--record", str(recording)]
    served = Served(rig, names["M1"], two_arrays["model"], *options, *["--allow-partial"] * partial)
    until = served.subscriber.until
    start = until(lambda m: True)["bin"]
    until(lambda m: m["bin"] > start + 50)
    for array, push_ms in (("PMd", "1"), ("M1", "5")):
        rig.kill(array)
        away = until(lambda m: m["flags"] & PARTIAL)
        assert bool(away["flags"] & FAILSAFE) != partial
        until(lambda m, away=away: m["bin"] > away["bin"] + 20)
        status = served.request(cmd="status")
        assert {each["name"]: each["attached"] for each in status["arrays"]}[names[array]] is False
        play(array, push_ms)
        back = until(lambda m: not m["flags"] & PARTIAL)
        assert bool(back["flags"] & GAP) != partial
        until(lambda m, back=back: m["bin"] > back["bin"] + 20)
    served.end()

    messages = served.subscriber.messages
    assert_once_in_order(messages)
    session = read_session(recording)
    assert [array.name for array in session_arrays(session)] == ["M1", "PMd"]
    decoded: Any = session.decoded
    published = np.array([m["value"] for m in messages], np.float32)
    np.testing.assert_array_equal(published, decoded.values[-len(messages) :])
    assert session.events is not None
    assert set(np.unique(session.events.channel)) <= set(range(session.n_channels))
    again = rig.folder / "again.h5"
    document_here("decode", recording, "--model", two_arrays["model"], "--output", again)
    offline: Any = read_session(again).decoded
    np.testing.assert_array_equal(offline.values.view(np.uint32), decoded.values.view(np.uint32))
    np.testing.assert_array_equal(offline.flags, decoded.flags)


def test_two_arrays_are_recorded_as_one_session(
    rig: LoopbackRig, stream: str, two_arrays: dict[str, Path]
) -> None:
    out = rig.folder / "two.h5"
    names = [f"{stream}-{array}" for array in ("M1", "PMd")]
    streams = [option for name in names for option in ("--stream", name)]
    rig.start("record", ["record", *streams, "--output", str(out)])
    for array, name in zip(("M1", "PMd"), names, strict=True):
        layout = ["--layout", "counts", "--period", "5"] if array == "PMd" else []
        rig.start(array, ["replay", str(two_arrays[array]), "--stream", name, "--wait", "20", *layout])
    rig.await_line("record", "recording", 30.0)
    for array in ("M1", "PMd"):
        rig.await_line(array, "replayed", 60.0)
    rig.end("record")
    recorded = read_session(out)
    assert [array.name for array in session_arrays(recorded)] == names
    half = session_arrays(recorded)[0].n_channels
    assert recorded.events is not None
    for array, own in (("M1", recorded.events.channel < half), ("PMd", recorded.events.channel >= half)):
        sent = read_session(two_arrays[array]).events
        assert sent is not None
        first = 0 if array == "M1" else half
        n_sent = np.bincount(sent.channel, minlength=half)
        n_recorded = np.bincount(recorded.events.channel[own] - first, minlength=half)
        # What waited while the streams were found may be left out; nothing is ever there twice.
        assert (n_recorded <= n_sent).all()
        assert n_recorded.sum() > 0.85 * n_sent.sum()


def test_features_beside_spikes_are_decoded_and_recorded_to_the_bit(
    rig: LoopbackRig, stream: str, simulated_session: Path
) -> None:
    session = read_session(simulated_session)
    assert session.events is not None
    time = session.start_s + np.arange(1, int((session.end_s - session.start_s) / 0.01)) * 0.01
    edges = np.concatenate(([time[0] - 0.01], time))
    counts = np.histogram2d(session.events.time, session.events.channel, (edges, np.arange(-0.5, 8)))[0]
    names = tuple(f"e{i}" for i in range(8))
    power = Features(time, counts.astype(np.float32), names, ("power",) * 8, ("uV",) * 8, 0.01)
    both = rig.folder / "both.h5"
    write_session(both, replace(session, features=power, path=None))
    model, recording = rig.folder / "both.safetensors", rig.folder / "live.h5"
    document_here("fit", both, "--kind", "wiener", "--output", model)
    rig.start("replay", ["replay", str(both), "--stream", stream, "--features", f"{stream}-P", "--loop"])
    options = ["--features", f"{stream}-P", "--record", str(recording)]
    served = Served(rig, stream, model, *options)
    served.subscriber.until(lambda m: m["bin"] > 150)
    status = served.request(cmd="status")
    assert [each["layout"] for each in status["arrays"]] == ["events", "features"]
    served.end()
    recorded = read_session(recording)
    decoded: Any = recorded.decoded
    assert decoded.codes.shape == (len(decoded.bin), 8)
    assert not (decoded.flags[10:] & (PARTIAL | FAILSAFE)).any()
    again = rig.folder / "again.h5"
    document_here("decode", recording, "--model", model, "--output", again)
    offline: Any = read_session(again).decoded
    np.testing.assert_array_equal(offline.values.view(np.uint32), decoded.values.view(np.uint32))
    # The recorded samples give the same features in the same bins.
    edges = np.concatenate(([decoded.origin_s], decoded.t_bin))[5:-5]
    assert recorded.features is not None
    found = codes_of(read_artifact(model).features, features_at(recorded.features, edges))
    np.testing.assert_array_equal(found, decoded.codes[5:-5])
