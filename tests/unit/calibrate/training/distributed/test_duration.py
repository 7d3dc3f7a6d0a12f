"""The duration of a session from the ends of its columns."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rtdecode.calibrate.training.distributed.duration import duration_s
from rtdecode.session.layout import Behavior, Counts, Events, Session
from rtdecode.session.write import write_session

BEHAVIOR = Behavior(np.arange(0.0, 7.0, 0.01), np.zeros((700, 1), np.float32), names=("x",), units=("mm",))
EVENTS = Events(np.array([0.5, 2.0, 9.5]), np.array([0, 1, 0], np.uint16))


def test_the_longest_column_gives_the_duration(tmp_path: Path) -> None:
    path = tmp_path / "s.h5"
    write_session(path, Session(2, events=EVENTS, behavior=BEHAVIOR))
    assert duration_s(path) == pytest.approx(9.0)
    counts = Counts(np.ones((250, 2), np.uint8), 0.05, 100.0)
    write_session(path, Session(2, counts=counts, behavior=BEHAVIOR))
    assert duration_s(path) == pytest.approx(12.5)
    nothing = replace(EVENTS, time=EVENTS.time[:0], channel=EVENTS.channel[:0])
    write_session(path, Session(2, events=nothing, behavior=BEHAVIOR))
    assert duration_s(path) == pytest.approx(6.99)


def test_an_unreadable_file_has_duration_0(tmp_path: Path) -> None:
    path = tmp_path / "s.h5"
    assert duration_s(path) == 0.0
    path.write_bytes(b"no session")
    assert duration_s(path) == 0.0
    write_session(path, Session(2, events=EVENTS, behavior=BEHAVIOR))
    path.write_bytes(path.read_bytes()[:1000])
    assert duration_s(path) == 0.0
