"""Messages for a monitor: a status, cursors on a circle, spikes, a task."""

from __future__ import annotations

import copy
import json
import math
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import msgpack
import msgspec
import numpy as np
import numpy.typing as npt

from rtdecode.client import Cursor, Link, Status
from rtdecode.console.counters import GROUPS
from rtdecode.monitor.raster import Counts
from rtdecode.monitor.state import MonitorState
from rtdecode.monitor.task import Task
from rtdecode.testing.fake_daemon import CURSOR

WIDTH_S = 0.02

STATUS_MAP: dict[str, Any] = {
    "v": 1,
    "state": "running",
    "names": ["x", "y", "vx", "vy"],
    "units": ["mm", "mm", "mm/s", "mm/s"],
    "roles": ["position", "position", "velocity", "velocity"],
    "bin": 37711,
    "bin_width_s": WIDTH_S,
    "uptime_s": 760.1,
    "paused": False,
    "flags": [],
    "rates": {"events_hz": 1432.1, "bins_hz": 49.98},
    "counters": dict.fromkeys((key for group in GROUPS.values() for key in group), 0)
    | {"received": 108013, "spikes": 108001, "bins": 37612, "backlog_bins": 100, "late_carried": 812}
    | {"lost": 3, "catch_up": 2},
    "latency_ms": {},
    "model": {"id": "a1b2c3d4", "kind": "alignnet", "path": "/models/M1.safetensors", "n_channels": 96},
    "stream": {"name": "M1", "attached": True, "layout": "events", "hostname": "rig", "n_channels": 96},
    "recording": {"path": "/data/today.h5", "error": "", "bins": 37587, "dropped": 0, "behavior_dropped": 0},
    "endpoints": {"cursor": "tcp://127.0.0.1:5556", "control": "tcp://127.0.0.1:5557"},
    "warnings": [],
}


def status(**changes: Any) -> Status:
    """A status as a client reads it."""
    return msgspec.convert(copy.deepcopy(STATUS_MAP) | changes, Status)


def cursor(b: int, **changes: Any) -> Cursor:
    """The cursor of bin `b`: 60 mm from the centre, once round in 4 s, decoded in 0.08 ms."""
    angle = 2 * math.pi * b * WIDTH_S / 4.0
    t_bin = (b + 1) * WIDTH_S
    late_s = 1e-3 * (1.2 + 0.4 * math.sin(b) ** 2)
    x, y = 60.0 * math.cos(angle), 60.0 * math.sin(angle)
    times = {"t_bin": t_bin, "t_close": t_bin + late_s, "t_pub": t_bin + late_s + 8e-5}
    value = [x, y, -94.0 * math.sin(angle), 94.0 * math.cos(angle)]
    given = {"seq": b, "bin": b, **times, "value": value, "n": 29, "model": "a1b2c3d4"}
    return Cursor(**{**CURSOR, **given, **changes})


def counts(first: int, n_bins: int, n_channels: int = 96, seed: int = 0) -> Counts:
    """Spikes of `n_bins` bins: each channel has a rate of its own, some are silent."""
    rates_hz = np.random.default_rng(seed).gamma(1.5, 10.0, n_channels)
    rates_hz[:: max(n_channels // 7, 1)] = 0.0
    rng = np.random.default_rng((seed, first))
    return Counts(first, rng.poisson(rates_hz * WIDTH_S, (n_bins, n_channels)).astype(np.uint8))


def spikes_map(first: int, rows: npt.NDArray[np.uint8]) -> dict[str, Any]:
    """A `spikes` message as docs/messages.md describes it, in independent code."""
    found = [(i, c, int(rows[i, c])) for i in range(len(rows)) for c in np.flatnonzero(rows[i])]
    return {
        "v": 1,
        "bin": first,
        "n_bins": len(rows),
        "n_channels": rows.shape[1],
        "offset": bytes(i for i, _, _ in found),
        "channel": b"".join(int(c).to_bytes(2, "little") for _, c, _ in found),
        "count": bytes(n for _, _, n in found),
    }


def packed_spikes(first: int, rows: npt.NDArray[np.uint8]) -> bytes:
    packed: bytes = msgpack.packb(spikes_map(first, rows))
    return packed


def after(
    seconds: float, *, n_channels: int = 96, task: Task | None = None, **changes: Any
) -> tuple[MonitorState, float]:
    """A monitor after `seconds` of a running daemon, and its clock."""
    state = MonitorState()
    n = round(seconds / WIDTH_S)
    state.update_status(status(**changes), 0.0)
    for b in range(n):
        now_s = (b + 1) * WIDTH_S
        state.update_link(Link.LIVE, age_s=0.0, restarts=0)
        state.add_cursor(cursor(b), now_s)
        if b % 5 == 4:
            state.add_spikes(counts(b - 4, 5, n_channels))
        if b % 50 == 49:
            state.update_status(status(**{"uptime_s": 760.1 + now_s, "bin": b, **changes}), now_s)
    if task is not None:
        state.update_task(task, seconds)
    state.plane.fit()
    return state, seconds


A_TASK = Task(1, 3.5, (80.0, 0.0), 10.0, "move", 12, 0.92)


@contextmanager
def web_monitor(*arguments: str, port: int = 0) -> Iterator[str]:
    """`rtdecode monitor --web` in a process of its own: its host:port; it must end without a message."""
    command = [sys.executable, "-m", "rtdecode.cli", "monitor", "--web", "--port", str(port), *arguments]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    try:
        line = process.stderr.readline()
        found = re.match(r"http://(\S+) shows", line)
        assert found, line + process.stderr.read()
        yield found[1]
    finally:
        process.terminate()
        with process.stderr:
            assert process.wait(10) == 0
            assert process.stderr.read() == ""


def frame_until(
    page: Any, reached: Callable[[dict[str, Any]], bool], publish: Callable[[int], None] = lambda seq: None
) -> dict[str, Any]:
    """The first frame of a WebSocket that meets a condition; `publish` is called before each with 0, 1, …"""
    deadline, seq = time.monotonic() + 60, 0
    while time.monotonic() < deadline:
        publish(seq)
        seq += 1
        frame: dict[str, Any] = json.loads(page.recv(10))
        page.send("seen")
        if reached(frame):
            return frame
    raise AssertionError(f"no such frame; last {json.dumps(frame)[:2000]}")
