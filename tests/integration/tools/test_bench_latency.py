"""The latency benchmark with a source that pushes every spike by itself."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

pytestmark = pytest.mark.realtime


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "rtdecode.cli", "bench", "latency", *arguments],
        capture_output=True,
        text=True,
        timeout=240,
    )


def test_single_pushes_are_measured_with_grace_and_losses() -> None:
    done = bench("--bins", "50", "--push", "0", "--json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["push_ms"] == 0
    assert document["lost"] == 0
    assert 0.3 <= document["grace_ms"] <= 10
    assert {"late", "flagged"} <= set(document)
    delivery = document["hops_ms"]["lsl"]
    assert 0 < delivery["p50"] <= delivery["p99"] <= delivery["p999"]


def test_a_push_interval_out_of_range_is_refused() -> None:
    done = bench("--push", "0.05")
    assert done.returncode == 1
    assert done.stderr.startswith("rtdecode: --push: must be 0")
    assert len(done.stderr.splitlines()) == 1
