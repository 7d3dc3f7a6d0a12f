"""Status lines: changes are printed at once, the rest every ten seconds, and nothing twice."""

from __future__ import annotations

from typing import Any

import pytest

from rtdecode.console.status_lines import SUMMARY_EVERY, StatusLines

RUNNING: dict[str, Any] = {
    "state": "running",
    "bin": 1500,
    "rates": {"events_hz": 1432.4, "bins_hz": 50.0},
    "counters": {"received": 43000, "lost": 0, "late_carried": 7, "bins": 1500, "stale": 3},
    "latency_ms": {"publish": {"p50": 1.234, "p90": 1.5, "p99": 2.345, "p999": 3.0, "max": 4.0}},
    "stream": {"name": "M1"},
    "warnings": [],
}


@pytest.fixture
def printed() -> list[str]:
    return []


@pytest.fixture
def lines(printed: list[str]) -> StatusLines:
    return StatusLines(printed.append)


SUMMARY = "running      bin 1500  1432 samples/s"
LATENCY = "  published 1.23 ms (p99 2.35) after bin end"


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({}, SUMMARY + LATENCY + "  late_carried 7"),
        (
            {"counters": {"bins": 3, "discarded": 4, "swaps": 5, "of_later": 6}},
            SUMMARY + LATENCY + "  of_later 6",
        ),
        ({"latency_ms": {"publish": dict.fromkeys(("p50", "p99"))}, "counters": {}}, SUMMARY),
        ({"state": "waiting"}, "waiting for stream M1"),
        (
            {"reason": "connected to rig-a on lab"},
            SUMMARY + LATENCY + "  late_carried 7  connected to rig-a on lab",
        ),
    ],
)
def test_the_summary_is_one_line(
    lines: StatusLines, printed: list[str], changes: dict[str, Any], line: str
) -> None:
    lines.report(RUNNING | changes)
    assert printed == [line]


def test_without_a_change_every_tenth_report_is_printed(lines: StatusLines, printed: list[str]) -> None:
    n_lines = []
    for _ in range(3 * SUMMARY_EVERY):
        printed.clear()
        lines.report(RUNNING)
        n_lines.append(len(printed))
    assert [i + 1 for i, n in enumerate(n_lines) if n] == [1, 10, 20, 30]


def test_a_change_of_state_is_printed_at_once(lines: StatusLines, printed: list[str]) -> None:
    for state in ("running", "running", "stale", "failsafe", "running"):
        lines.report(RUNNING | {"state": state})
    assert [line.split()[0] for line in printed] == ["running", "stale", "failsafe", "running"]


def test_a_new_or_ended_warning_is_printed(lines: StatusLines, printed: list[str]) -> None:
    # The same list is modified, as its owner may.
    listed: list[str] = []
    for warnings in ([], ["late events"], ["late events"], ["late events", "NOT RECORDING: full"], []):
        listed[:] = warnings
        lines.report(RUNNING | {"warnings": listed})
    assert [line for line in printed if line.startswith("  ")] == [
        "  warning: late events",
        "  warning: late events",
        "  warning: NOT RECORDING: full",
    ]
    assert len(printed) == 4 + 3


@pytest.mark.parametrize("key", sorted(RUNNING))
@pytest.mark.parametrize("state", ["running", "waiting"])
def test_a_part_of_the_map_may_be_missing(
    lines: StatusLines, printed: list[str], state: str, key: str
) -> None:
    status = RUNNING | {"state": state}
    del status[key]
    lines.report(status)
    lines.report(status | {key: None, "warnings": ["w"]})
    assert printed[-1] == "  warning: w"
