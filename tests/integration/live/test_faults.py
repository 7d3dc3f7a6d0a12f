"""Faults of sources and of the rig (docs/time.md)."""

from __future__ import annotations

import os
import resource
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pylsl
import pytest
import zmq
from daemon import READY_S, assert_once_in_order

from rtdecode.session.read import read_session
from rtdecode.tools.loopback import LoopbackRig

STALE, CATCH_UP, GAP, FAILSAFE = 1, 2, 4, 16
N_CHANNELS = 16


class Source:
    """An `events` outlet that sends given events, and one spike per ms from a thread of its own."""

    def __init__(self, stream: str) -> None:
        info = pylsl.StreamInfo(stream, "Spikes", 3, 0.0, "int32", f"source-{stream}")
        info.desc().append_child_value("n_channels", str(N_CHANNELS))
        self.outlet = pylsl.StreamOutlet(info)
        self.seq = 0
        self.offset_s = 0.0
        self.silent = False
        self._lock = threading.Lock()
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def push(self, channel: int = 0, *, age_s: float = 0.0, seq: int | None = None) -> None:
        with self._lock:
            if seq is None:
                seq, self.seq = self.seq, self.seq + 1
            stamp = pylsl.local_clock() - age_s + self.offset_s
            self.outlet.push_sample([channel, 0, seq], stamp)

    def skip(self, n: int) -> None:
        with self._lock:
            self.seq += n

    def _run(self) -> None:
        rng = np.random.default_rng(0)
        while not self._end.wait(0.001):
            if not self.silent:
                self.push(int(rng.integers(N_CHANNELS)))

    def close(self) -> None:
        self._end.set()
        self._thread.join()
        del self.outlet


@pytest.fixture
def source(stream: str, lsl_config: str) -> Iterator[Source]:
    made = Source(stream)
    yield made
    made.close()


def test_each_fault_is_counted_by_kind(
    rig: LoopbackRig, serve: Any, source: Source, simulated_model: Path
) -> None:
    recording = rig.folder / "live.h5"
    served = serve(simulated_model, "--record", str(recording), "--grace", "2")
    served.subscriber.until(lambda m: m["bin"] > 50)
    before = served.counters()
    source.skip(7)
    source.push(N_CHANNELS)
    source.push(-1)
    source.push(3, seq=source.seq - 1)
    source.push(3, age_s=-1.0)
    source.push(3, age_s=0.5)
    marker = served.subscriber.messages[-1]["bin"]
    served.subscriber.until(lambda m: m["bin"] > marker + 50)
    after = served.counters()
    served.end()
    rise = {name: after[name] - before[name] for name in after}
    assert rise["lost"] == 7
    assert rise["out_of_range"] == 2
    assert rise["duplicates"] == 1
    assert rise["future"] == 1
    assert rise["late_dropped"] >= 1
    assert_once_in_order(served.subscriber.messages)
    assert sum(m["lost"] for m in served.subscriber.messages) == 7
    session = read_session(recording)
    assert int(session.decoded.lost.sum()) == 7


def test_silence_is_stale_then_failsafe_and_then_decoding_continues(
    serve: Any, source: Source, simulated_model: Path
) -> None:
    served = serve(simulated_model, "--failsafe-after", "0.6")
    until = served.subscriber.until
    until(lambda m: m["bin"] > 50)
    source.silent = True
    first_stale = until(lambda m: m["flags"] & STALE)
    first_held = until(lambda m: m["flags"] & FAILSAFE)
    until(lambda m: m["bin"] == first_held["bin"] + 10)
    source.silent = False
    fresh = until(lambda m: not m["flags"] & STALE)
    served.end()
    messages = {m["bin"]: m for m in served.subscriber.messages}
    assert_once_in_order(served.subscriber.messages)
    silent_bins = round((0.6 - 0.25) / 0.02)
    assert abs(first_held["bin"] - first_stale["bin"] - silent_bins) <= 1
    held = [messages[b]["value"] for b in range(first_held["bin"], fresh["bin"])]
    last = messages[first_held["bin"] - 1]["value"]
    # x and y hold, vx and vy are zero.
    assert all(value == [last[0], last[1], 0.0, 0.0] for value in held)


@pytest.mark.parametrize("jump_s", [100.0, -100.0])
def test_a_clock_jump_is_flagged_and_survived(
    serve: Any, source: Source, simulated_model: Path, jump_s: float
) -> None:
    served = serve(simulated_model)
    served.subscriber.until(lambda m: m["bin"] > 50)
    source.offset_s = jump_s
    back = served.subscriber.until(lambda m: m["flags"] & GAP)
    # Decoding continues: spikes are in the bins again, at the rate of the source.
    served.subscriber.until(lambda m: m["bin"] >= back["bin"] + 50 and m["flags"] == 0)
    counters = served.counters()
    served.end()
    assert counters["clock_jumps"] == 1
    assert_once_in_order(served.subscriber.messages)
    spikes = [m["n"] for m in served.subscriber.messages if m["bin"] > back["bin"] + 2]
    assert np.median(spikes) > 5


def test_a_daemon_that_was_stopped_catches_up_with_a_flag(
    serve: Any, source: Source, simulated_model: Path
) -> None:
    served = serve(simulated_model)
    served.subscriber.until(lambda m: m["bin"] > 50)
    os.kill(served.process.pid, signal.SIGSTOP)
    threading.Event().wait(2.5)
    os.kill(served.process.pid, signal.SIGCONT)
    late = served.subscriber.until(lambda m: m["flags"] & CATCH_UP)
    # Caught up; on a busy machine a bin may be late again.
    served.subscriber.until(lambda m: m["bin"] > late["bin"] + 130 and m["flags"] == 0)
    counters = served.counters()
    served.end()
    assert_once_in_order(served.subscriber.messages)
    assert counters["lost"] == 0
    assert counters["catch_up"] > 100
    # Events of the pause were decoded, not skipped.
    caught = [m["n"] for m in served.subscriber.messages if m["flags"] & CATCH_UP]
    assert np.median(caught) > 5


def test_a_subscriber_that_stalls_does_not_delay_others(
    serve: Any, source: Source, simulated_model: Path
) -> None:
    served = serve(simulated_model)
    with zmq.Context() as context, context.socket(zmq.SUB) as stalled:
        stalled.setsockopt(zmq.RCVHWM, 1)
        stalled.setsockopt(zmq.RCVBUF, 4096)
        stalled.setsockopt(zmq.SUBSCRIBE, b"")
        stalled.connect(served.cursor)
        served.subscriber.until(lambda m: m["bin"] > 250)
        counters = served.counters()
        served.end()
    assert_once_in_order(served.subscriber.messages)
    # With a delay it would be late from then on; a busy machine is late now and then.
    assert counters["catch_up"] < 0.1 * counters["bins"]


def test_a_full_disk_stops_the_recording_and_not_the_decoding(
    rig: LoopbackRig, serve: Any, source: Source, simulated_model: Path
) -> None:
    recording = rig.folder / "live.h5"
    served = serve(simulated_model, "--record", str(recording))
    served.subscriber.until(lambda m: m["bin"] > 100)
    resource.prlimit(served.process.pid, resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))
    alarm = "NOT RECORDING"
    served.subscriber.until(lambda m: m["bin"] % 50 == 0 and alarm in rig.stderr(served.name), READY_S)
    status = served.request(cmd="status")
    assert status["state"] == "running"
    assert "live.h5" in status["recording"]["error"]
    assert any(alarm in warning for warning in status["warnings"])
    # With free space again the recording continues, and nothing is missing.
    resource.prlimit(
        served.process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    )
    marker = served.subscriber.messages[-1]["bin"]
    served.subscriber.until(lambda m: m["bin"] > marker + 100)
    assert served.request(cmd="status")["recording"]["error"] == ""
    served.end()
    assert_once_in_order(served.subscriber.messages)
    decoded = read_session(recording).decoded
    assert np.all(np.diff(decoded.bin) == 1)
