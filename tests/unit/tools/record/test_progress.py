"""What a recording prints: warnings when they arise, and every sample's fate at the end."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest

from rtdecode.serve.recording.beside import Beside
from rtdecode.tools.record import progress
from rtdecode.tools.record.progress import Progress
from rtdecode.tools.record.tally import Fates


class Recording:
    """A tally of the test's own."""

    def __init__(self) -> None:
        self.reported: list[str] = []
        self.spikes = Fates(
            1000, 960, {"stamped ahead of now": 30, "repeated": 0, "of a channel out of range": 10}
        )
        self.behavior: Fates | None = Fates(500, 500, {})

        self.beside = Beside()

    def fates(self) -> dict[str, Fates]:
        markers = Fates(12, 11, {"stamped long ago": 1})
        beside = {"behaviour": self.behavior, "markers": markers} if self.behavior else {}
        return {"spikes": self.spikes, "features": Fates(50, 49, {"out of order": 1}), **beside}

    def trials(self) -> str:
        return "5 trials, 4 successful, 5 with a target"

    def units(self) -> dict[int, int]:
        return {0: 900, 255: 60}

    def warnings(self) -> list[str]:
        return self.reported

    def lost(self) -> int:
        return 3


@pytest.fixture
def tally() -> Any:
    return cast(Any, Recording())


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "SHOW_EVERY_S", 0.0)


def test_the_end_says_what_was_received_written_and_left_out(tally: Any) -> None:
    lines: list[str] = []
    Progress(lines.append, None).finish(tally, Path("today.h5"))
    assert lines == [
        "spikes: 1,000 received, 960 written; left out: 30 stamped ahead of now, "
        "10 of a channel out of range",
        "features: 50 received, 49 written; left out: 1 out of order",
        "behaviour: 500 received, 500 written",
        "markers: 12 received, 11 written; left out: 1 stamped long ago",
        "trials: 5 trials, 4 successful, 5 with a target",
        "units: 0: 900, 255: 60",
        "recorded 1009 samples (3 lost) to today.h5",
    ]
    assert tally.spikes.waiting == 0


def test_a_warning_is_printed_when_it_arises_and_not_for_its_numbers(tally: Any) -> None:
    lines: list[str] = []
    shown = Progress(lines.append, None)
    for warnings in ([], ["5 of 90 (5.6 %) lost"], ["6 of 99 (6.1 %) lost"], [], ["7 of 99 (7.1 %) lost"]):
        tally.reported = warnings
        shown.update(tally)
    assert lines == ["warning: 5 of 90 (5.6 %) lost", "warning: 7 of 99 (7.1 %) lost"]


def test_a_terminal_shows_the_recording_in_one_place(tally: Any) -> None:
    lines: list[str] = []
    places: list[str] = []
    shown = Progress(lines.append, places.append)
    tally.reported = ["3 lost"]
    shown.update(tally)
    assert places[0].startswith("0:00  spikes 1,000 (")
    assert "  features 50 (" in places[0]
    assert "behaviour 500 (" in places[0]
    assert places[0].endswith("markers 12  warnings 1")
    tally.behavior = None
    shown.update(tally)
    assert "behaviour" not in places[1]


def test_a_recording_without_a_file_names_none(tally: Any) -> None:
    lines: list[str] = []
    Progress(lines.append, None).finish(tally, None)
    assert lines[-1].startswith("nothing was recorded: ")
