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


def test_observed_intervals_are_joined_where_they_overlap(path: Path) -> None:
    with h5py.File(path, "a") as file:
        file.attrs["format_version"] = 2
        file["observed/start"] = np.array([0.3, 0.0, 0.1, 0.9, np.nan, 0.6])
        file["observed/stop"] = np.array([0.5, 0.2, 0.15, 0.9, 1.0, 0.7])
    session, done = repaired(path)
    assert session.observed.tolist() == [[0.0, 0.2], [0.3, 0.5], [0.6, 0.7]]
    assert done == [
        "/observed: dropped 2 of 6 intervals that do not stop after they start",
        "/observed: sorted, and joined where they overlap: 3 of 4 intervals",
    ]


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
    assert session.behavior.time.tolist() == [0.1, 0.2, 0.25, 0.4]
    np.testing.assert_array_equal(session.behavior.values, [[0, 1], [np.nan, 1], [4, 4], [5, np.nan]])
    assert session.behavior.names == ("value0", "value1")
    assert session.behavior.units == ("", "")
    assert done == [
        "/behavior: dropped 1 of 7 samples without a finite time",
        "/behavior: dropped 2 of 6 samples that repeat others or are not after the one before",
        "/behavior: the names did not fit 2 columns: now 'value0', 'value1'",
        "/behavior: the units did not fit 2 columns: now '', ''",
    ]


def behavior(path: Path, time: object, values: object) -> None:
    change(path, behavior__time=time, behavior__values=values)
    with h5py.File(path, "a") as file:
        file["behavior"].attrs.update(names=["x", "y"], units=["mm", "mm"])


def test_transposed_arrays_are_turned(path: Path) -> None:
    with h5py.File(path) as file:
        good = {name: file[name][()] for name in ("events/time", "events/channel", "events/unit")}
        good |= {name: file[name][()] for name in ("behavior/time", "behavior/values", "counts/values")}
    attrs = {"counts": {"bin_width_s": 0.1, "t0_s": 0.0}}
    with h5py.File(path, "a") as file:
        for name, values in good.items():
            del file[name]
            file[name] = values.T if values.ndim == 2 else values[np.newaxis]
        for name, given in attrs.items():
            file[name].attrs.update(given)
    session, done = repaired(path)
    assert session.behavior.values.tolist() == good["behavior/values"].tolist()
    assert session.counts.values.tolist() == good["counts/values"].tolist()
    assert session.events.channel.tolist() == good["events/channel"].tolist()
    assert "/behavior/values: is transposed: it has shape (2, 4), not (4, 2); turned" in done
    assert "/counts/values: is transposed: it has shape (3, 4), not (4, 3); turned" in done


def test_channels_that_count_from_1_count_from_0(path: Path) -> None:
    change(path, events__channel=np.array([1, 2, 3, 2]))
    with h5py.File(path, "a") as file:
        file["lfp"], file["events/amplitude"] = np.zeros(9), np.zeros(4)
    session, done = repaired(path)
    assert session.events.channel.tolist() == [0, 1, 2, 1]
    assert done == [
        "/events: channels counted from 1: now 0 to 2",
        "not in the copy, as the format does not have them: /lfp, /events/amplitude",
    ]


def test_a_stray_channel_behind_a_silent_first_one_is_not_shifted(path: Path) -> None:
    channel = np.array([*[1, 2] * 50, 3])
    change(path, events__channel=channel, events__time=np.arange(101) / 10, events__unit=np.zeros(101))
    with pytest.raises(RtdecodeError, match="channel 3 at row 100 is not below n_channels"):
        repair_session(path)


def test_samples_in_another_order_are_sorted_and_repeated_ones_kept_once(path: Path) -> None:
    time = np.arange(40) / 10
    values = np.stack([time, -time], axis=1)
    shuffled = np.random.default_rng(0).permutation(40)
    halves = np.r_[20:40, 0:20]
    for order in (shuffled, halves, np.repeat(np.arange(40), 2)):
        behavior(path, time[order], values[order])
        session = read_session(repair_session(path)[0])
        np.testing.assert_array_equal(session.behavior.time, time)
        np.testing.assert_array_equal(session.behavior.values, values.astype("f4"))


@pytest.mark.parametrize(
    ("time", "words"),
    [
        (np.r_[np.arange(40) / 10, np.arange(40) / 10 + 0.05], "two recordings"),
        ((np.arange(80) / 100 + 520_000).astype("f4"), "float32: at 520000.781 s it is rounded to 0.03125 s"),
        ((np.arange(80) / 100 + 520_000).astype("f4").astype("f8"), "float32"),
    ],
    ids=["a clock set back", "float32", "float32 once"],
)
def test_samples_in_no_right_order_are_not_thinned_out(path: Path, time: object, words: str) -> None:
    behavior(path, time, np.random.default_rng(0).normal(size=(80, 2)))
    with pytest.raises(RtdecodeError, match=words) as refusal:
        repair_session(path)
    assert "--repair" not in str(refusal.value)
    assert [file.name for file in path.parent.iterdir()] == ["today.h5"]


def test_a_stray_stamp_is_dropped_and_a_repaired_file_is_not_replaced(path: Path) -> None:
    time = np.r_[np.arange(39) / 10, 3600.0 * 24 * 365]
    behavior(path, time[np.r_[:20, 39, 20:39]], np.zeros((40, 2)))
    for name in ("today.repaired.h5", "today.repaired.2.h5"):
        copy, done = repair_session(path)
        assert copy.name == name
        assert done[0].startswith("/behavior: 1 of 40 rows left out")
        assert read_session(copy).behavior.time.tolist() == time[:39].tolist()


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
        "/counts/values left out: holds -1, outside 0 to 65535, in columns 0, 1, 2 (12 values)",
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
