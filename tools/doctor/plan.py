"""`rtdecode doctor`: will this machine decode in time, and if not, what has to be changed?

Every measurement runs in a child process with a time limit, so that one that hangs or crashes is a finding
and no more. Those that mostly wait run side by side; sleep precision and disk speed are measured
one after the other on a machine that is left alone.
"""

from __future__ import annotations

import os
import sys
import tempfile
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rtdecode.errors import RtdecodeError
from rtdecode.ingest.lsl_config import find_config
from rtdecode.serve.settings import DEFAULT_BIND, DEFAULT_CONTROL, check_endpoint
from rtdecode.tools.doctor.check import Check, Figures, Finding, Verdict, worst
from rtdecode.tools.doctor.checks.cpu import judge_cpu
from rtdecode.tools.doctor.checks.discovery import confined, judge_loopback, judge_multicast, multicast_config
from rtdecode.tools.doctor.checks.disk import judge_disk, judge_models
from rtdecode.tools.doctor.checks.kernels import judge_kernels
from rtdecode.tools.doctor.checks.lsl import (
    judge_liblsl,
    judge_lsl_config,
    judge_lsl_ports,
    lsl_settings,
    port_range,
)
from rtdecode.tools.doctor.checks.ports import judge_ports
from rtdecode.tools.doctor.checks.python import judge_libraries, judge_python
from rtdecode.tools.doctor.checks.stream import judge_stream
from rtdecode.tools.doctor.checks.timing import judge_clock, judge_sleep
from rtdecode.tools.doctor.children import Outcome, run_probes
from rtdecode.tools.loopback import private_lsl_config

#: Time limits of the three stages. The first is long: after an installation the libraries come from a cold
#: disk, and a machine must not be called broken for that.
TOGETHER_S, SLEEP_S, DISK_S = 30.0, 6.0, 6.0

LIBRARY_FIX = "see `liblsl` above; if that is ok, run `rtdecode doctor` again"


@dataclass(frozen=True, kw_only=True)
class DoctorSettings:
    """What is looked at besides the machine itself.

    Attributes:
        bind, control: endpoints of `serve`.
        folder: where a recording would go.
        stream: name of a spike stream, None for none.

    Raises:
        RtdecodeError: an endpoint is none.
    """

    bind: str = DEFAULT_BIND
    control: str = DEFAULT_CONTROL
    folder: Path = Path()
    stream: str | None = None

    def __post_init__(self) -> None:
        for flag, endpoint in (("--bind", self.bind), ("--control", self.control)):
            check_endpoint(flag, endpoint, insecure=True)


@dataclass(frozen=True)
class Checked:
    """One line of the list: a check's name, its finding and the figures behind it."""

    name: str
    finding: Finding
    figures: Figures


@dataclass(frozen=True)
class Report:
    """All checks in the order they are told."""

    checks: tuple[Checked, ...]

    @property
    def verdict(self) -> Verdict:
        """The worst of them."""
        return worst([checked.finding.verdict for checked in self.checks])

    def named(self, verdict: Verdict) -> list[str]:
        """The checks with this verdict."""
        return [checked.name for checked in self.checks if checked.finding.verdict is verdict]

    def document(self) -> dict[str, Any]:
        """What `--json` prints."""
        checks = [
            {
                "name": checked.name,
                "verdict": str(checked.finding.verdict),
                "found": checked.finding.found,
                "fix": checked.finding.fix,
                "figures": checked.figures,
            }
            for checked in self.checks
        ]
        return {"checks": checks, "verdict": str(self.verdict)}


def run_doctor(settings: DoctorSettings, progress: Callable[[str, float], None]) -> Report:
    """Measure and judge everything: some 5 s, and never more than 45.

    Args:
        settings: checked.
        progress: takes what is being done and how much of all is done.

    Raises:
        RtdecodeError: there is no folder for temporary files.
    """
    with _temporary_folder() as name:
        stages = plan(settings, Path(name))
        total_s, begun_s = sum(limit_s for _, limit_s in stages), 0.0
        checked: list[Checked] = []
        for checks, limit_s in stages:
            progress(_what_of(checks), begun_s / total_s)
            outcomes = run_probes(checks, limit_s)
            checked += [judged(check, outcome) for check, outcome in zip(checks, outcomes, strict=True)]
            begun_s += limit_s
    return Report((*checked, _terminal()))


def _temporary_folder() -> tempfile.TemporaryDirectory[str]:
    try:
        return tempfile.TemporaryDirectory(prefix="rtdecode-doctor-")
    except OSError as error:
        raise RtdecodeError(
            f"no temporary folder can be made ({error.strerror or error})",
            where="doctor",
            fix="make room in /tmp, or set TMPDIR to a folder where you may write",
        ) from error


def plan(settings: DoctorSettings, folder: Path) -> list[tuple[list[Check], float]]:
    """The checks, stage by stage, each with its time limit; LSL configurations are written to `folder`."""
    looked = [
        Check(name="python", measure="python:measure_python", judge=judge_python),
        Check(
            name="libraries",
            measure="python:measure_libraries",
            judge=judge_libraries,
            fix="run `rtdecode doctor` again: the first start after an installation or a boot is slow",
        ),
        Check(
            name="kernels",
            measure="kernels:measure_kernels",
            judge=judge_kernels,
            fix="give NUMBA_CACHE_DIR a folder where you may write; after a boot, run it again",
        ),
        Check(name="models", measure="disk:measure_models", judge=judge_models),
        Check(name="processor", measure="cpu:measure_cpu", judge=judge_cpu),
        Check(
            name="ports",
            measure="ports:measure_ports",
            judge=judge_ports,
            arguments={"bind": settings.bind, "control": settings.control},
        ),
        *_lsl_checks(settings.stream, folder),
    ]
    sleep = Check(name="sleep", measure="timing:measure_sleep", judge=judge_sleep)
    disk = Check(
        name="disk",
        measure="disk:measure_disk",
        judge=judge_disk,
        fix="record to a disk that answers: this one hangs, as an unreachable network drive does",
        arguments={"folder": str(settings.folder)},
    )
    return [(looked, TOGETHER_S), ([sleep], SLEEP_S), ([disk], DISK_S)]


def _lsl_checks(stream: str | None, folder: Path) -> list[Check]:
    config = find_config(os.environ, Path.home(), Path.cwd())
    lab = _lab_settings(config)
    loopback, multicast = folder / "loopback.cfg", folder / "multicast.cfg"
    loopback.write_text(private_lsl_config())
    multicast.write_text(multicast_config(lab, f"rtdecode-{uuid.uuid4().hex[:12]}"))
    multicast_port, base, count = port_range(lab)
    checks = [
        Check(name="liblsl", measure="lsl:measure_liblsl", judge=judge_liblsl),
        Check(name="clock", measure="timing:measure_clock", judge=judge_clock, fix=LIBRARY_FIX),
        Check(
            name="lsl config",
            measure="lsl:measure_lsl_config",
            judge=judge_lsl_config,
            fix=f"check that {config} can be read, and see `liblsl` above",
            arguments={"path": str(config) if config else None},
        ),
        Check(
            name="lsl ports",
            measure="lsl:measure_lsl_ports",
            judge=judge_lsl_ports,
            arguments={"multicast": multicast_port, "base": base, "count": count},
        ),
        Check(
            name="loopback",
            measure="discovery:measure_discovery",
            judge=judge_loopback,
            fix=LIBRARY_FIX,
            environment={"LSLAPICFG": str(loopback)},
        ),
        Check(
            name="multicast",
            measure="discovery:measure_discovery",
            judge=judge_multicast,
            fix=LIBRARY_FIX,
            arguments={"skip": confined(lab)},
            environment={"LSLAPICFG": str(multicast)},
        ),
    ]
    if stream is not None:
        checks.append(
            Check(
                name="stream",
                measure="stream:measure_stream",
                judge=judge_stream,
                fix=LIBRARY_FIX,
                arguments={"name": stream},
            )
        )
    return checks


def _lab_settings(config: Path | None) -> dict[str, str]:
    """What the lab's lsl_api.cfg says; nothing if it cannot be read, which its own check reports."""
    if config is None:
        return {}
    try:
        return lsl_settings(config.read_text(encoding="utf-8", errors="replace"))
    except OSError:
        return {}


def judged(check: Check, outcome: Outcome) -> Checked:
    """The finding of a check; a measurement that broke down is one too."""
    if outcome.figures is None:
        broken = Finding(Verdict.FAIL, f"could not be measured: {outcome.reason[:120]}", check.fix)
        return Checked(check.name, broken, {})
    return Checked(check.name, check.judge(outcome.figures), outcome.figures)


def _what_of(checks: Sequence[Check]) -> str:
    if len(checks) == 1:
        return f"measuring {checks[0].name}, please leave the machine alone"
    return f"looking at {checks[0].name} … {checks[-1].name}"


def _terminal() -> Checked:
    is_terminal = sys.stdout.isatty()
    found = "stdout is a terminal" if is_terminal else "stdout is no terminal: plain lines"
    return Checked("terminal", Finding(Verdict.OK, found), {"is_terminal": is_terminal})
