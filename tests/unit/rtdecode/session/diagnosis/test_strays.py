"""A few bad stamps, values or columns are left out with a note; what is not a few is left to the check."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from rtdecode.errors import RtdecodeError
from rtdecode.session.diagnosis.strays import stray
from rtdecode.session.layout import Events, Session
from rtdecode.session.read import read_session
from rtdecode.session.write import write_session

YEAR = 3.2e7
TIME = np.arange(400) / 10 + 7200


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "today.h5"
    with h5py.File(path, "w") as file:
        file.attrs.update(format="rtdecode-session", format_version=1, n_channels=4)
        file["events/time"] = TIME
        file["events/channel"] = np.arange(400) % 4
        file["behavior/time"] = TIME
        file["behavior/values"] = np.stack([np.sin(TIME), np.cos(TIME), TIME], axis=1)
        file["behavior"].attrs.update(names=["x", "y", "z"], units=["mm"] * 3)
        file["trials/start"] = TIME[:3]
        file["trials/stop"] = TIME[:3] + 1
    return path


@pytest.mark.parametrize("wild", [np.nan, np.inf, -np.inf, 0.0, -YEAR, 1.8e9, 2.0**63])
@pytest.mark.parametrize("name", ["events", "behavior"])
@pytest.mark.parametrize("row", [0, 200, 399])
def test_a_stray_stamp_costs_its_own_row(path: Path, name: str, row: int, wild: float) -> None:
    good = read_session(path)
    with h5py.File(path, "a") as file:
        file[f"{name}/time"][row] = wild
    session = read_session(path)
    (note,) = session.notes
    assert note.startswith(f"/{name}: 1 of 400 rows left out")
    part, whole = getattr(session, name), getattr(good, name)
    np.testing.assert_array_equal(part.time, np.delete(whole.time, row))
    assert (session.end_s - session.start_s) == pytest.approx(39.9, abs=0.11)


def test_what_is_not_stray() -> None:
    pause = np.r_[TIME, TIME + 3000]
    assert not stray(pause).any()
    assert not stray(np.r_[TIME, np.full(41, np.nan)]).any()
    assert not stray(np.array([0.0, 1.0, YEAR])).any()
    # A long recording with a late last minute.
    assert not stray(np.r_[np.arange(0, 3600, 0.1), 4300.0]).any()
    assert not stray(np.empty(0)).any()


def test_many_times_without_a_number_are_refused(path: Path) -> None:
    with h5py.File(path, "a") as file:
        file["events/time"][:50] = np.nan
    with pytest.raises(RtdecodeError, match="50 of 400 times are NaN or infinite, first at row 0"):
        read_session(path)


def test_a_bad_column_of_behaviour_stays_in_its_column(path: Path) -> None:
    good = read_session(path).behavior.values
    with h5py.File(path, "a") as file:
        file["behavior/values"][:, 2] = np.nan
        file["behavior/values"][5, 1] = 1e300
    session = read_session(path)
    assert session.notes == (
        "/behavior is NaN or infinite, so unknown: y in 1 of 400 samples, z in all of 400 samples",
    )
    np.testing.assert_array_equal(session.behavior.values[:, 0], good[:, 0])
    assert np.flatnonzero(np.isnan(session.behavior.values[:, 1])).tolist() == [5]


def test_an_odd_column_of_the_trials_is_left_out(path: Path) -> None:
    with h5py.File(path, "a") as file:
        file["trials/comment"] = ["one", "two"]
        file["trials/rate"] = 30_000.0
        file["trials/more/deep"] = [1]
    session = read_session(path)
    assert session.notes == ("/trials/comment left out: it has 2 rows for 3 trials",)
    assert session.trials.columns == {}


def test_a_silent_channel_0_is_pointed_out(path: Path) -> None:
    with h5py.File(path, "a") as file:
        file["events/channel"][:] = np.arange(400) % 3 + 1
    (note,) = read_session(path).notes
    assert "channel 0 never fires" in note
    assert "set n_channels to 3" in note


def test_recordings_hours_apart_are_whole_if_they_were_observed(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    time = np.sort(np.concatenate([rng.uniform(0, 4, 20), rng.uniform(9000, 9100, 2000)]))
    observed = np.array([[0.0, 4.0], [9000.0, 9099.0]])
    events = Events(time, rng.integers(0, 4, len(time)).astype("u2"))
    path = tmp_path / "apart.h5"
    write_session(path, Session(4, events=events, observed=observed))
    session = read_session(path)
    assert len(session.events.time) == 2020
    n = int((time > 9099).sum())
    line = "{} of {} spikes of /events lie outside /observed ({} s) and are not used{}"
    assert session.notes == (line.format(n, 2020, "0.0 to 9099.0", ""),)
    write_session(path, Session(4, events=events))
    assert len(read_session(path).events.time) == 2000
    write_session(path, Session(4, events=events, observed=observed + 1e5))
    two_clocks = ", as if stamped by two clocks"
    assert read_session(path).notes[-1] == line.format(2000, 2000, "100000.0 to 109099.0", two_clocks)
