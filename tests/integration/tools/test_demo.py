"""The command that runs the whole product."""

from __future__ import annotations

from pathlib import Path

import pytest
from commands import LIMIT_S, document_here

from rtdecode.errors import RtdecodeError

pytestmark = pytest.mark.realtime


@pytest.mark.timeout(LIMIT_S + 20)
def test_the_demo_fails_after_a_month_and_recovers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    document = document_here("demo", "--figure", tmp_path / "demo.png")
    fresh, old, calibrated = document["phases"]
    assert [phase["name"] for phase in document["phases"]] == ["day 0", "day 30", "day 30 calibrated"]
    assert fresh["model"] == old["model"] != calibrated["model"]
    for phase in document["phases"]:
        assert phase["missing"] == 0
        assert phase["flagged"] < 0.05 * phase["bins"]
        assert 0 < phase["latency_ms"]["p50"] <= phase["latency_ms"]["p99"]
        assert len(phase["r2"]) == len(document["outputs"])
    assert fresh["success"] >= 0.8
    assert old["success"] <= fresh["success"] - 0.2
    assert calibrated["success"] >= old["success"] + 0.2
    assert calibrated["achieved_bits_per_s"] > old["achieved_bits_per_s"]
    calibration = document["calibration"]
    assert calibration["deployed"]
    # On a busy machine there may be no time to train within the budget.
    no_time = any("no time to train" in note for note in calibration["notes"])
    assert calibration["rung"] == ("readout" if no_time else "full")
    assert sum(calibration["scores"]["new"]) > sum(calibration["scores"]["incumbent"])
    assert "swapped in between two bins" in capsys.readouterr().err
    assert (tmp_path / document["figure"]).read_bytes().startswith(b"\x89PNG")
    # The calibrated model is not kept.
    assert sorted(path.name for path in tmp_path.iterdir()) == ["demo.png"]


def test_a_figure_that_cannot_be_written_is_an_error_before_the_demo_starts(tmp_path: Path) -> None:
    with pytest.raises(RtdecodeError, match=r"none/demo\.png"):
        document_here("demo", "--figure", tmp_path / "none" / "demo.png")
