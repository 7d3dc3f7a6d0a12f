"""The commands that run the whole product: demo and bench."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.realtime

#: Time limit of a demo on a slow machine; the documented limit is two minutes.
AT_MOST_S = 240


def run(folder: Path, *arguments: str) -> Any:
    done = subprocess.run(
        [sys.executable, "-m", "rtdecode.cli", *arguments, "--json"],
        capture_output=True,
        text=True,
        timeout=AT_MOST_S,
        cwd=folder,
        env={**os.environ, "XDG_DATA_HOME": str(folder / "share")},
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout) | {"stderr": done.stderr}


@pytest.mark.timeout(AT_MOST_S + 20)
def test_the_demo_fails_after_a_month_and_recovers(tmp_path: Path) -> None:
    document = run(tmp_path, "demo")
    fresh, old, calibrated = document["phases"]
    assert [phase["name"] for phase in document["phases"]] == ["day 0", "day 30", "day 30 calibrated"]
    assert fresh["success"] >= 0.8
    assert old["success"] <= fresh["success"] - 0.2
    assert calibrated["success"] >= old["success"] + 0.2
    assert calibrated["achieved_bits_per_s"] > old["achieved_bits_per_s"]
    assert fresh["model"] == old["model"] != calibrated["model"]
    for phase in document["phases"]:
        assert phase["missing"] == 0
        assert phase["flagged"] < 0.05 * phase["bins"]
        assert 0 < phase["latency_ms"]["p50"] <= phase["latency_ms"]["p99"]
        assert len(phase["r2"]) == len(document["outputs"])
    calibration = document["calibration"]
    assert calibration["deployed"]
    # On a busy machine there may be no time to train within the budget.
    no_time = any("no time to train" in note for note in calibration["notes"])
    assert calibration["rung"] == ("readout" if no_time else "full")
    assert sum(calibration["scores"]["new"]) > sum(calibration["scores"]["incumbent"])
    assert "swapped in between two bins" in document["stderr"]
    assert (tmp_path / document["figure"]).read_bytes().startswith(b"\x89PNG")
    # The calibrated model is not kept.
    assert sorted(path.name for path in tmp_path.iterdir()) == ["rtdecode-demo.png"]


def test_a_figure_that_cannot_be_written_is_an_error_before_the_demo_starts(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "rtdecode.cli", "demo", "--figure", str(tmp_path / "none" / "demo.png")],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "none/demo.png" in done.stderr


def test_the_latency_benchmark_reports_every_stage(tmp_path: Path) -> None:
    document = run(tmp_path, "bench", "latency", "--bins", "50", "--record")
    assert document["bins"] == 50
    total = document["bin_end_to_received_ms"]
    assert 0 < total["p50"] <= total["p90"] <= total["p99"] <= total["p999"] <= total["max"]
    assert set(document["stages_ms"]) == {"bin_end_to_close", "close_to_publish", "publish_to_received"}
    assert document["hops_ms"]["lsl"]["p999"] > 0
    assert document["hops_ms"]["zmq"]["p50"] > 0
    assert document["limit_ms"] > 0
    assert document["lost"] == 0
