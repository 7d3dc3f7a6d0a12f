"""Output that nobody reads stops nothing else."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from rtdecode.serve.reporting import outbox
from rtdecode.serve.reporting.outbox import MOST_WAITING, Outbox


def eventually(true: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 5.0
    while not true() and time.monotonic() < deadline:
        time.sleep(0.005)
    return true()


@pytest.fixture
def descriptor(tmp_path: Path) -> int:
    return os.open(tmp_path / "output", os.O_CREAT | os.O_WRONLY)


def test_items_are_written_in_order_and_to_the_last(descriptor: int) -> None:
    written: list[int] = []
    box = Outbox("standard output", written.append, descriptor)
    box.start()
    for i in range(100):
        box.put(i)
    assert box.close(5.0)
    assert written == list(range(100))
    assert box.problem == ""


@pytest.mark.parametrize(
    "error", [BrokenPipeError(32, "Broken pipe"), OSError(28, "No space left"), ValueError("closed")]
)
def test_an_output_that_cannot_be_written_is_given_up(descriptor: int, error: Exception) -> None:
    tried = []

    def write(item: int) -> None:
        tried.append(item)
        raise error

    box = Outbox("standard output", write, descriptor)
    box.start()
    box.put(1)
    assert eventually(lambda: "standard output cannot be written" in box.problem)
    box.put(2)
    assert box.close(5.0)
    assert tried == [1]
    # What else writes there fails on nothing.
    assert os.path.samestat(os.fstat(descriptor), os.stat(os.devnull))


def test_a_reader_that_takes_nothing_is_reported_and_not_waited_for(
    descriptor: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "STUCK_S", 0.02)
    taken = threading.Event()
    box = Outbox("standard error", lambda _: taken.wait(10.0), descriptor)
    box.start()
    for i in range(2 * MOST_WAITING):
        box.put(i)
    assert eventually(lambda: "is not read by anybody" in box.problem)
    assert not box.close(0.01)
    taken.set()
    assert box.close(5.0)
