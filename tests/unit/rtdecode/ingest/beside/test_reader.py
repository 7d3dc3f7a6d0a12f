"""The thread beside the spikes: it follows its source through losses and returns, and says what is wrong."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from rtdecode.ingest.beside.markers import MarkerReader
from rtdecode.ingest.connection.inlet import StreamLost
from rtdecode.ingest.signals.layouts import StreamDescription
from rtdecode.session.layout import NO_BIN

STREAM = StreamDescription("task", "Markers", 1, 0.0, "string", source_id="rig-task", hostname="lab")


class FakeInlet:
    """Delivers texts stamped now, or as told, one a pull every so often, then ends."""

    def __init__(self, *texts: bytes, stamps_s: Sequence[float] = (), every_s: float = 0.0) -> None:
        self._every_s = every_s
        self._texts, self._stamps_s = list(texts), list(stamps_s)
        self.stream, self.opened_s, self.correction_s, self.offset_s = STREAM, time.monotonic(), 0.0, 0.0
        self.time, self.samples = np.zeros(1), np.zeros((1, 1), np.object_)

    def pull(self, timeout_s: float) -> int:
        if not self._texts:
            raise StreamLost
        time.sleep(self._every_s)
        self.time[0] = self.offset_s + (self._stamps_s.pop(0) if self._stamps_s else time.monotonic())
        self.samples[0, 0] = self._texts.pop(0)
        return 1


class FakeConnector:
    """Has one inlet ready at a time."""

    def __init__(self, *inlets: FakeInlet) -> None:
        self.name, self._inlets, self.disposed = "task", list(inlets), 0
        self.ready = threading.Event()
        self.start = self.request
        self.problems: Callable[[], list[str]] = list

    def request(self, **_: Any) -> None:
        if self._inlets:
            self.ready.set()

    def take(self) -> tuple[FakeInlet, None] | None:
        if not self.ready.is_set():
            return None
        self.ready.clear()
        return self._inlets.pop(0), None

    def dispose(self, _: FakeInlet) -> None:
        self.disposed += 1

    def withdraw(self) -> None: ...
    def stop(self) -> None: ...


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[MarkerReader, FakeConnector]]:
    """A reader whose stream is each of some inlets, one after the other."""

    def make(*inlets: FakeInlet) -> tuple[MarkerReader, FakeConnector]:
        connector = FakeConnector(*inlets)
        monkeypatch.setattr("rtdecode.ingest.beside.markers.LslConnector", lambda *_: connector)
        return MarkerReader("task", clock=time.monotonic), connector

    return make


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 5.0
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_a_source_that_returns_is_read_on(connect: Any) -> None:
    reader, connector = connect(FakeInlet(b"go", b"hit"), FakeInlet(b"go"))
    assert reader.problems() == ["markers task: it was not found yet; nothing of it is recorded"]
    reader.start()
    until(lambda: connector.disposed == 2)
    assert [text for block in reader.blocks for text in block.text] == ["go", "hit", "go"]
    assert (reader.fates.received, reader.fates.kept) == (3, 3)
    assert reader.problems() == [
        "markers task: its source rig-task on lab is gone; nothing of it is recorded"
    ]
    reader.stop()


def test_each_change_of_the_source_is_said_and_logged_with_its_name(connect: Any) -> None:
    ahead_s = time.monotonic() + 3600.0 + np.arange(30) * 0.02
    reader, connector = connect(FakeInlet(*[b"go"] * 30, stamps_s=ahead_s, every_s=0.02), FakeInlet(b"hit"))
    assert reader.source == "LSL stream task"
    begun_s = time.monotonic()
    reader.start()
    until(lambda: connector.disposed == 2)
    reader.stop()
    assert reader.source == "LSL stream task (source rig-task on lab)"
    told = list(reader.notices)
    assert told[0].startswith(
        "markers task: attached task (type Markers, 1 x string, irregular), source rig-task on"
    )
    assert "its stamps are shifted by -3" in told[1]
    assert told[2] == "markers task: its outlet is gone (source rig-task on lab)"
    assert all("rig-task on lab" in line for line in told)
    assert [entry.kind for entry in reader.log] == ["attached", "shifted", "detached", "attached", "detached"]
    for entry in reader.log:
        source = {"stream": "task", "source_id": "rig-task", "host": "lab"}
        assert {key: entry.data[key] for key in source} == source
        assert entry.bin == NO_BIN
        assert begun_s <= entry.time <= time.monotonic()
    assert reader.log[1].data["seconds"] == pytest.approx(-3600.0, abs=0.1)


def test_each_marker_that_is_left_out_is_reported(connect: Any) -> None:
    reader, connector = connect(FakeInlet(b"go", b"hit", stamps_s=[np.nan, 0.0]))
    reader.start()
    until(lambda: connector.disposed == 1)
    left_out = "left out 1 stamped long ago, 1 stamped NaN or infinite"
    assert reader.problems()[0] == f"markers task: 0 of 2 samples kept; {left_out}"
    reader.stop()
