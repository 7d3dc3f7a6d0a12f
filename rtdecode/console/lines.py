"""What `serve` says where the screen cannot be drawn on: a line when something changes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

#: Counters that a line names once they are not zero.
FAULTS = frozenset(
    (
        "lost",
        "duplicates",
        "out_of_order",
        "out_of_range",
        "renumbered",
        "not_a_count",
        "late_carried",
        "late_dropped",
        "future",
        "nonfinite",
        "reconnects",
        "clock_jumps",
        "catch_up",
    )
)

#: Reports, one a second, between two lines while nothing changes.
SUM_UP_EVERY = 10


class StatusLines:
    """Says when the state changes or something is wrong, and sums up every ten reports.

    Args:
        print_line: takes a line for the person at the rig.
    """

    def __init__(self, print_line: Callable[[str], None]) -> None:
        self._print_line = print_line
        self._state = ""
        self._warnings: list[str] = []
        self._reports = 0

    def report(self, status: dict[str, Any]) -> None:
        """Take the status map (rtdecode.serve.status), once a second; its parts may be missing or None."""
        self._reports += 1
        state, warnings = status.get("state") or "unknown", status.get("warnings") or []
        if state == self._state and warnings == self._warnings and self._reports % SUM_UP_EVERY:
            return
        self._state, self._warnings = state, list(warnings)
        self._print_line(waiting_line(status) if state == "waiting" else summary_line(state, status))
        for warning in warnings:
            self._print_line(f"  warning: {warning}")


def waiting_line(status: dict[str, Any]) -> str:
    """What the daemon waits for."""
    return f"waiting for stream {(status.get('stream') or {}).get('name') or '?'}"


def summary_line(state: str, status: dict[str, Any]) -> str:
    """State, last bin, rate, latency and every fault so far, on one line."""
    line = f"{state:<12} bin {status.get('bin')}"
    rates = status.get("rates") or {}
    line += f"  {rates.get('events_hz') or 0:.0f} samples/s"
    latency = (status.get("latency_ms") or {}).get("publish") or {}
    if latency.get("p50") is not None:
        line += f"  published {latency['p50']:.2f} ms"
        line += f" (p99 {latency['p99']:.2f}) after bin end" if latency.get("p99") is not None else ""
    counters = status.get("counters") or {}
    return line + "".join(f"  {name} {count}" for name, count in counters.items() if name in FAULTS and count)
