"""`replay` over real LSL: the planned samples arrive, and a daemon counts the dropped ones."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pylsl
import pytest
from commands import refusal, rtdecode
from daemon import assert_once_in_order

from rtdecode.session.bins import events_of
from rtdecode.session.layout import Behavior, Events, Session
from rtdecode.session.read import read_session
from rtdecode.session.write import write_session
from rtdecode.tools.loopback import LoopbackRig
from rtdecode.tools.replay.schedule import Draw, kept_samples, random_stream

GAP, FAILSAFE, PAUSED = 4, 16, 32

#: Time before the first spike, so that the subscriber has attached by then.
LEAD_S = 1.0


@pytest.fixture(scope="session")
def quiet_start(indy_piece: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds of real spikes after a second of silence."""
    piece = read_session(indy_piece)
    events, _ = events_of(piece)
    kept = events.time - piece.start_s < 2.0
    time_s = events.time[kept] - piece.start_s + LEAD_S
    path = tmp_path_factory.mktemp("indy") / "quiet_start.h5"
    hand = Behavior(np.array([0.0, LEAD_S + 2.0]), np.zeros((2, 1), np.float32), ("x",), ("mm",))
    write_session(path, Session(piece.n_channels, Events(time_s, events.channel[kept]), behavior=hand))
    return path


@pytest.fixture(scope="session")
def short_piece(indy_piece: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first 2.56 s of the piece, as the counts it was recorded in."""
    piece = read_session(indy_piece)
    path = tmp_path_factory.mktemp("indy") / "short.h5"
    write_session(path, replace(piece, counts=replace(piece.counts, values=piece.counts.values[:40])))
    return path


def start_replay(rig: LoopbackRig, session: Path, stream: str, *options: str) -> subprocess.Popen[str]:
    return rig.start(stream, ["replay", str(session), "--stream", stream, "--wait", "30", *options])


def receive(
    streams: Sequence[str], seconds: float = 30.0
) -> list[tuple[npt.NDArray[Any], npt.NDArray[np.float64]]]:
    """All rows and timestamps of streams that are about to be replayed, until their outlets are closed."""
    inlets = []
    for stream in streams:
        (info,) = pylsl.resolve_byprop("name", stream, timeout=seconds)
        inlet = pylsl.StreamInlet(info, recover=False)
        inlet.open_stream(seconds)
        inlets.append(inlet)
    found: list[tuple[list[Any], list[float]]] = [([], []) for _ in streams]
    open_ones = dict(enumerate(inlets))
    deadline = time.monotonic() + seconds
    while open_ones:
        assert time.monotonic() < deadline, f"still open: {[streams[i] for i in open_ones]}"
        for i, inlet in list(open_ones.items()):
            try:
                rows, stamps = inlet.pull_chunk(0.02)
            except pylsl.util.LostError:
                del open_ones[i]
                continue
            found[i][0].extend(rows)
            found[i][1].extend(stamps)
    return [(np.array(rows), np.array(stamps)) for rows, stamps in found]


@pytest.mark.sessions
@pytest.mark.parametrize(
    "options",
    [
        ("--drop", "0.1", "--jitter", "20", "--burst", "5"),
        ("--layout", "snippets", "--push", "10", "--jitter", "20"),
        ("--layout", "counts", "--period", "5", "--push", "0", "--drop", "0.1"),
    ],
)
def test_a_seed_gives_the_same_samples_and_stamps(
    rig: LoopbackRig, stream: str, short_piece: Path, options: tuple[str, ...]
) -> None:
    names = [f"{stream}-{kind}" for kind in ("one", "again", "other")]
    for name, seed in zip(names, ("11", "11", "12"), strict=True):
        start_replay(rig, short_piece, name, "--seed", seed, *options)
    (one, at_one), (again, at_again), (other, at_other) = receive(names)
    np.testing.assert_array_equal(one, again)
    np.testing.assert_allclose(at_one - at_one[0], at_again - at_again[0], rtol=0, atol=1e-6)
    assert (np.diff(at_one) >= 0).all()
    differs = one.shape != other.shape or bool((one != other).any())
    assert differs or np.abs((at_one - at_one[0]) - (at_other - at_other[0])).max() > 1e-3


@pytest.mark.sessions
def test_single_pushes_at_twice_the_speed_deliver_every_spike(
    rig: LoopbackRig, stream: str, short_piece: Path
) -> None:
    replay = start_replay(rig, short_piece, stream, "--push", "0", "--speed", "2")
    ((rows, stamps),) = receive([stream])
    events, _ = events_of(read_session(short_piece))
    np.testing.assert_array_equal(rows[:, 0], events.channel)
    np.testing.assert_array_equal(rows[:, 2], np.arange(len(events.time)))
    np.testing.assert_allclose(stamps - stamps[0], (events.time - events.time[0]) / 2, rtol=0, atol=1e-6)
    assert replay.wait(10) == 0
    expected = rf"replayed: {len(events.time)} samples in \d+\.\d s \(\d+\.\d times real time\)"
    assert re.search(expected, rig.stderr(stream))


def serve_until_the_end(served: Any) -> tuple[list[dict[str, Any]], dict[str, int]]:
    """All messages, and the counters after the end of the stream and the last message."""
    served.subscriber.until(lambda m: m["n"] > 0)
    served.subscriber.until(lambda m: m["flags"] & FAILSAFE)
    counters = served.counters()
    served.end()
    return served.subscriber.messages, counters


def assert_nothing_else(messages: list[dict[str, Any]], counters: dict[str, int]) -> None:
    assert_once_in_order(messages)
    faults = ("duplicates", "out_of_order", "out_of_range", "renumbered", "future", "clock_jumps")
    assert {name: counters[name] for name in faults} == dict.fromkeys(faults, 0)
    assert not any(m["flags"] & (GAP | PAUSED) for m in messages)
    # Every received event is in a bin, or counted as too late for one.
    assert counters["backlog_bins"] == 0
    binned = sum(m["n"] for m in messages)
    assert binned + counters["late_dropped"] == counters["received"]
    assert sum(m["late"] for m in messages) == counters["late_carried"] + counters["late_dropped"]


@pytest.mark.sessions
def test_the_daemon_counts_exactly_the_dropped_samples(
    rig: LoopbackRig, serve: Any, stream: str, quiet_start: Path, indy_model: Path
) -> None:
    served = serve(indy_model)
    replay = start_replay(rig, quiet_start, stream, "--drop", "0.05", "--seed", "7")
    messages, counters = serve_until_the_end(served)
    events, _ = events_of(read_session(quiet_start))
    kept = kept_samples(len(events.time), 0.05, random_stream(7, Draw.LOSS, 0))
    assert counters["received"] == kept.sum()
    # Samples dropped at the very start or end cannot be detected by the numbers of others.
    first, last = np.flatnonzero(kept)[[0, -1]]
    assert counters["lost"] == (~kept[first:last]).sum() > 0
    assert sum(m["lost"] for m in messages) == counters["lost"]
    assert_nothing_else(messages, counters)
    assert replay.wait(10) == 0
    assert f"dropped: {(~kept).sum()} samples" in rig.stderr(stream)


@pytest.mark.sessions
@pytest.mark.parametrize("options", [("--jitter", "30"), ("--burst", "40")])
def test_late_deliveries_lose_no_bin_and_no_event(
    rig: LoopbackRig, serve: Any, stream: str, quiet_start: Path, indy_model: Path, options: tuple[str, ...]
) -> None:
    served = serve(indy_model)
    replay = start_replay(rig, quiet_start, stream, *options)
    messages, counters = serve_until_the_end(served)
    events, _ = events_of(read_session(quiet_start))
    assert counters["received"] == len(events.time)
    assert counters["lost"] == 0
    assert counters["late_carried"] > 0
    assert_nothing_else(messages, counters)
    assert replay.wait(10) == 0
    assert f"replayed: {len(events.time)} samples" in rig.stderr(stream)


@pytest.mark.parametrize(
    ("option", "value", "what"),
    [("--push", 0.05, "10000 ms"), ("--jitter", -1, "10000 ms"), ("--speed", "nan", "1000")],
)
def test_a_wrong_option_is_refused_in_one_line(
    simulated_session: Path, option: str, value: object, what: str
) -> None:
    line = refusal(rtdecode("replay", simulated_session, "--stream", "M1", option, value))
    assert option in line
    assert what in line


def test_ctrl_c_ends_a_replay_that_waits_for_its_next_push(
    rig: LoopbackRig, stream: str, simulated_session: Path
) -> None:
    rig.start(stream, ["replay", str(simulated_session), "--stream", stream, "--push", "10000"])
    rig.await_line(stream, "replaying", 30)
    pylsl.resolve_byprop("name", stream, timeout=10)
    # `end` kills a process that does not end within five seconds, and then fails.
    rig.end(stream)
    # Samples at the start are pushed at once, the others not before ten seconds.
    assert re.search("replayed: [01] samples", rig.stderr(stream))
