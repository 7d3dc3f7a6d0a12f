"""A session as NWB: the inspector has no critical findings, and the reader finds everything again."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from nwbinspector import Importance, inspect_nwbfile
from pynwb import NWBHDF5IO

from rtdecode.errors import RtdecodeError
from rtdecode.session.layout import (
    Behavior,
    Counts,
    Decoded,
    DecodedOut,
    Electrodes,
    Events,
    Features,
    Markers,
    Session,
    Trials,
)
from rtdecode.session.read import read_session
from rtdecode.tools.files.export.nwb import write_nwb
from rtdecode.tools.files.nwb.open import open_nwb
from rtdecode.tools.files.recording import BinnedSpikes, Recording, Series, SpikeTimes

pytestmark = pytest.mark.filterwarnings("ignore")

N = 400


@pytest.fixture(scope="module")
def session() -> Session:
    """Everything that a session can hold, with awkward stamps."""
    rng = np.random.default_rng(0)
    time = np.sort(rng.uniform(1e5, 1e5 + 20, 3000))
    at = np.sort(rng.uniform(1e5, 1e5 + 20, N))
    values = rng.normal(size=(N, 4)).astype(np.float32)
    values[3, 1] = np.nan
    return Session(
        n_channels=6,
        events=Events(
            time, rng.integers(0, 5, 3000).astype(np.uint16), rng.integers(0, 3, 3000).astype(np.uint8)
        ),
        counts=Counts(rng.poisson(1.0, (400, 6)).astype(np.uint8), 0.05, 1e5),
        behavior=Behavior(at, values, ("x", "y", "vx", "grasp/force"), ("mm", "mm", "mm/s", "")),
        features=Features(
            at,
            values[:, :2],
            ("e1", "e2"),
            ("power", "rate"),
            ("uV^2", ""),
            period_s=0.05,
            announced_period_s=0.02,
        ),
        trials=Trials(
            at[:3],
            at[1:4],
            {
                "target": np.array([[1, 2], [3, 4], [np.nan, np.nan]], np.float32),
                "success": np.array([True, False, True]),
                "block": np.array(["a", "b", "ü"]),
                "id": np.array([7, 8, 9]),
                "tags": np.array([1, 2, 3]),
            },
        ),
        markers=Markers(at[:3], ("go", "line\nbreak", "ü")),
        decoded=Decoded(
            bin=np.arange(N),
            t_bin=at,
            values=values[:, :2],
            flags=rng.integers(0, 128, N).astype(np.uint32),
            model=rng.integers(0, 2, N).astype(np.uint8),
            late=np.zeros(N, np.uint16),
            lost=np.full(N, 2**32 - 1, np.uint32),
            counts=np.zeros((N, 6), np.uint8),
            origin_s=1e5,
            models=("first", "second"),
            names=("x", "y"),
            out=DecodedOut(values[:, 2:], ("x", "y"), ("px", "px"), {}),
        ),
        observed=np.array([[1e5, 1e5 + 8], [1e5 + 9.5, 1e5 + 20]]),
        # Channels 2 and 3 are units of one electrode.
        electrodes=Electrodes(
            label=("a", "b", "c", "c", "a", ""),
            unit_id=("7", "8", "9", "10", "11", "12"),
            x=np.array([0, 1, 2, 2, 4, np.nan], np.float32),
            y=np.arange(6, dtype=np.float32).clip(0, 2),
            array=("M1",) * 4 + ("PMd",) * 2,
        ),
        attrs={"subject": "N", "session_id": "day 1", "task": "reach"},
    )


@pytest.fixture(scope="module")
def exported(session: Session, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("export") / "day.nwb"
    write_nwb(path, session)
    return path


@pytest.fixture(scope="module")
def recording(exported: Path) -> Recording:
    return open_nwb(exported)


def series_of(recording: Recording, name: str) -> Series:
    (series,) = (each for each in recording.series if each.name == name)
    return series


def critical(path: Path) -> list[str]:
    least = Importance.CRITICAL
    return [each.message for each in inspect_nwbfile(nwbfile_path=path, importance_threshold=least)]


def test_the_inspector_has_no_critical_findings(exported: Path) -> None:
    assert critical(exported) == []
    assert sorted(exported.parent.iterdir()) == [exported]


def test_every_spike_is_found_again(session: Session, recording: Recording) -> None:
    spikes, counts = recording.spikes
    assert isinstance(spikes, SpikeTimes)
    assert np.array_equal(counts.read(np.arange(6))[1], session.counts.values)
    units, events = spikes.units, session.events
    # Channel 5 has no spikes: it is a row all the same.
    assert units.columns["channel"].tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4, 5]
    assert units.numbers.tolist() == [0, 1, 2] * 5 + [0]
    assert units.electrodes == tuple("aaabbbccccccaaa5")
    assert units.columns["source_id"][::3].tolist() == ["7", "8", "9", "10", "11", "12"]
    assert units.position[::3].tolist()[:5] == [[0, 0], [1, 1], [2, 2], [2, 2], [4, 2]]
    assert units.arrays == ("M1",) * 12 + ("PMd",) * 4
    time, row = spikes.read(np.arange(16))
    for each in range(16):
        of_unit = (events.channel == units.columns["channel"][each]) & (events.unit == units.numbers[each])
        assert np.array_equal(time[row == each], events.time[of_unit])


def test_behaviour_is_one_series_again(session: Session, recording: Recording) -> None:
    series = series_of(recording, "behavior")
    assert (series.columns, series.units) == (session.behavior.names, session.behavior.units)
    time, values = series.read()
    assert np.array_equal(time, session.behavior.time)
    assert np.array_equal(values, session.behavior.values, equal_nan=True)
    assert [each.name for each in recording.series if each.role == "behavior"] == ["behavior"]


def test_other_programs_find_places_and_units(exported: Path) -> None:
    with NWBHDF5IO(exported, "r") as io:
        module = io.read().processing["behavior"]
        assert module["Position"]["x_y"].unit == "millimeters"
        others = module["BehavioralTimeSeries"].time_series
        assert {name: each.unit for name, each in others.items()} == {
            "vx": "mm/s",
            "grasp_force_3": "unknown",
        }


def test_features_keep_their_kinds(session: Session, recording: Recording) -> None:
    series = series_of(recording, "features")
    assert (series.role, series.columns) == ("signal", ("e1", "e2"))
    assert (series.units, series.kinds) == (("uV^2", ""), ("power", "rate"))
    time, values = series.read()
    assert np.array_equal(time, session.features.time)
    assert series.stamps == "end"
    assert np.array_equal(values, session.features.values, equal_nan=True)


def test_trials_and_markers(session: Session, recording: Recording) -> None:
    (trials,), (markers,) = recording.trials, recording.markers
    assert np.array_equal(trials.start, session.trials.start)
    assert np.array_equal(trials.stop, session.trials.stop)
    assert np.array_equal(trials.columns["target"], session.trials.columns["target"], equal_nan=True)
    assert trials.columns["success"].tolist() == [True, False, True]
    assert trials.columns["block"].tolist() == ["a", "b", "ü"]
    assert trials.columns["id"].tolist() == [7, 8, 9]
    assert trials.columns["tags_"].tolist() == [1, 2, 3]
    assert np.array_equal(markers.time, session.markers.time)
    assert markers.text == session.markers.text


def test_decoded_values_flags_and_models(session: Session, recording: Recording) -> None:
    series, done = series_of(recording, "decoded"), session.decoded
    assert series.columns == ("x", "y", "flags", "model", "bin", "late", "lost", "out_x", "out_y")
    time, values = series.read()
    assert np.array_equal(time, done.t_bin)
    own = [done.values, *(each[:, None] for each in (done.flags, done.model, done.bin, done.late, done.lost))]
    assert np.array_equal(values, np.hstack([*own, done.out.values]), equal_nan=True)


def test_attributes_are_as_they_were(session: Session, recording: Recording) -> None:
    assert recording.attrs == session.attrs


def test_what_was_observed(session: Session, recording: Recording) -> None:
    assert np.array_equal(recording.observed, session.observed)
    assert np.array_equal(recording.spikes[0].observed, session.observed)


def test_arrays_and_labels_in_attributes(session: Session, tmp_path: Path) -> None:
    """As of a recording of several streams, whose channels are numbered again when it is imported."""
    of_channels = {
        "arrays": json.dumps([{"name": "M1", "n_channels": 4}, {"name": "PMd", "n_channels": 2}]),
        "channel_labels": json.dumps(["a", "b", "c", "d", "a", "b"]),
    }
    path = tmp_path / "arrays.nwb"
    write_nwb(path, replace(session, electrodes=None, attrs=session.attrs | of_channels))
    recording = open_nwb(path)
    assert recording.spikes[0].units.electrodes == tuple("aaabbbcccdddaaab")
    assert recording.spikes[0].units.arrays == ("M1",) * 12 + ("PMd",) * 4
    assert recording.attrs == session.attrs


def test_counts_that_a_recorder_stamped(session: Session, tmp_path: Path) -> None:
    end = 0.05 + np.cumsum(np.random.default_rng(1).uniform(0.019, 0.021, 50))
    counts = Counts(np.arange(300, dtype=np.uint16).reshape(50, 6), 0.0201, 0.03, end, announced_width_s=0.02)
    path = tmp_path / "counts.nwb"
    write_nwb(path, replace(session, counts=counts, events=None))
    (spikes,) = open_nwb(path).spikes
    assert isinstance(spikes, BinnedSpikes)
    assert (spikes.bin_width_s, spikes.stamps) == (0.0201, "end")
    stamps, values = spikes.read(np.arange(6))
    assert np.array_equal(stamps, end)
    assert np.array_equal(values, counts.values)


@pytest.mark.sessions
def test_a_real_session_of_counts(data_dir: Path, tmp_path: Path) -> None:
    path = tmp_path / "indy.nwb"
    real = read_session(data_dir / "indy" / "indy_20160921_01.h5")
    write_nwb(path, real)
    recording = open_nwb(path)
    (spikes,) = recording.spikes
    assert (spikes.name, spikes.bin_width_s, spikes.stamps) == (
        "binned_spikes",
        real.counts.bin_width_s,
        "start",
    )
    stamps, values = spikes.read(np.arange(real.n_channels))
    assert stamps[0] == real.counts.t0_s
    assert np.array_equal(stamps, real.counts.edges[:-1])
    assert np.array_equal(values, real.counts.values)
    time, moved = series_of(recording, "behavior").read()
    assert np.array_equal(time, real.behavior.time)
    assert np.array_equal(moved, real.behavior.values, equal_nan=True)
    assert np.array_equal(
        recording.trials[0].columns["target"], real.trials.columns["target"], equal_nan=True
    )


def test_a_session_of_little(tmp_path: Path) -> None:
    path = tmp_path / "little.nwb"
    write_nwb(path, Session(n_channels=2, events=Events(np.empty(0), np.empty(0, np.uint16))))
    recording = open_nwb(path)
    assert recording.spikes[0].units.ids == ("0", "1")
    # Labels that nobody gave are not made up.
    assert recording.spikes[0].units.electrodes == ("", "")
    assert recording.spikes[0].n_spikes == 0
    assert recording.attrs == {}


def test_without_pynwb_it_says_what_to_install(
    session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(name: str, *rest: object) -> object:
        raise ImportError(name)

    monkeypatch.setattr("rtdecode.tools.files.export.nwb.import_module", refused)
    with pytest.raises(RtdecodeError, match=r"which is not installed\. Fix: pip install 'rtdecode\[nwb\]'"):
        write_nwb(tmp_path / "a.nwb", session)


def test_a_folder_that_is_not_there(session: Session, tmp_path: Path) -> None:
    with pytest.raises(RtdecodeError, match="cannot be written: its folder does not exist"):
        write_nwb(tmp_path / "none" / "a.nwb", session)


def test_what_nwb_cannot_hold_is_one_line(session: Session, tmp_path: Path) -> None:
    with pytest.raises(RtdecodeError, match="cannot be written: VLEN strings do not support embedded NULLs"):
        write_nwb(tmp_path / "a.nwb", replace(session, markers=Markers(np.zeros(1), ("a\0b",))))
    assert list(tmp_path.iterdir()) == []
