"""`rtdecode bench latency`: from the end of a bin to the cursor received, and its lower bound."""

from __future__ import annotations

import json
import struct
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pylsl
import zmq

from rtdecode.artifact import write_artifact
from rtdecode.calibrate.fitting.fit import fit_sessions
from rtdecode.errors import RtdecodeError
from rtdecode.session.write import write_session
from rtdecode.tools.capture import Cursors, CursorSubscriber, Received
from rtdecode.tools.loopback import LoopbackRig, free_endpoint
from rtdecode.tools.ranges import check_range
from rtdecode.tools.simulator.scripted import CentreOut, draw_tuning, simulate_session

TRAIN_S = 60.0
READY_S = 60.0

#: Bins left out at the start, while the source starts and the grace adapts to it.
SKIPPED_BINS = 100

#: Two inlets of one machine receive an event within this time of each other.
SAME_ARRIVAL_S = 0.0002

QUANTILES = {"p50": 50.0, "p90": 90.0, "p99": 99.0, "p999": 99.9, "max": 100.0}


@dataclass(frozen=True, kw_only=True)
class LatencyBench:
    """Settings of the benchmark.

    Attributes:
        n_channels: channels of the simulated array.
        rate_hz: spikes per second and channel.
        push_ms: interval between the source's pushes, ms; 0 to push each spike by itself.
        bins: number of bins to measure.
        record: whether the daemon records at the same time.

    Raises:
        RtdecodeError: the push interval is out of range.
    """

    n_channels: int = 64
    rate_hz: float = 15.0
    push_ms: float = 1.0
    bins: int = 3000
    record: bool = False

    def __post_init__(self) -> None:
        fine = self.push_ms == 0 or 0.1 <= self.push_ms <= 1000
        check_range("--push", fine, "0, or between 0.1 and 1000 ms", self.push_ms)


def run_bench(bench: LatencyBench, print_line: Callable[[str], None]) -> dict[str, Any]:
    """Run source, daemon, bare inlet and subscriber as separate processes and threads.

    Returns:
        The document that `--json` prints, times in ms. `hops_ms` has the source's delivery delay (arrival −
        stamp at the bare inlet) and the bare ZeroMQ hop; `limit_ms` is p99.9 of the first plus the median of
        the second; `own_overhead_ms` is what the daemon itself adds.

    Raises:
        RtdecodeError: bins are missing, or a process did not start.
    """
    with tempfile.TemporaryDirectory(prefix="rtdecode-bench-") as name:
        folder = Path(name)
        task = CentreOut(n_channels=bench.n_channels, mean_rate_hz=bench.rate_hz)
        train = folder / "train.h5"
        write_session(train, simulate_session(task, draw_tuning(task, 0), TRAIN_S, 1, "bench"))
        model = folder / "bench.safetensors"
        write_artifact(model, fit_sessions([train], kind="wiener").artifact)
        with LoopbackRig(folder) as rig:
            pylsl.set_config_content(rig.lsl_config)
            return _measure(rig, bench, model, print_line)


def _measure(
    rig: LoopbackRig, bench: LatencyBench, model: Path, print_line: Callable[[str], None]
) -> dict[str, Any]:
    cursor, control, hop = free_endpoint(), free_endpoint(), free_endpoint()
    seconds = (bench.bins + SKIPPED_BINS) * 0.02
    source = ["--stream", "bench", "--channels", str(bench.n_channels), "--rate", str(bench.rate_hz)]
    source += ["--push", str(bench.push_ms), "--seconds", str(seconds + 20)]
    serve = ["serve", "--stream", "bench", "--model", str(model)]
    serve += ["--bind", cursor, "--control", control, "--json"]
    if bench.record:
        serve += ["--record", str(rig.folder / "bench.h5")]
    hops_s: list[float] = []
    enough = threading.Event()
    hop_thread = threading.Thread(target=_receive_hops, args=(hop, hops_s, enough), daemon=True)
    subscriber = CursorSubscriber(cursor, pylsl.local_clock)
    try:
        rig.start("source", source, module="rtdecode.tools.bench.spike_source")
        rig.start("serve", serve)
        rig.await_line("serve", "ready for", READY_S)
        arrivals = rig.folder / "arrivals.npy"
        bare = rig.start(
            "bare", ["bench", str(seconds), hop, str(arrivals)], module="rtdecode.tools.bench.hops"
        )
        hop_thread.start()
        print_line(f"measuring {bench.bins} bins, {seconds:.0f} s")
        received = subscriber.receive(seconds + READY_S, bins=bench.bins + SKIPPED_BINS)
        enough.set()
        bare.wait(READY_S)
        lsl = json.loads(rig.end("bare"))
        status = json.loads(rig.end("serve").strip().splitlines()[-1])
        rig.end("source", must_succeed=False)
    finally:
        subscriber.close()
    missing = Cursors.of(received).missing()
    if len(received.cursors) < bench.bins + SKIPPED_BINS or missing:
        raise RtdecodeError(
            f"{len(received.cursors)} of {bench.bins + SKIPPED_BINS} bins were received, "
            f"{missing} between them are missing",
            where="bench latency",
            fix="end other programs that use the processor, and run it again",
        )
    return _document(bench, received, lsl, hops_s, status) | {
        "own_overhead_ms": own_overhead(received, np.load(arrivals), float(np.median(hops_s)))
    }


def own_overhead(
    received: Received, arrivals: npt.NDArray[np.float64], hop_s: float
) -> dict[str, float | None]:
    """Quantiles, ms, of what the daemon adds to a bin that is closed by an event.

    From the arrival of that event, the first that is stamped at or after the end of the bin, at a bare inlet
    to the cursor at the subscriber, without the bare hop. Bins that the clock closes before are left out: all
    of a source that pushes less often than bins end.

    Args:
        received: cursors, those of the start included.
        arrivals: f8[2, n], stamp and arrival of each event, s, in the order of arrival.
        hop_s: of a bare ZeroMQ message, s.
    """
    cursors, received_s = received.cursors[SKIPPED_BINS:], np.array(received.received_s[SKIPPED_BINS:])
    t_bin, t_close = (np.array([cursor[key] for cursor in cursors]) for key in ("t_bin", "t_close"))
    closing = np.searchsorted(np.maximum.accumulate(arrivals[0]), t_bin)
    seen = closing < arrivals.shape[1]
    arrived_s = arrivals[1, closing[seen]]
    by_event = t_close[seen] > arrived_s - SAME_ARRIVAL_S
    return _quantiles((received_s[seen] - arrived_s - hop_s)[by_event])


def _document(
    bench: LatencyBench,
    received: Received,
    lsl: dict[str, float],
    hops_s: list[float],
    status: dict[str, Any],
) -> dict[str, Any]:
    cursors = received.cursors[SKIPPED_BINS:]
    received_s = np.array(received.received_s[SKIPPED_BINS:])
    t_bin, t_close, t_pub = (np.array([c[key] for c in cursors]) for key in ("t_bin", "t_close", "t_pub"))
    zmq_ms = {name: float(np.percentile(hops_s, q) * 1e3) for name, q in (("p50", 50), ("p99", 99))}
    return {
        "channels": bench.n_channels,
        "rate_hz": bench.rate_hz,
        "push_ms": bench.push_ms,
        "bins": len(cursors),
        "limit_ms": lsl["p999"] + zmq_ms["p50"],
        "bin_end_to_received_ms": _quantiles(received_s - t_bin),
        "hops_ms": {"lsl": lsl, "zmq": zmq_ms},
        "stages_ms": {
            "bin_end_to_close": _quantiles(t_close - t_bin),
            "close_to_publish": _quantiles(t_pub - t_close),
            "publish_to_received": _quantiles(received_s - t_pub),
        },
        "grace_ms": status["stream"].get("grace_ms"),
        "late": sum(cursor["late"] for cursor in cursors),
        "lost": sum(cursor["lost"] for cursor in cursors),
        "flagged": sum(cursor["flags"] != 0 for cursor in cursors),
    }


def _quantiles(seconds: Any) -> dict[str, float | None]:
    """In ms; None where there is nothing."""
    if not len(seconds):
        return dict.fromkeys(QUANTILES)
    found = np.percentile(seconds, list(QUANTILES.values())) * 1e3
    return {name: round(float(value), 4) for name, value in zip(QUANTILES, found, strict=True)}


def _receive_hops(endpoint: str, hops_s: list[float], enough: threading.Event) -> None:
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    socket = context.socket(zmq.SUB)
    socket.setsockopt(zmq.SUBSCRIBE, b"hop")
    socket.connect(endpoint)
    while not enough.is_set():
        if socket.poll(100):
            message = socket.recv()
            hops_s.append(pylsl.local_clock() - struct.unpack_from("d", message, 3)[0])
    socket.close(linger=0)
    context.term()
