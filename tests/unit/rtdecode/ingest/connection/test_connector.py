"""The search for a stream: what cannot be taken is said, and the right one is taken when it comes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial
from typing import Any

import pylsl
import pytest
from announced import announced

from rtdecode.errors import RtdecodeError
from rtdecode.ingest.connection.choice import spike_stream
from rtdecode.ingest.connection.connector import LslConnector
from rtdecode.ingest.connection.streams import describe
from rtdecode.ingest.signals.layouts import Layout

MODEL_CHANNELS = 16


class FakeInlet:
    """An inlet of an outlet that is at most opened."""

    opened: list[str] = []  # noqa: RUF012

    def __init__(self, info: Any, *, correction_s: float | None) -> None:
        self.stream, self.correction_s = describe(info), 0.0
        self.opened.append(self.stream.source_id)

    def measure_correction(self) -> float:
        return 0.0


def accept(inlet: Any, layout: Layout) -> Layout:
    """As for a model of other channels than those of the source `old`."""
    if inlet.stream.source_id == "old":
        raise RtdecodeError("has 17 channels", where=f"stream {inlet.stream}", fix="serve another model")
    return layout


@pytest.fixture
def search(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[LslConnector[Layout], list[Any]]]:
    """A connector, and what answers on its network."""
    there: list[Any] = []
    monkeypatch.setattr("rtdecode.ingest.connection.connector.StreamFinder.found", lambda _: list(there))
    monkeypatch.setattr("rtdecode.ingest.connection.connector.LslInlet", FakeInlet)
    FakeInlet.opened.clear()
    connector = LslConnector("M1", partial(spike_stream, override=None), accept)
    connector.start()
    yield connector, there
    connector.stop()


@pytest.mark.parametrize(
    ("unusable", "said"),
    [
        (announced("old"), "source old on lab: has 17 channels. Fix: serve another model"),
        (
            announced("amp", columns=96, rate=2000.0, dtype=pylsl.cf_float32),
            "source amp on lab: no spike layout",
        ),
        (announced("notes", columns=1, of="Markers", dtype=pylsl.cf_string), "1 x string"),
    ],
)
def test_a_stream_that_cannot_be_taken_is_said_and_the_right_one_is_taken(
    search: tuple[LslConnector[Layout], list[Any]], unusable: Any, said: str
) -> None:
    connector, there = search
    there.append(unusable)
    deadline = time.monotonic() + 5.0
    while said not in connector.refusal:
        assert time.monotonic() < deadline, connector.refusal
        time.sleep(0.01)
    there.append(announced("right", unique="new"))
    assert connector.ready.wait(5.0)
    taken = connector.take()
    assert taken is not None
    assert taken[0].stream.source_id == "right"
    assert connector.failure is None
    assert connector.problems() == []
    # What was refused is not opened again.
    assert FakeInlet.opened.count("old") == (unusable.source_id() == "old")
