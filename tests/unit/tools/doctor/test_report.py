"""Children that hang, crash or print no figures become findings, and the report holds all of them."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from rtdecode.errors import RtdecodeError
from rtdecode.serve.array_settings import ArraySettings
from rtdecode.tools.doctor.check import Check, Figures, Finding, Problems, Verdict
from rtdecode.tools.doctor.checks.disk import measure_disk
from rtdecode.tools.doctor.checks.lsl import measure_lsl_config
from rtdecode.tools.doctor.checks.python import measure_python
from rtdecode.tools.doctor.children import Outcome, probe_command, read_outcome, run_probes
from rtdecode.tools.doctor.plan import Checked, DoctorSettings, Report, judged, plan, run_doctor


def fine(figures: Figures) -> Finding:
    return Finding(Verdict.OK, f"{figures}")


def check(name: str = "it", **changes: Any) -> Check:
    return Check(**({"name": name, "measure": measure_python, "judge": fine, "fix": "hit it"} | changes))


def test_a_measurement_comes_back_from_its_child() -> None:
    (outcome,) = run_probes([check()], 60.0)
    assert outcome.figures["bits"] == 8 * (sys.maxsize.bit_length() + 1) // 8
    assert judged(check(), outcome).finding.verdict is Verdict.OK


def test_arguments_and_environment_reach_the_child() -> None:
    measured = check(
        measure=measure_lsl_config,
        arguments={"path": None},
        environment={"LSLAPICFG": "/nowhere.cfg"},
    )
    (outcome,) = run_probes([measured], 60.0)
    assert outcome.figures["named"] == "/nowhere.cfg"
    assert json.loads(probe_command(measured)[-1]) == {"path": None}


def test_a_measurement_that_raises_gives_the_reason() -> None:
    (outcome,) = run_probes([check(measure=measure_disk, arguments={"place": "/"})], 60.0)
    assert outcome.figures is None
    assert "TypeError" in outcome.reason
    finding = judged(check(), outcome).finding
    assert (finding.verdict, finding.fix) == (Verdict.FAIL, "hit it")
    assert "TypeError" in finding.found


@pytest.mark.realtime
def test_a_child_that_hangs_is_killed_with_all_it_started_and_takes_no_time_from_others(
    tmp_path: Path,
) -> None:
    pid = tmp_path / "pid"
    code = (
        "import subprocess, sys, time, pathlib\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        f"pathlib.Path({str(pid)!r}).write_text(str(child.pid))\n"
        "time.sleep(600)\n"
    )

    def command(of: Check) -> list[str]:
        return probe_command(of) if of.name == "quick" else [sys.executable, "-c", code]

    hung, answered = run_probes([check("slow"), check("quick")], 5.0, command)
    assert hung == Outcome(None, "no answer within 5 s")
    assert answered.figures is not None
    grandchild = int(pid.read_text())
    deadline = time.monotonic() + 10.0
    while is_running(grandchild):
        assert time.monotonic() < deadline, "the grandchild is still there"
        time.sleep(0.02)


def is_running(pid: int) -> bool:
    """Whether a process runs; a zombie that is not reaped yet does not."""
    try:
        return (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize(
    ("returncode", "stdout", "stderr", "words"),
    [
        (0, "", "", "it printed nothing"),
        (0, "hello\n", "", "ended with status 0"),
        (0, '{"figures": 3}\n', "", "ended with status 0"),
        (0, "[1, 2]\n", "", "ended with status 0"),
        (3, "", "one\nlast words\n", "ended with status 3: last words"),
        (-11, "", "", "killed by signal 11"),
        (1, '{"error": "OSError: a\\n b"}\n', "Traceback …", "OSError: a b"),
        (1, '{"figures": {}}\n', "after all", "ended with status 1: after all"),
    ],
)
def test_an_outcome_without_figures_has_a_reason(
    returncode: int, stdout: str, stderr: str, words: str
) -> None:
    outcome = read_outcome(returncode, stdout, stderr)
    assert outcome.figures is None
    assert words in outcome.reason


def test_output_of_a_library_does_not_hide_the_figures() -> None:
    assert read_outcome(0, 'pylsl: old\n\n{"figures": {"a": 1}}\n', "noise") == Outcome({"a": 1})


def test_the_probe_ends_with_status_and_traceback() -> None:
    code = f"{sys.executable} -m rtdecode.tools.doctor.probe nothing:here"
    with os.popen(f"{code} 2>/dev/null") as pipe:
        document = json.loads(pipe.read().strip())
    assert "ModuleNotFoundError" in document["error"]


def test_the_worst_verdict_wins() -> None:
    problems = Problems()
    assert problems.finding("x") == Finding(Verdict.OK, "x", None)
    problems.add("a")
    problems.add("b", fail=True)
    assert problems.finding("x") == Finding(Verdict.FAIL, "x", "b; a")


def test_the_report_is_what_json_prints() -> None:
    report = Report(
        (
            Checked("sleep", Finding(Verdict.OK, "fine"), {"late_ms": 0.1}),
            Checked("disk", Finding(Verdict.FAIL, "gone", "plug it in"), {}),
            Checked("cpu", Finding(Verdict.WARN, "slow", "wait"), {}),
        )
    )
    assert report.document() == {
        "checks": [
            {"name": "sleep", "verdict": "ok", "found": "fine", "fix": None, "figures": {"late_ms": 0.1}},
            {"name": "disk", "verdict": "fail", "found": "gone", "fix": "plug it in", "figures": {}},
            {"name": "cpu", "verdict": "warn", "found": "slow", "fix": "wait", "figures": {}},
        ],
        "verdict": "fail",
    }
    assert report.named(Verdict.FAIL) == ["disk"]


def test_the_plan_ends_within_45_s_whatever_hangs(tmp_path: Path) -> None:
    stages = plan(DoctorSettings(), tmp_path)
    assert sum(limit_s for _, limit_s in stages) < 45.0
    # Sleep and disk are measured alone.
    assert [[c.name for c in checks] for checks, _ in stages[1:]] == [["sleep"], ["disk"]]
    checks = {c.name: c for stage, _ in stages for c in stage}
    assert len(checks) == sum(len(stage) for stage, _ in stages)
    with_stream = plan(DoctorSettings(arrays=(ArraySettings(stream="M1"),)), tmp_path)
    assert {c.name for stage, _ in with_stream for c in stage} - set(checks) == {"stream"}
    # The two discoveries have configurations of their own.
    texts = [Path(checks[name].environment["LSLAPICFG"]).read_text() for name in ("loopback", "multicast")]
    sessions = [line for text in texts for line in text.splitlines() if line.startswith("SessionID")]
    assert len(set(sessions)) == 2
    assert "KnownPeers" not in texts[1]


def test_a_configuration_that_cannot_be_read_ends_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "lab.cfg"
    config.write_text("[lab]\n")
    monkeypatch.setenv("LSLAPICFG", str(config))

    def refuse(*_: object, **__: object) -> str:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_text", refuse)
    assert plan(DoctorSettings(), tmp_path)


def test_a_malformed_endpoint_is_refused_with_its_flag() -> None:
    with pytest.raises(RtdecodeError, match="--control"):
        DoctorSettings(control="5557")


def test_no_temporary_folder_is_one_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tempfile.TemporaryDirectory", refuse)
    with pytest.raises(RtdecodeError, match="TMPDIR"):
        run_doctor(DoctorSettings(), lambda *_: None)
