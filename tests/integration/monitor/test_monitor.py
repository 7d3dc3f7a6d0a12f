"""`rtdecode monitor` on a real daemon: every spike, and a page through a restart."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zmq
from daemon import READY_S
from monitored import frame_until
from websockets.sync.client import connect

from rtdecode.monitor.raster import Counts, read_spikes
from rtdecode.session.read import read_session
from rtdecode.tools.loopback import LoopbackRig


def spikes_for(endpoint: str, seconds: float) -> tuple[list[Counts], float]:
    """The messages of the topic `spikes` during some seconds, and the exact duration."""
    with zmq.Context() as context, context.socket(zmq.SUB) as socket:
        socket.subscribe(b"spikes")
        socket.connect(endpoint)
        received, began = [], time.monotonic()
        while time.monotonic() < began + seconds:
            if socket.poll(100):
                topic, payload = socket.recv_multipart()
                assert topic == b"spikes"
                counts = read_spikes(payload)
                assert counts is not None
                received.append(counts)
    return received, time.monotonic() - began


def test_the_published_spikes_are_the_decoded_ones_and_only_for_subscribers(
    rig: LoopbackRig, serve: Any, replay: Any, simulated_session: Path, simulated_model: Path
) -> None:
    replay(simulated_session, "--loop")
    recording = rig.folder / "live.h5"
    served = serve(simulated_model, "--record", str(recording))
    served.subscriber.until(lambda m: m["flags"] == 0)
    received, seconds = spikes_for(served.cursor, 2.0)
    last = received[-1].bin + len(received[-1].rows) - 1
    served.subscriber.until(lambda m: m["bin"] >= last)
    # Its socket receives `cursor` only, and asserts that.
    published = {m["bin"]: m["n"] for m in served.subscriber.messages}
    served.end()

    assert 0.5 * seconds / 0.1 < len(received) <= seconds / 0.1 + 1
    bins = [counts.bin + i for counts in received for i in range(len(counts.rows))]
    assert bins == list(range(bins[0], bins[0] + len(bins)))
    rows = np.concatenate([counts.rows for counts in received])
    # The backlog of the connection was decoded too, and not published.
    unpublished = max(0, min(published) - bins[0])
    bins, rows = bins[unpublished:], rows[unpublished:]
    assert rows.sum(axis=1).tolist() == [published[b] for b in bins]
    decoded = read_session(recording).decoded
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


@pytest.mark.timeout(240)
def test_a_page_follows_the_daemon_through_a_restart(
    rig: LoopbackRig, serve: Any, replay: Any, simulated_session: Path, simulated_model: Path
) -> None:
    replay(simulated_session, "--loop")
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
        served.start()
        back = frame_until(page, lambda f: f["alive"] and f["state"] == "running" and f["points"])
        assert back["restarts"] == 1
