"""Repair: valid data are kept, each change is reported, and the damaged file stays unchanged."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from rtdecode.errors import RtdecodeError
from rtdecode.session.layout import Behavior, Counts, Events, LogEntry, Session, Trials
from rtdecode.session.read import read_session
from rtdecode.session.repair import repair_session
from rtdecode.session.write import write_session


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "today.h5"
    session = Session(
        3,
        events=Events(np.array([0.1, 0.2, 0.3, 0.4]), np.array([0, 1, 2, 1], "u2"), np.zeros(4, "u1")),
        counts=Counts(np.ones((4, 3), "u1"), 0.1, 0.0),
        behavior=Behavior(
            np.array([0.1, 0.2, 0.3, 0.4]), np.arange(8, dtype="f4").reshape(4, 2), ("x", "y"), ("mm", "mm")
        ),
        trials=Trials(np.array([0.0, 0.2]), np.array([0.1, 0.4]), {"block": np.array(["a", "b"])}),
        log=(LogEntry(0.1, 5, "gap", {"lost": 2}), LogEntry(0.2, 9, "reset", {})),
        attrs={"subject": "Indy"},
    )
    write_session(path, session)
    return path


def change(path: Path, **values: object) -> bytes:
    """Replace datasets, named group__dataset; returns the damaged file's bytes."""
    with h5py.File(path, "a") as file:
        for name, value in values.items():
            dataset = name.replace("__", "/")
            del file[dataset]
            file[dataset] = value
    return path.read_bytes()


def repaired(path: Path) -> tuple[Session, list[str]]:
    repaired, done = repair_session(path)
    assert repaired == path.with_name("today.repaired.h5")
    return read_session(repaired), done


def test_a_valid_file_is_not_changed(path: Path) -> None:
    assert repair_session(path) == (path, [])
    assert [file.name for file in path.parent.iterdir()] == ["today.h5"]


def test_events(path: Path) -> None:
    damaged = change(
        path,
        events__time=np.array([0.3, np.nan, 0.2, 0.4, 0.5, 0.6, 0.7]),
        events__channel=np.array([0, 1, 2, 3, -1, 1]),
        events__unit=np.arange(7),
    )
    session, done = repaired(path)
    assert session.events.time.tolist() == [0.2, 0.3, 0.6]
    assert session.events.channel.tolist() == [2, 0, 1]
    assert session.events.unit.tolist() == [2, 0, 5]
    assert done == [
        "/events: cut to 6 rows (time had 1 more, unit had 1 more)",
        "/events: dropped 1 of 6 events without a finite time",
        "/events: dropped 2 of 5 events on channels outside 0 to 2",
        "/events: sorted by time (1 events were earlier than the one before)",
    ]
    assert path.read_bytes() == damaged
    assert session.attrs == {"subject": "Indy"}
    assert session.log[0].data == {"lost": 2}


def test_behaviour(path: Path) -> None:
    change(
        path,
        behavior__time=np.array([0.1, 0.2, 0.3, 0.3, 0.25, 0.4, np.inf]),
        behavior__values=np.array([[0, 1], [np.nan, 1], [2, 2], [3, 3], [4, 4], [5, 1e300], [6, 6]]),
    )
    with h5py.File(path, "a") as file:
        file["behavior"].attrs["units"] = ["mm"]
        del file["behavior"].attrs["names"]
    session, done = repaired(path)
    assert session.behavior.time.tolist() == [0.1, 0.3]
    assert session.behavior.values.tolist() == [[0, 1], [2, 2]]
    assert session.behavior.names == ("value0", "value1")
    assert session.behavior.units == ("", "")
    assert done == [
        "/behavior: dropped 3 of 7 samples with NaN or infinite values",
        "/behavior: dropped 2 of 4 samples not after the one before",
        "/behavior: the names did not fit 2 columns: now 'value0', 'value1'",
        "/behavior: the units did not fit 2 columns: now '', ''",
    ]


def test_trials_and_log(path: Path) -> None:
    change(path, trials__stop=np.array([0.1, 0.1]), log__data=["{", '{"why": "operator"}'])
    session, done = repaired(path)
    assert session.trials.start.tolist() == [0.0]
    assert session.trials.columns["block"].tolist() == ["a"]
    assert session.log == (LogEntry(0.2, 9, "reset", {"why": "operator"}),)
    assert done == [
        "/trials: dropped 1 of 2 trials that stop before they start",
        "/log: dropped 1 of 2 entries without JSON data",
    ]


def test_a_group_that_cannot_be_repaired_is_left_out(path: Path) -> None:
    change(path, counts__values=np.full((4, 3), -1), behavior__time=["a", "b", "c", "d"])
    with h5py.File(path, "a") as file:
        del file["trials/stop"]
    session, done = repaired(path)
    assert session.counts is session.behavior is session.trials is None
    assert session.events is not None
    assert done == [
        "/trials left out: lacks stop",
        "/counts/values left out: holds -1, outside 0 to 65535",
        "/behavior/time left out: holds <U1, not numbers",
    ]


@pytest.mark.parametrize("name", ["events__time", "events__channel", "behavior__time", "behavior__values"])
def test_a_group_of_the_wrong_shape_is_left_out(path: Path, name: str) -> None:
    change(path, **{name: np.zeros((4, 1, 1))})
    _, done = repaired(path)
    assert done == [f"/{name.replace('__', '/')} left out: has shape (4, 1, 1)"]


def test_a_recording_that_was_not_closed(path: Path) -> None:
    change(path, events__channel=np.array([0, 1, 2]))
    with h5py.File(path, "a") as file:
        file.attrs["complete"] = 0
    session, done = repaired(path)
    assert session.complete
    assert len(session.events.time) == 3
    assert done == ["the recording was not closed: kept every complete row and marked it complete"]


def test_a_file_with_nothing_to_save_is_refused(path: Path, tmp_path: Path) -> None:
    change(path, counts__values=np.full((4, 3), np.nan), events__time=["a", "b", "c", "d"])
    with pytest.raises(RtdecodeError, match=r"nothing can be saved: .*/events/time left out: holds <U1"):
        repair_session(path)
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(RtdecodeError, match="truncated"):
        repair_session(path)
    with pytest.raises(RtdecodeError, match="does not exist"):
        repair_session(tmp_path / "missing.h5")
