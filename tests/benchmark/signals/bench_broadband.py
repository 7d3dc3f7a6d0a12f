"""What live detection costs `serve`: CPU share, latency, lost samples, with voltage from another process.

    python tests/benchmark/signals/bench_broadband.py [--channels 128] [--seconds 60] [--reference none]
        [--power]

Voltage of int16 at 30 kHz with 15 spikes a second and channel; a Wiener model of 20-ms bins decodes,
with --power also spike-band power of each channel.
Latency is from the end of a bin to its last sample and to its cursor; the delay of a spike is from its
trough to the time of its event in the recording.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[3]
sys.path[:0] = [str(ROOT / "tests" / "support"), str(ROOT / "tests" / "support" / "live")]

from daemon import Served  # noqa: E402
from decoding import artifact_of  # noqa: E402
from voltage import RATE_HZ, recording  # noqa: E402

from rtdecode.artifact import Feature, write_artifact  # noqa: E402
from rtdecode.session.read import read_session  # noqa: E402
from rtdecode.tools.loopback import LoopbackRig  # noqa: E402

NOISE_S, LOOP_S = 5.0, 2.0


def cpu_s(pid: int) -> float:
    """CPU time of a process so far, all threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def threads_s(pid: int) -> dict[str, float]:
    """CPU time of each thread so far."""
    found = {}
    for task in Path(f"/proc/{pid}/task").iterdir():
        fields = (task / "stat").read_text().rpartition(")")
        name = f"{fields[0].partition('(')[2]} {task.name}"
        found[name] = sum(map(int, fields[2].split()[11:13])) / os.sysconf("SC_CLK_TCK")
    return found


def percentiles(seconds: object) -> dict[str, float]:
    """p50, p99, p99.9 and the largest, ms."""
    found = np.percentile(np.asarray(seconds), [50, 99, 99.9, 100]) * 1e3
    return dict(zip(("p50", "p99", "p99.9", "max"), found.round(3).tolist(), strict=True))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--channels", type=int, default=128)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--reference", default="none")
    parser.add_argument("--chunk", type=float, default=1.0)
    parser.add_argument("--power", action="store_true")
    given = parser.parse_args()
    n = given.channels
    features = [Feature(f"power {c}", "power", "", 20.0, 5.0) for c in range(n if given.power else 0)]
    options = ["--reference", given.reference, *(["--power", "absolute"] if given.power else [])]
    samples, troughs = recording(LOOP_S, n, seed=1, spikes_hz=15.0)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        np.save(folder / "voltage.npy", np.clip(np.round(4.0 * samples), -32000, 32000).astype(np.int16))
        rng = np.random.default_rng(1)
        run = {
            "weight": rng.normal(0, 0.1, (n + len(features), 3, 3)).astype(np.float32),
            "bias": np.zeros(3),
        }
        model = folder / "m.safetensors"
        write_artifact(model, artifact_of("wiener", n_channels=n, features=tuple(features), run=run))
        with LoopbackRig(folder) as rig:
            rig.set_environment("PYTHONPATH", str(ROOT / "tests" / "support" / "live"))
            total_s = given.seconds + NOISE_S + 3.0
            source = rig.start(
                "source",
                ["M1", "voltage.npy", str(RATE_HZ), str(given.chunk), str(total_s)],
                module="voltage_source",
            )
            served = Served(rig, "M1", model, "--record", "out.h5", *options)
            begun_s = float(source.stdout.readline())  # type: ignore[union-attr]
            while "noise measured" not in rig.stderr("serve"):
                time.sleep(0.1)
            time.sleep(1.0)
            pid, wall_s = served.process.pid, time.monotonic()
            before, threads = cpu_s(pid), threads_s(pid)
            served.subscriber.take()
            until_s = wall_s + given.seconds
            bins = []
            while time.monotonic() < until_s:
                bins += served.subscriber.take(100)
            wall_s, used = time.monotonic() - wall_s, cpu_s(pid) - before
            per_thread = {k: (v - threads.get(k, 0.0)) / wall_s for k, v in threads_s(pid).items()}
            memory = Path(f"/proc/{pid}/status").read_text().partition("VmRSS:")[2].split()[0]
            status = served.request(cmd="status")
            print(rig.stderr("serve"))
            rig.end("serve")
            rig.end("source", must_succeed=False)
        events = read_session(folder / "out.h5").events
    assert events is not None
    delays = []
    period = round(LOOP_S * RATE_HZ)
    for c in range(n):
        sample = np.round((events.time[events.channel == c] - begun_s) * RATE_HZ).astype(int)
        behind = sample % period - troughs[c][np.searchsorted(troughs[c], sample % period + 15) - 1]
        delays.append(behind[np.abs(behind) < 30] / RATE_HZ * 1e3)
    counters = status["counters"]
    print(
        json.dumps(
            {
                "channels": n,
                "reference": given.reference,
                "power": given.power,
                "cpu_percent": round(100 * used / wall_s, 1),
                "threads_percent": {k: round(100 * v, 1) for k, v in per_thread.items() if v > 0.002},
                "memory_mb": round(int(memory) / 1024),
                "close_ms": percentiles([bin_["t_close"] - bin_["t_bin"] for bin_ in bins]),
                "publish_ms": percentiles([bin_["t_pub"] - bin_["t_bin"] for bin_ in bins]),
                "delivery_ms": status["stream"]["delivery_ms"],
                "spike_delay_ms": percentiles(np.concatenate(delays) / 1e3),
                "lost": counters["lost"],
                "late": counters["late_carried"] + counters["late_dropped"],
                "catch_up": counters["catch_up"],
                "events": len(events.time),
                "warnings": status["warnings"],
            },
            indent=1,
        )
    )


if __name__ == "__main__":
    main()
