"""Doctor: the LSL clock, and how punctually this machine wakes a program that sleeps."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

from rtdecode.tools.doctor.check import Figures, Finding, Verdict, conclude, quantiles_ms

CLOCK_READS = 20_000
CLOCK_SPAN_S = 0.5
BRACKETS = 200

#: A bin's edge must be known to a small part of the shortest grace, 0.3 ms (DESIGN §3).
COARSE_CLOCK_US = 100.0
USELESS_CLOCK_US = 1000.0

#: Over an hour, 200 ppm are 0.7 s between the LSL clock and the one that sleeps are timed by.
DRIFT_PPM = 200.0
BROKEN_DRIFT_PPM = 10_000.0

#: About two seconds in all: short sleeps as in a bin, long ones as between two.
SLEEPS = ((0.001, 700), (0.02, 55))

#: DESIGN §13 leaves the 99th percentile of the latency 1 ms above what is possible: a sleep may use that up.
LATE_WAKE_P99_MS = 1.0

#: Half a bin of 20 ms: every hundredth cursor would be that late, and no calibration makes up for it.
TOO_LATE_WAKE_P99_MS = 10.0
TOO_LATE_WAKE_P50_MS = 5.0

#: A whole bin: the daemon has to catch up.
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
    """time.monotonic and `clock` at the same moment: the tightest of many tries."""
    tries = [(time.monotonic(), clock(), time.monotonic()) for _ in range(BRACKETS)]
    before, reading, after = min(tries, key=lambda bracket: bracket[2] - bracket[0])
    return (before + after) / 2, reading


def _text(path: str) -> str | None:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return None


def judge_clock(figures: Figures) -> Finding:
    """Fails if the clock steps back, is coarser than 1 ms or does not run at the rate sleeps are timed by."""
    resolution, drift, source = figures["resolution_us"], abs(figures["rate_ppm"]), figures["source"]
    found = f"resolution {resolution:.2g} µs, {figures['read_us']:.2g} µs a reading, "
    found += f"{figures['rate_ppm']:+.1f} ppm against time.monotonic"
    found += f", source {source}" if source else ""
    steps = figures["backward_steps"]
    found += f", {steps} steps backwards in {CLOCK_READS} readings" if steps else ""
    better = "let the kernel use a better clock source (tsc, kvm-clock or hpet), or use another machine"
    return conclude(
        found,
        (Verdict.FAIL, f"the clock runs backwards: {better}") if steps else None,
        (Verdict.FAIL if resolution > USELESS_CLOCK_US else Verdict.WARN, f"the clock is coarse: {better}")
        if resolution > COARSE_CLOCK_US
        else None,
        (
            Verdict.FAIL if drift > BROKEN_DRIFT_PPM else Verdict.WARN,
            f"the LSL clock and the system's run apart: {better}",
        )
        if drift > DRIFT_PPM
        else None,
    )


def measure_sleep() -> Figures:
    """By how much sleeps of 1 ms and of 20 ms end late."""
    gc.disable()
    over_ms = {}
    for wanted_s, count in SLEEPS:
        late = []
        for _ in range(count):
            started = time.perf_counter()
            time.sleep(wanted_s)
            late.append(time.perf_counter() - started - wanted_s)
        over_ms[f"{wanted_s * 1e3:g}_ms"] = quantiles_ms(late)
    slack = _text("/proc/self/timerslack_ns")
    return {"late_ms": over_ms, "timer_slack_us": int(slack) / 1e3 if slack else None}


def judge_sleep(figures: Figures) -> Finding:
    """Against the bin of 20 ms: the 99th percentile of the many short sleeps, the median of the long ones."""
    short, long = figures["late_ms"]["1_ms"], figures["late_ms"]["20_ms"]
    p50, longest = max(short["p50"], long["p50"]), max(short["max"], long["max"])
    found = f"1 ms ends {short['p50']:.2f} ms late (p99 {short['p99']:.2f}, max {short['max']:.2f}), "
    found += f"20 ms {long['p50']:.2f} (max {long['max']:.2f})"
    slack = figures["timer_slack_us"]
    found += f", timer slack {slack:g} µs" if slack is not None else ""
    if short["p99"] > TOO_LATE_WAKE_P99_MS or p50 > TOO_LATE_WAKE_P50_MS:
        return Finding(
            Verdict.FAIL, found, f"bins will come half a bin late: {QUIET}, or use another machine"
        )
    return conclude(
        found,
        (Verdict.WARN, f"now and then a bin will come more than {LATE_WAKE_P99_MS:g} ms late: {QUIET}")
        if max(short["p99"], p50) > LATE_WAKE_P99_MS
        else None,
        (Verdict.WARN, f"now and then the machine stands still for a whole bin: {QUIET}")
        if longest > STALL_MS
        else None,
    )
