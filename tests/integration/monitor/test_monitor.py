"""`rtdecode monitor` on a real daemon: its spikes to the last one, and the life of a page."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zmq
from daemon import READY_S, Served
from websockets.sync.client import connect

from rtdecode.monitor.raster import Counts, read_spikes
from rtdecode.session.read import read_session
from rtdecode.tools.loopback import LoopbackRig

LONG_S = 60.0


def replay(rig: LoopbackRig, session: Path, stream: str) -> None:
    rig.start("replay", ["replay", str(session), "--stream", stream, "--loop"])


def restart(rig: LoopbackRig, served: Served, stream: str, model: Path) -> None:
    arguments = ["serve", "--stream", stream, "--model", str(model), "--timeout", str(READY_S)]
    rig.start("again", [*arguments, "--bind", served.cursor, "--control", served.control])
    rig.await_line("again", "cursor on", READY_S)


def spikes_for(endpoint: str, seconds: float) -> tuple[list[Counts], float]:
    """What comes on the topic `spikes`, and how long that took."""
    with zmq.Context() as context, context.socket(zmq.SUB) as socket:
        socket.subscribe(b"spikes")
        socket.connect(endpoint)
        heard, began = [], time.monotonic()
        while time.monotonic() < began + seconds:
            if socket.poll(100):
                topic, payload = socket.recv_multipart()
                assert topic == b"spikes"
                counts = read_spikes(payload)
                assert counts is not None
                heard.append(counts)
    return heard, time.monotonic() - began


def test_the_spikes_are_those_that_were_decoded_and_come_to_subscribers_only(
    rig: LoopbackRig, serve: Any, stream: str, simulated_session: Path, simulated_model: Path
) -> None:
    replay(rig, simulated_session, stream)
    recording = rig.folder / "live.h5"
    served = serve(simulated_model, "--record", str(recording))
    served.subscriber.until(lambda m: m["flags"] == 0)
    heard, seconds = spikes_for(served.cursor, 4.0)
    last = heard[-1].bin + len(heard[-1].rows) - 1
    served.subscriber.until(lambda m: m["bin"] >= last)
    # Its socket hears `cursor` only, and asserts that.
    published = {m["bin"]: m["n"] for m in served.subscriber.messages}
    served.end()

    assert 0.5 * seconds / 0.1 < len(heard) <= seconds / 0.1 + 1
    bins = [counts.bin + i for counts in heard for i in range(len(counts.rows))]
    assert bins == list(range(bins[0], bins[0] + len(bins)))
    rows = np.concatenate([counts.rows for counts in heard])
    # The backlog of the connection was decoded too, and not published.
    unpublished = max(0, min(published) - bins[0])
    bins, rows = bins[unpublished:], rows[unpublished:]
    assert rows.sum(axis=1).tolist() == [published[b] for b in bins]
    decoded = read_session(recording).decoded
    assert decoded is not None
    first = int(np.flatnonzero(decoded.bin == bins[0])[0])
    assert np.array_equal(decoded.counts[first : first + len(rows)], rows)
    assert rows.sum() > 100


@contextmanager
def web(rig: LoopbackRig, *arguments: str) -> Iterator[str]:
    """`rtdecode monitor --web`: its host:port."""
    rig.start("monitor", ["monitor", "--web", "--port", "0", *arguments])
    rig.await_line("monitor", "Ctrl-C ends it", READY_S)
    found = re.match(r"http://(\S+) ", rig.stderr("monitor"))
    assert found
    yield found[1]
    rig.end("monitor")


def frame_until(page: Any, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    deadline = time.monotonic() + LONG_S
    while time.monotonic() < deadline:
        frame: dict[str, Any] = json.loads(page.recv(10))
        page.send("seen")
        if wanted(frame):
            return frame
    raise AssertionError(f"no such frame; last {json.dumps(frame)[:2000]}")


@pytest.mark.timeout(240)
def test_a_page_follows_the_daemon_through_its_end_and_its_return(
    rig: LoopbackRig, serve: Any, stream: str, simulated_session: Path, simulated_model: Path
) -> None:
    replay(rig, simulated_session, stream)
    served = serve(simulated_model)
    with web(rig, "--cursor", served.cursor) as where, connect(f"ws://{where}/frames") as page:
        live = frame_until(
            page, lambda f: f["state"] == "running" and f["points"] and len(f["rates_hz"]) == 16
        )
        assert live["alive"]
        assert live["alert"] == ""
        assert live["axes"] == [{"name": "x", "units": "mm"}, {"name": "y", "units": "mm"}]
        assert sum(live["rates_hz"]) > 0
        assert 0 < live["latency_ms"]["decode"]["p50"] < live["latency_ms"]["total"]["p50"]
        rig.kill(served.name)
        gone = frame_until(page, lambda f: not f["alive"])
        assert gone["alert"].startswith("daemon lost")
        restart(rig, served, stream, simulated_model)
        back = frame_until(page, lambda f: f["alive"] and f["state"] == "running" and f["points"])
        assert back["restarts"] == 1
