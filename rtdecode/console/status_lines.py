"""The status as lines of text, for output that is not a terminal: a line when something changes."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

#: Counters that a line does not list: no faults, or shown by the state.
UNLISTED = frozenset(
    (
        "received",
        "binned",
        "spikes",
        "bins",
        "backlog_bins",
        "backlog_spikes",
        "late_samples",
        "stale",
        "failsafe",
        "clipped",
        "discarded",
        "swaps",
    )
)

#: Number of reports, one a second, between two lines while nothing changes.
SUMMARY_EVERY = 10


class StatusLines:
    """Prints a line when the state or the warnings change, and a summary every ten reports."""

    def __init__(self, print_line: Callable[[str], None]) -> None:
        self._print_line = print_line
        self._state = ""
        self._warnings: list[str] = []
        self._reports = 0

    def report(self, status: dict[str, Any]) -> None:
        """Report a status map (docs/messages.md), once a second; its parts may be missing or None."""
        self._reports += 1
        state, warnings = status.get("state") or "unknown", status.get("warnings") or []
        # Their numbers change every second, what they are about does not.
        kinds = [re.sub(r"[\d.,]+", "#", warning) for warning in warnings]
        if state == self._state and kinds == self._warnings and self._reports % SUMMARY_EVERY:
            return
        self._state, self._warnings = state, kinds
        stream = (status.get("stream") or {}).get("name") or "?"
        waiting = f"waiting for stream {stream}" if state == "waiting" else ""
        self._print_line(waiting or summary_line(state, status))
        for warning in warnings:
            self._print_line(f"  warning: {warning}")


def summary_line(state: str, status: dict[str, Any]) -> str:
    """State, last bin, rate, latency and all faults so far, on one line."""
    line = f"{state:<12} bin {status.get('bin')}"
    rates = status.get("rates") or {}
    line += f"  {rates.get('events_hz') or 0:.0f} samples/s"
    latency = (status.get("latency_ms") or {}).get("publish") or {}
    if latency.get("p50") is not None:
        line += f"  published {latency['p50']:.2f} ms"
        line += f" (p99 {latency['p99']:.2f}) after bin end" if latency.get("p99") is not None else ""
    counters = status.get("counters") or {}
    faults = (f"  {name} {n}" for name, n in counters.items() if n and name not in UNLISTED)
    return line + "".join(faults) + (f"  {status['reason']}" if status.get("reason") else "")
