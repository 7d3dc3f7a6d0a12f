"""`rtdecode doctor`: can this machine decode in time, and if not, what has to be changed?

Every measurement runs in a child process with a time limit, so that one that hangs or crashes fails only its
own check. Measurements that mostly wait run in parallel; sleep precision and disk speed run alone.
"""

from __future__ import annotations

import os
import sys
import tempfile
import uuid
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rtdecode.endpoints import check_bind
from rtdecode.errors import RtdecodeError
from rtdecode.ingest.connection.lsl_config import find_config
from rtdecode.messages import CONTROL_ENDPOINT, CURSOR_ENDPOINT
from rtdecode.serve.array_settings import ArraySettings
from rtdecode.tools.doctor.check import SEVERITY, Check, Figures, Finding, Verdict
from rtdecode.tools.doctor.checks import cpu, discovery, disk, kernels, lsl, ports, python, stream, timing
from rtdecode.tools.doctor.children import Outcome, run_probes
from rtdecode.tools.loopback import private_lsl_config

#: Time limits of the three stages. The first is long because after an installation the libraries are read
#: from a cold disk, which must not fail a check.
PARALLEL_S, SLEEP_S, DISK_S = 30.0, 6.0, 6.0

LIBRARY_FIX = "see `liblsl` above; if that is ok, run `rtdecode doctor` again"


@dataclass(frozen=True, kw_only=True)
class DoctorSettings:
    """What is checked besides the machine itself.

    Attributes:
        bind, control: endpoints of `serve`.
        folder: folder of recordings.
        arrays: the streams of spikes to check, of one model, as in `serve`; empty for none.
        features: the stream of features beside them, or None.
        model: as in `serve`; None for the current one of the streams.

    Raises:
        RtdecodeError: an endpoint is malformed.
    """

    bind: str = CURSOR_ENDPOINT
    control: str = CONTROL_ENDPOINT
    folder: Path = Path()
    arrays: tuple[ArraySettings, ...] = ()
    features: ArraySettings | None = None
    model: str | None = None

    def __post_init__(self) -> None:
        for flag, endpoint in (("--bind", self.bind), ("--control", self.control)):
            check_bind(endpoint, flag, insecure=True)


@dataclass(frozen=True)
class Checked:
    """One line of the list: a check's name, its finding and the figures behind it."""

    name: str
    finding: Finding
    figures: Figures


@dataclass(frozen=True)
class Report:
    """All checks in the order of the list."""

    checks: tuple[Checked, ...]

    @property
    def verdict(self) -> Verdict:
        """The most severe verdict."""
        verdicts = [checked.finding.verdict for checked in self.checks]
        return max(verdicts, key=SEVERITY.index)

    def named(self, verdict: Verdict) -> list[str]:
        """The checks with this verdict."""
        return [checked.name for checked in self.checks if checked.finding.verdict is verdict]

    def document(self) -> dict[str, Any]:
        """The document that `--json` prints."""
        checks = [
            {"name": checked.name, **asdict(checked.finding), "figures": checked.figures}
            for checked in self.checks
        ]
        return {"checks": checks, "verdict": str(self.verdict)}


def run_doctor(settings: DoctorSettings, progress: Callable[[str, float], None]) -> Report:
    """Measure and judge everything; takes about 5 s and never more than 45 s.

    Args:
        settings: what to check.
        progress: called with a description of the current stage and the fraction done.

    Raises:
        RtdecodeError: no temporary folder can be created.
    """
    with _temporary_folder() as name:
        stages = plan(settings, Path(name))
        total_s, done_s = sum(limit_s for _, limit_s in stages), 0.0
        checked: list[Checked] = []
        for checks, limit_s in stages:
            progress(_describe(checks), done_s / total_s)
            outcomes = run_probes(checks, limit_s)
            checked += [judged(check, outcome) for check, outcome in zip(checks, outcomes, strict=True)]
            done_s += limit_s
    return Report((*checked, _terminal()))


def _temporary_folder() -> tempfile.TemporaryDirectory[str]:
    try:
        return tempfile.TemporaryDirectory(prefix="rtdecode-doctor-")
    except OSError as error:
        raise RtdecodeError(
            f"no temporary folder can be created ({error.strerror or error})",
            where="doctor",
            fix="free space in /tmp, or set TMPDIR to a writable folder",
        ) from error


def plan(settings: DoctorSettings, folder: Path) -> list[tuple[list[Check], float]]:
    """The checks by stage, each stage with its time limit; LSL configurations are written to `folder`."""
    slow = "run `rtdecode doctor` again: the first start after an installation or a boot is slow"
    cache = "set NUMBA_CACHE_DIR to a writable folder; after a boot, run `rtdecode doctor` again"
    hangs = "record to another disk: this one does not respond, like an unreachable network drive"
    endpoints = {"bind": settings.bind, "control": settings.control}
    parallel = [
        Check("python", python.measure_python, python.judge_python),
        Check("libraries", python.measure_libraries, python.judge_libraries, fix=slow),
        Check("kernels", kernels.measure_kernels, kernels.judge_kernels, fix=cache),
        Check("models", disk.measure_models, disk.judge_models),
        Check("processor", cpu.measure_cpu, cpu.judge_cpu),
        Check("ports", ports.measure_ports, ports.judge_ports, arguments=endpoints),
        *_lsl_checks(settings, folder),
    ]
    sleep = Check("sleep", timing.measure_sleep, timing.judge_sleep)
    target = {"folder": str(settings.folder)}
    writing = Check("disk", disk.measure_disk, disk.judge_disk, fix=hangs, arguments=target)
    return [(parallel, PARALLEL_S), ([sleep], SLEEP_S), ([writing], DISK_S)]


def _lsl_checks(settings: DoctorSettings, folder: Path) -> list[Check]:
    config = find_config(os.environ, Path.home(), Path.cwd())
    lab = _lab_settings(config)
    unreadable = f"make {config} readable, and see `liblsl` above"
    multicast_port, base, count = lsl.port_range(lab)
    port_range = {"multicast": multicast_port, "base": base, "count": count}
    checks = [
        Check("liblsl", lsl.measure_liblsl, lsl.judge_liblsl),
        Check("clock", timing.measure_clock, timing.judge_clock, fix=LIBRARY_FIX),
        Check(
            "lsl config",
            lsl.measure_lsl_config,
            lsl.judge_lsl_config,
            fix=unreadable,
            arguments={"path": str(config) if config else None},
        ),
        Check("lsl ports", lsl.measure_lsl_ports, lsl.judge_lsl_ports, arguments=port_range),
    ]
    multicast = discovery.multicast_config(lab, f"rtdecode-{uuid.uuid4().hex[:12]}")
    for found_by, judge, text, skip in (
        ("loopback", discovery.judge_loopback, private_lsl_config(), False),
        ("multicast", discovery.judge_multicast, multicast, discovery.is_confined(lab)),
    ):
        path = folder / f"{found_by}.cfg"
        path.write_text(text)
        checks.append(
            Check(
                found_by,
                discovery.measure_discovery,
                judge,
                fix=LIBRARY_FIX,
                arguments={"skip": skip},
                environment={"LSLAPICFG": str(path)},
            )
        )
    checks += _stream_checks(settings)
    return checks


def _stream_checks(settings: DoctorSettings) -> list[Check]:
    """One for each stream; of several each is named."""
    beside = [] if settings.features is None else [settings.features]
    streams = {
        "streams": [array.stream for array in settings.arrays],
        "features": None if settings.features is None else settings.features.stream,
        "power": any(array.detection.power is not None for array in settings.arrays),
    }
    several = len(settings.arrays) + len(beside) > 1
    return [
        Check(
            f"{array.flag[2:]} {array.stream}" if several else "stream",
            stream.measure_stream,
            stream.judge_stream,
            fix=LIBRARY_FIX,
            arguments={
                "array": {
                    "name": array.stream,
                    "flag": array.flag,
                    "source_id": array.source_id,
                    "layout": array.layout,
                    "columns": None if array.columns is None else str(array.columns),
                    "channel_map": None if array.channel_map is None else str(array.channel_map.path),
                },
                "model": settings.model,
                **streams,
            },
        )
        for array in [*settings.arrays, *beside]
    ]


def _lab_settings(config: Path | None) -> dict[str, str]:
    """The settings of the lab's lsl_api.cfg; none if it cannot be read, which `lsl config` reports."""
    if config is None:
        return {}
    try:
        return lsl.lsl_settings(config.read_text(encoding="utf-8", errors="replace"))
    except OSError:
        return {}


def judged(check: Check, outcome: Outcome) -> Checked:
    """The finding of a check; it fails if the measurement failed."""
    if outcome.figures is None:
        failed = Finding(Verdict.FAIL, f"could not be measured: {outcome.reason[:120]}", check.fix)
        return Checked(check.name, failed, {})
    return Checked(check.name, check.judge(outcome.figures), outcome.figures)


def _describe(checks: Sequence[Check]) -> str:
    if len(checks) == 1:
        return f"measuring {checks[0].name}, please do not use the machine"
    return f"checking {checks[0].name} … {checks[-1].name}"


def _terminal() -> Checked:
    is_terminal = sys.stdout.isatty()
    found = "stdout is a terminal" if is_terminal else "stdout is not a terminal: plain lines"
    return Checked("terminal", Finding(Verdict.OK, found), {"is_terminal": is_terminal})
