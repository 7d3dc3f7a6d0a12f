"""Bins without a recording of spikes have no label, and all others keep theirs."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rtdecode.calibrate.data.recorded import unrecorded
from rtdecode.calibrate.data.sessions import read_labelled, session_notes
from rtdecode.errors import RtdecodeError
from rtdecode.session.layout import Behavior, Counts, Events, LogEntry, Session
from rtdecode.session.write import write_session

WIDTH = 0.1
RNG = np.random.default_rng(0)
SPIKES = np.sort(RNG.uniform(0, 60, 3000))
HAND = np.arange(0, 60.001, 0.01)
T_BIN = np.arange(1, 601) * WIDTH


def session(spikes: np.ndarray, *log: LogEntry, n_columns: int = 2) -> Session:
    values = np.stack([np.sin(HAND + i) for i in range(n_columns)], axis=1).astype("f4")
    names = ("x", "y", "z")[:n_columns]
    events = Events(spikes, (np.arange(len(spikes)) % 4).astype("u2"))
    return Session(4, events=events, behavior=Behavior(HAND, values, names, ("mm",) * n_columns), log=log)


def without(low: float, high: float) -> np.ndarray:
    return SPIKES[(low > SPIKES) | (high < SPIKES)]


OUTAGE = (LogEntry(20.4, 0, "outage", {"reason": "its outlet is gone"}), LogEntry(21.0, 0, "gap"))


@pytest.mark.parametrize(
    ("of", "low", "high"),
    [
        (session(SPIKES), 0, 0),
        (session(without(20, 21), *OUTAGE), 20, 21),
        (session(without(20, 61), OUTAGE[0]), 20, 60),
        (session(without(20, 35)), 20, 35),
        (session(without(46, 61)), 46, 60),
        (session(without(-1, 14)), 0, 14),
        (session(without(20, 21.5)), 0, 0),
        (session(SPIKES[::100]), 0, 0),
    ],
    ids=["good", "log", "no gap", "pause", "after the last", "before the first", "a short silence", "sparse"],
)
def test_the_bins_without_a_recording(of: Session, low: float, high: float) -> None:
    found = np.flatnonzero(unrecorded(of, T_BIN, WIDTH))
    expected = np.flatnonzero((low - 1e-9 <= T_BIN - WIDTH) & (high + 1e-9 >= T_BIN))
    assert len(found) == pytest.approx(len(expected), abs=2)
    assert set(found[1:-1]) <= set(expected)


def test_where_one_of_several_arrays_is_away_nothing_is_learnt() -> None:
    two = json.dumps([{"name": "M1", "n_channels": 2}, {"name": "PMd", "n_channels": 2}])
    whole = session(SPIKES)
    assert whole.events is not None
    channel, time = whole.events.channel, whole.events.time

    def unseen(low: float, high: float, *log: LogEntry) -> np.ndarray:
        kept = (channel < 2) | (time < low) | (time > high)
        of = replace(whole, events=Events(time[kept], channel[kept]), attrs={"arrays": two}, log=log)
        return np.flatnonzero(unrecorded(of, T_BIN, WIDTH)) * WIDTH

    assert not unseen(0, 0).size
    silent = unseen(20, 35)
    assert (silent[0], silent[-1]) == pytest.approx((20, 35), abs=0.3)
    of_pmd = {"stream": "PMd"}
    away = unseen(20, 21, LogEntry(20.4, 0, "array_away", of_pmd), LogEntry(21.0, 0, "array_back", of_pmd))
    assert (away[0], away[-1]) == pytest.approx((20, 21), abs=0.3)


def test_counts_of_zeros_in_an_outage() -> None:
    counts = np.ones((600, 4), "u1")
    counts[200:350] = 0
    found = unrecorded(Session(4, counts=Counts(counts, WIDTH, 0.0)), T_BIN, WIDTH)
    assert found.sum() == pytest.approx(150, abs=1)
    assert not unrecorded(Session(4, counts=Counts(0 * counts, WIDTH, 0.0)), T_BIN, WIDTH).any()


def test_labels_are_taken_and_counted(tmp_path: Path) -> None:
    write_session(tmp_path / "good.h5", session(SPIKES))
    write_session(tmp_path / "late.h5", session(without(46, 61)))
    good, late = (read_labelled(tmp_path / f"{name}.h5", WIDTH) for name in ("good", "late"))
    assert good.notes == ()
    assert late.labelled_bins.sum() == pytest.approx(460, abs=1)
    np.testing.assert_array_equal(late.targets[:450], good.targets[:450])
    (note,) = session_notes([good, late], 0)
    assert "bins with behaviour (14" in note
    assert note.endswith("neither trained on nor scored (late)")


def test_a_column_of_nan_spoils_no_other(tmp_path: Path) -> None:
    of = session(SPIKES, n_columns=3)
    of.behavior.values[:, 2] = np.nan
    of.behavior.values[1000:1300, 1] = np.nan
    path = tmp_path / "nan.h5"
    write_session(path, of)
    default, x = read_labelled(path, WIDTH), read_labelled(path, WIDTH, ("x",))
    assert default.names == ("x", "y")
    assert "left out as mostly unknown (NaN): z; name them with --outputs to use" in default.notes
    assert default.notes[-1].startswith(
        "unknown in some of 600 bins with behaviour: y (30); there, only the other"
    )
    assert len(x.notes) == 1
    assert x.labelled_bins.all()
    np.testing.assert_array_equal(default.targets[:, 0], x.targets[:, 0])
    assert default.labelled_bins.all()
    assert np.isnan(default.targets[:, 1]).sum() == pytest.approx(30, abs=1)
    with pytest.raises(
        RtdecodeError, match="has no value of the behaviour z: there are no samples, or all are NaN"
    ):
        read_labelled(path, WIDTH, ("x", "z"))
    of.behavior.values[:] = np.nan
    write_session(path, of)
    with pytest.raises(RtdecodeError, match="has no value of the behaviour x, y, z"):
        read_labelled(path, WIDTH)
