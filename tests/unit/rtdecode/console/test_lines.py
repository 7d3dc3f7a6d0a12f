"""Plain lines: what changes is said at once, the rest every ten seconds, and nothing twice."""

from __future__ import annotations

from typing import Any

import pytest

from rtdecode.console.lines import SUM_UP_EVERY, StatusLines

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
def said() -> list[str]:
    return []


@pytest.fixture
def lines(said: list[str]) -> StatusLines:
    return StatusLines(said.append)


def test_waiting_names_the_stream(lines: StatusLines, said: list[str]) -> None:
    lines.report({"state": "waiting", "stream": {"name": "M1", "attached": False}, "warnings": []})
    assert said == ["waiting for stream M1"]


def test_sums_up_what_matters_on_one_line(lines: StatusLines, said: list[str]) -> None:
    lines.report(RUNNING)
    assert said == [
        "running      bin 1500  1432 samples/s  published 1.23 ms (p99 2.35) after bin end  late_carried 7"
    ]


def test_no_latency_before_the_first_bin(lines: StatusLines, said: list[str]) -> None:
    nothing = dict.fromkeys(("p50", "p90", "p99", "p999", "max"))
    lines.report(RUNNING | {"latency_ms": {"publish": nothing}, "counters": {}})
    assert said == ["running      bin 1500  1432 samples/s"]


def test_says_nothing_while_nothing_changes_but_every_tenth_time(lines: StatusLines, said: list[str]) -> None:
    heard = []
    for _ in range(3 * SUM_UP_EVERY):
        said.clear()
        lines.report(RUNNING)
        heard.append(len(said))
    assert [i + 1 for i, n in enumerate(heard) if n] == [1, 10, 20, 30]


def test_says_a_change_of_state_at_once(lines: StatusLines, said: list[str]) -> None:
    for state in ("running", "running", "stale", "failsafe", "running"):
        lines.report(RUNNING | {"state": state})
    assert [line.split()[0] for line in said] == ["running", "stale", "failsafe", "running"]


def test_says_a_warning_when_it_comes_and_when_it_goes(lines: StatusLines, said: list[str]) -> None:
    for warnings in ([], ["late events"], ["late events"], ["late events", "NOT RECORDING: full"], []):
        lines.report(RUNNING | {"warnings": warnings})
    assert [line for line in said if line.startswith("  ")] == [
        "  warning: late events",
        "  warning: late events",
        "  warning: NOT RECORDING: full",
    ]
    assert len(said) == 4 + 3


def test_a_list_of_warnings_that_is_used_again_counts_as_changed(lines: StatusLines, said: list[str]) -> None:
    warnings: list[str] = []
    lines.report(RUNNING | {"warnings": warnings})
    warnings.append("late events")
    lines.report(RUNNING | {"warnings": warnings})
    assert said[-1] == "  warning: late events"


@pytest.mark.parametrize("key", sorted(RUNNING))
@pytest.mark.parametrize("state", ["running", "waiting"])
def test_takes_a_map_with_a_part_missing(lines: StatusLines, said: list[str], state: str, key: str) -> None:
    status = RUNNING | {"state": state}
    del status[key]
    lines.report(status)
    lines.report(status | {key: None, "warnings": ["w"]})
    assert said[-1] == "  warning: w"
