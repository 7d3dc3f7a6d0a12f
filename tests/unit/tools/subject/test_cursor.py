"""The cursor of a daemon for the task: present, lost, and back."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from rtdecode.errors import RtdecodeError
from rtdecode.testing.fake_daemon import FakePublisher
from rtdecode.tools.subject.cursor import LiveCursor

pytestmark = pytest.mark.realtime

LONG_S = 20.0
VELOCITIES: dict[str, Any] = {"names": ["vx", "vy"], "units": ["mm/s", "mm/s"]}


@pytest.fixture
def publisher() -> Iterator[FakePublisher]:
    with FakePublisher() as publisher:
        yield publisher


@pytest.fixture
def cursor(publisher: FakePublisher) -> Iterator[LiveCursor]:
    with LiveCursor(publisher.endpoint, 160.0) as cursor:
        publisher.await_subscriber()
        yield cursor


def until(cursor: LiveCursor, accept: Any) -> Any:
    """Read until the position is accepted."""
    deadline = time.monotonic() + LONG_S
    while not accept(found := cursor.read()):
        assert time.monotonic() < deadline, found
        time.sleep(0.001)
    return found


def test_nothing_before_the_first_status(publisher: FakePublisher, cursor: LiveCursor) -> None:
    assert cursor.read() is None
    assert cursor.problem == "no message received yet"
    publisher.cursor(0)
    deadline = time.monotonic() + LONG_S
    while cursor.problem == "no message received yet" and time.monotonic() < deadline:
        assert cursor.read() is None
    assert cursor.problem == "no status received yet"
    publisher.status()
    publisher.cursor(1, value=[3.0, -4.0])
    assert until(cursor, lambda found: found is not None) == (3.0, -4.0)
    assert cursor.received == 1


def test_velocities_are_integrated_by_bins_and_missed_ones_too(
    publisher: FakePublisher, cursor: LiveCursor
) -> None:
    publisher.status(**VELOCITIES)
    for seq in (0, 1, 2, 5):
        publisher.cursor(seq, value=[100.0, 0.0])
    # 20-ms bins: the first counts as one, and bins 3 and 4 are missing.
    until(cursor, lambda found: found is not None and found[0] > 11.9)
    assert cursor.read() == pytest.approx((12.0, 0.0))


def test_the_output_stage_is_shown(publisher: FakePublisher, cursor: LiveCursor) -> None:
    publisher.status(out={"names": ["x", "y"], "units": ["mm", "mm"]})
    publisher.cursor(0, value=[3.0, -4.0], out=[7.0, 8.0])
    assert until(cursor, lambda found: found is not None) == (7.0, 8.0)


@pytest.mark.parametrize("flags", [1, 16, 32])
def test_a_held_cursor_is_none_and_an_integrated_one_restarts_at_the_centre(
    publisher: FakePublisher, cursor: LiveCursor, flags: int
) -> None:
    publisher.status(**VELOCITIES)
    publisher.cursor(0, value=[1000.0, 0.0])
    until(cursor, lambda found: found == (20.0, 0.0))
    publisher.cursor(1, value=[0.0, 0.0], flags=flags)
    until(cursor, lambda found: found is None)
    assert "does not decode" in cursor.problem
    publisher.cursor(2, value=[100.0, 0.0])
    assert until(cursor, lambda found: found is not None) == pytest.approx((2.0, 0.0))


def test_a_daemon_that_falls_silent_is_none(publisher: FakePublisher, cursor: LiveCursor) -> None:
    publisher.status()
    publisher.cursor(0)
    until(cursor, lambda found: found is not None)
    until(cursor, lambda found: found is None)
    assert cursor.problem == "the daemon is gone"


def test_outputs_that_the_task_cannot_show_are_an_error(publisher: FakePublisher, cursor: LiveCursor) -> None:
    publisher.status(names=["grip"], units=[""])
    publisher.cursor(0, value=[0.5])
    with pytest.raises(RtdecodeError, match="decodes grip, which has neither two positions"):
        until(cursor, lambda found: found is not None)
