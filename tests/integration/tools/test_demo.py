"""The command that runs the whole product."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
from commands import LIMIT_S, document_here

from rtdecode.errors import RtdecodeError
from rtdecode.tools.demo import run

pytestmark = pytest.mark.realtime

SHORT = run.DemoTimes(day_0_s=8.0, before_s=6.0, after_s=8.0, budget_s=15)


@pytest.mark.timeout(LIMIT_S + 20)
def test_the_demo_calibrates_a_daemon_that_a_subject_steers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In a third of its time; test_pretrained.py tests that the model fails after a month and recovers."""
    monkeypatch.setattr(run, "run_demo", partial(run.run_demo, times=SHORT))
    document = document_here("demo", "--figure", tmp_path / "demo.png")
    fresh, old, calibrated = document["phases"]
    assert [phase["name"] for phase in document["phases"]] == ["day 0", "day 30", "day 30 calibrated"]
    assert fresh["model"] == old["model"] != calibrated["model"]
    for phase in document["phases"]:
        assert phase["missing"] == 0
        assert phase["flagged"] < 0.05 * phase["bins"]
        assert 0 < phase["latency_ms"]["p50"] <= phase["latency_ms"]["p99"]
        assert len(phase["r2"]) == len(document["outputs"])
    assert fresh["success"] > 0.5
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
