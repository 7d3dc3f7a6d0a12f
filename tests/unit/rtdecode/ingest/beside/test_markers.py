"""Markers as tasks send them: which are kept, at which times."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtdecode.ingest.beside.markers import MarkerSamples
from rtdecode.ingest.signals.layouts import StreamDescription

START_S = 500.0
DELAY_S = 0.004


class Task:
    """Sends a marker every half a second, its number as text, through `MarkerSamples`."""

    def __init__(self) -> None:
        self.samples = MarkerSamples(StreamDescription("task", "Markers", 1, 0.0, "string"), START_S)
        self.kept: dict[str, float] = {}
        self.sent = 0

    def send(self, *errors_s: float) -> None:
        for error_s in errors_s:
            self.sent += 1
            true_s = START_S + 0.5 * self.sent
            time = np.array([true_s + error_s + self.samples.judge.offset_s])
            values = np.array([[str(self.sent).encode()]], np.object_)
            self.take(self.samples.pulled(time, values, 1, true_s + DELAY_S, emptied=True, attentive=True))

    def finish(self) -> None:
        self.take(self.samples.finish())

    def take(self, markers: object) -> None:
        if markers is not None:
            self.kept |= dict(zip(markers.text, markers.time.tolist(), strict=True))
        fates = self.samples.fates
        assert fates.received == self.sent == sum(fates[1:])
        assert fates.kept == len(self.kept)

    def errors_s(self) -> list[float]:
        return [at - START_S - 0.5 * int(text) for text, at in self.kept.items()]


@pytest.mark.parametrize("offset_s", [0.0, 1.79e9, -400.0, 2.5])
def test_no_marker_is_lost_to_another_clock(offset_s: float) -> None:
    task = Task()
    task.send(*[offset_s] * 12)
    assert sorted(map(int, task.kept)) == list(range(1, 13))
    assert np.abs(task.errors_s()).max() < DELAY_S + 1e-3


@pytest.mark.parametrize(("wild_s", "reason"), [(np.nan, "NaN"), (3600.0, "ahead"), (-3600.0, "long ago")])
def test_a_wild_stamp_costs_its_own_marker(wild_s: float, reason: str) -> None:
    task = Task()
    task.send(0.0, 0.0, wild_s, 0.0, 0.0)
    assert task.samples.fates.waiting == 1
    task.finish()
    assert "3" not in task.kept
    assert [n for why, n in task.samples.fates.left_out.items() if reason in why] == [1]


def test_what_waits_is_decided_on_after_a_while() -> None:
    task = Task()
    task.send(0.0, 3600.0, *[0.0] * 130)
    assert (task.samples.fates.ahead, task.samples.fates.waiting) == (1, 0)


def test_texts_of_any_bytes_and_integers_are_kept() -> None:
    task = Task()
    values = np.array([[b"caf\xc3\xa9"], [b"\xff"], [7]], np.object_)
    kept = task.samples.pulled(np.full(3, START_S + 1), values, 3, START_S + 1, emptied=True, attentive=True)
    assert kept is not None
    assert kept.text == ("café", "\N{REPLACEMENT CHARACTER}", "7")


@settings(deadline=None, max_examples=200)
@given(st.lists(st.sampled_from([0.0, 0.0, 0.0, -0.3, 0.02, -5.0, 1e9, np.nan, np.inf]), max_size=60))
def test_whatever_the_stamps_are_each_marker_has_one_fate(errors_s: list[float]) -> None:
    task = Task()
    task.send(*errors_s)
    task.finish()
    assert task.samples.fates.waiting == 0
