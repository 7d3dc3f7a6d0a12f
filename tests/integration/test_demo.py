"""The commands that run the whole product by themselves."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any


def run(*arguments: str) -> Any:
    done = subprocess.run(
        [sys.executable, "-m", "rtdecode.cli", *arguments, "--json"],
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_demo_decodes_what_it_has_not_seen() -> None:
    document = run("demo")
    (phase,) = document["phases"]
    assert phase["missing"] == 0
    assert phase["bins"] == 725
    assert phase["flagged"] < 0.05 * phase["bins"]
    # The territory of real motor cortex, not of a toy.
    assert 0.4 < sum(phase["r2"]) / len(phase["r2"]) < 0.95
    assert phase["latency_ms"]["p50"] > 0
    assert phase["trials"] is None


def test_the_latency_benchmark_reports_every_stage() -> None:
    document = run("bench", "latency", "--bins", "50", "--record")
    assert document["bins"] == 50
    total = document["bin_end_to_received_ms"]
    assert 0 < total["p50"] <= total["p90"] <= total["p99"] <= total["p999"] <= total["max"]
    assert set(document["stages_ms"]) == {"bin_end_to_close", "close_to_publish", "publish_to_received"}
    assert document["hops_ms"]["lsl"]["p999"] > 0
    assert document["hops_ms"]["zmq"]["p50"] > 0
    assert document["limit_ms"] > 0
    assert document["lost"] == 0
