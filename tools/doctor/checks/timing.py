"""Doctor: the LSL clock, and how late this machine wakes a sleeping program."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

from rtdecode.tools.doctor.check import Figures, Finding, Problems, quantiles_ms

CLOCK_READS = 20_000
CLOCK_SPAN_S = 0.5
BRACKETS = 200

#: Bin edges must be accurate to a small fraction of the shortest grace, 0.3 ms.
COARSE_CLOCK_US = 100.0
USELESS_CLOCK_US = 1000.0

#: In an hour, 200 ppm add up to 0.7 s between the LSL clock and the clock of sleeps.
DRIFT_PPM = 200.0
BROKEN_DRIFT_PPM = 10_000.0

#: Duration and number, about two seconds in total: short sleeps as within a bin, long ones as between bins.
SLEEPS = ((0.001, 700), (0.02, 55))

#: The 99th percentile of the latency may exceed the lower bound by 1 ms, and sleeps may use all of it.
LATE_WAKE_P99_MS = 1.0

#: Half a bin of 20 ms: one cursor in a hundred would be that late, which no calibration compensates.
TOO_LATE_WAKE_P99_MS = 10.0
TOO_LATE_WAKE_P50_MS = 5.0

#: A whole bin, after which the daemon has to catch up.
STALL_MS = 20.0

QUIET = "end other programs and updates, set the power plan to performance"


def measure_clock() -> Figures:
    """Resolution, steps backwards, cost and rate of pylsl.local_clock."""
    import pylsl

    clock: Callable[[], float] = pylsl.local_clock
    begin = _bracketed(clock)
    started = time.perf_counter()
    reads = [clock() for _ in range(CLOCK_READS)]
    cost_s = (time.perf_counter() - started) / CLOCK_READS
    steps = [b - a for a, b in pairwise(reads)]
    time.sleep(CLOCK_SPAN_S)
    end = _bracketed(clock)
    rate = (end[1] - begin[1]) / (end[0] - begin[0])
    return {
        "resolution_us": round(min((step for step in steps if step > 0), default=float("inf")) * 1e6, 3),
        "backward_steps": sum(step < 0 for step in steps),
        "read_us": round(cost_s * 1e6, 3),
        "rate_ppm": round((rate - 1.0) * 1e6, 2),
        "source": _text("/sys/devices/system/clocksource/clocksource0/current_clocksource"),
    }


def _bracketed(clock: Callable[[], float]) -> tuple[float, float]:
    """time.monotonic and `clock` at the same moment: the tightest of many brackets."""
    brackets = [(time.monotonic(), clock(), time.monotonic()) for _ in range(BRACKETS)]
    before, reading, after = min(brackets, key=lambda bracket: bracket[2] - bracket[0])
    return (before + after) / 2, reading


def _text(path: str) -> str | None:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return None


def judge_clock(figures: Figures) -> Finding:
    """Fail if the clock steps back, is coarser than 1 ms or drifts against the clock of sleeps."""
    resolution, drift, source = figures["resolution_us"], abs(figures["rate_ppm"]), figures["source"]
    found = f"resolution {resolution:.2g} µs, {figures['read_us']:.2g} µs per reading, "
    found += f"{figures['rate_ppm']:+.1f} ppm against time.monotonic"
    found += f", source {source}" if source else ""
    steps = figures["backward_steps"]
    better = "set the kernel to a better clock source (tsc, kvm-clock or hpet), or use another machine"
    problems = Problems()
    if steps:
        found += f", {steps} steps backwards in {CLOCK_READS} readings"
        problems.add(f"the clock runs backwards: {better}", fail=True)
    if resolution > COARSE_CLOCK_US:
        problems.add(f"the clock is coarse: {better}", fail=resolution > USELESS_CLOCK_US)
    if drift > DRIFT_PPM:
        fix = f"the LSL clock and the system clock drift apart: {better}"
        problems.add(fix, fail=drift > BROKEN_DRIFT_PPM)
    return problems.finding(found)


def measure_sleep() -> Figures:
    """How late sleeps of 1 ms and of 20 ms end."""
    gc.disable()
    late_ms = {}
    for duration_s, count in SLEEPS:
        late_s = []
        for _ in range(count):
            started = time.perf_counter()
            time.sleep(duration_s)
            late_s.append(time.perf_counter() - started - duration_s)
        late_ms[f"{duration_s * 1e3:g}_ms"] = quantiles_ms(late_s)
    slack = _text("/proc/self/timerslack_ns")
    return {"late_ms": late_ms, "timer_slack_us": int(slack) / 1e3 if slack else None}


def judge_sleep(figures: Figures) -> Finding:
    """Compare with a bin of 20 ms: p99 of the many short sleeps, median of the long ones."""
    short, long = figures["late_ms"]["1_ms"], figures["late_ms"]["20_ms"]
    p50, longest = max(short["p50"], long["p50"]), max(short["max"], long["max"])
    found = f"1 ms ends {short['p50']:.2f} ms late (p99 {short['p99']:.2f}, max {short['max']:.2f}), "
    found += f"20 ms {long['p50']:.2f} (max {long['max']:.2f})"
    slack = figures["timer_slack_us"]
    found += f", timer slack {slack:g} µs" if slack is not None else ""
    problems = Problems()
    if short["p99"] > TOO_LATE_WAKE_P99_MS or p50 > TOO_LATE_WAKE_P50_MS:
        problems.add(f"cursors will be half a bin late: {QUIET}, or use another machine", fail=True)
        return problems.finding(found)
    if max(short["p99"], p50) > LATE_WAKE_P99_MS:
        problems.add(f"some cursors will be more than {LATE_WAKE_P99_MS:g} ms late: {QUIET}")
    if longest > STALL_MS:
        problems.add(f"the machine sometimes stalls for a whole bin: {QUIET}")
    return problems.finding(found)
