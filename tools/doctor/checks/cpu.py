"""Doctor: processor and memory."""

from __future__ import annotations

import contextlib
import os
import re
from collections import Counter
from pathlib import Path

from rtdecode.tools.doctor.check import Figures, Finding, Problems

#: The daemon needs 250 MB; a recorder, a task and a desktop need some more.
TOO_LITTLE_MB = 300
LITTLE_MB = 1000

#: One core for the hot loop, one for its other threads and the acquisition.
FEW_CORES = 2

#: Governors that raise the clock rate only after the processor was busy for longer than a bin.
SLOW_GOVERNORS = ("powersave", "conservative")

#: With these drivers `powersave` is the normal dynamic mode.
DYNAMIC_DRIVERS = ("intel_pstate", "amd-pstate-epp")

_CPUFREQ = "sys/devices/system/cpu/cpu[0-9]*/cpufreq"


def measure_cpu(root: str = "/") -> Figures:
    """Cores, load, frequency governors, memory, and whether real-time scheduling is allowed.

    `root` is the folder that contains /proc and /sys.
    """
    base = Path(root)
    figures: Figures = {
        "cores": len(os.sched_getaffinity(0)),
        "load": None,
        "governors": dict(Counter(_read_all(base, "scaling_governor"))),
        "drivers": sorted(set(_read_all(base, "scaling_driver"))),
        "available_mb": None,
        "realtime": _realtime_allowed(),
    }
    with contextlib.suppress(OSError):
        figures["load"] = float((base / "proc/loadavg").read_text().split()[0])
        available = re.search(r"^MemAvailable:\s*(\d+) kB", (base / "proc/meminfo").read_text(), re.MULTILINE)
        figures["available_mb"] = int(available[1]) // 1000 if available else None
    return figures


def _read_all(base: Path, name: str) -> list[str]:
    try:
        return [path.read_text().strip() for path in base.glob(f"{_CPUFREQ}/{name}")]
    except OSError:
        return []


def _realtime_allowed() -> bool:
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    except OSError:
        return False
    return True


def judge_cpu(figures: Figures) -> Finding:
    """Fail with too little memory; warn about one core, a busy machine or a slow governor."""
    cores, load, memory = figures["cores"], figures["load"], figures["available_mb"]
    governors, dynamic = figures["governors"], set(figures["drivers"]) & set(DYNAMIC_DRIVERS)
    slow = [name for name in governors if name in SLOW_GOVERNORS and not (name == "powersave" and dynamic)]
    parts = [f"{cores} core{'s' if cores != 1 else ''}"]
    parts += [f"load {load:.2f}"] if load is not None else []
    parts += [f"governor {', '.join(governors)}"] if governors else []
    parts += [f"{memory} MB free"] if memory is not None else []
    parts.append(f"real-time scheduling {'possible' if figures['realtime'] else 'not allowed'}")
    problems = Problems()
    if memory is not None and memory < LITTLE_MB:
        fix = "end programs that use much memory: the daemon alone needs 250 MB"
        problems.add(fix, fail=memory < TOO_LITTLE_MB)
    if cores < FEW_CORES:
        problems.add(f"use a machine with {FEW_CORES} cores: acquisition and decoder wait for each other")
    if load is not None and load >= cores:
        problems.add("end programs that use the processor: every core is busy already")
    if slow:
        problems.add("set the governor: sudo cpupower frequency-set -g performance")
    return problems.finding(", ".join(parts))
