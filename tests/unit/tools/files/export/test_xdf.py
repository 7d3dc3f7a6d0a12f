"""A session written as XDF is read back by pyxdf and by our reader: every spike, stamp and value."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import pyxdf

from rtdecode.artifact import ElectrodeArray
from rtdecode.session.arrays import arrays_attrs
from rtdecode.session.layout import (
    Behavior,
    Counts,
    Decoded,
    DecodedOut,
    Events,
    Features,
    Markers,
    Session,
    Trials,
)
from rtdecode.session.layout import Markers as SessionMarkers
from rtdecode.session.trials import find_trials
from rtdecode.tools.files.export.xdf import write_xdf
from rtdecode.tools.files.recording import BinnedSpikes, Recording
from rtdecode.tools.files.xdf.open import open_xdf
from rtdecode.trial_rules import read_rules

RNG = np.random.default_rng(0)
N = 5_000  # more than a chunk
T_BIN = 7.0 + 0.02 * np.arange(1, 101)

SESSION = Session(
    6,
    events=Events(
        np.sort(RNG.uniform(5, 65, N)), RNG.integers(0, 6, N).astype("u2"), RNG.integers(0, 3, N).astype("u1")
    ),
    features=Features(
        5 + np.arange(1, 200) * 0.0201,
        RNG.normal(size=(199, 2)).astype("f4"),
        ("e1", "e2"),
        ("power", "other"),
        ("uV^2", ""),
        0.0201,
        0.02,
    ),
    behavior=Behavior(
        np.sort(RNG.uniform(5, 65, 300)),
        np.where(RNG.random((300, 2)) < 0.1, np.nan, RNG.normal(size=(300, 2))).astype("f4"),
        ("x", "y"),
        ("mm", ""),
    ),
    trials=Trials(
        np.array([6.0, 8.0]),
        np.array([7.5, 9.5]),
        {"target": np.array([[10, -20], [np.nan, np.nan]], "f4"), "success": np.array([1, 0], "u1")},
    ),
    markers=Markers(np.array([6.0, 8.25]), ("go <&> ü", '{"event": "hit"}')),
    decoded=Decoded(
        bin=np.arange(100),
        t_bin=T_BIN,
        values=RNG.normal(size=(100, 1)).astype("f4"),
        flags=(np.arange(100) % 64).astype("u4"),
        model=np.zeros(100, "u1"),
        late=np.zeros(100, "u2"),
        lost=np.full(100, 2**31, "u4"),
        counts=np.zeros((100, 6), "u1"),
        origin_s=7.0,
        models=("m1",),
        names=("vx",),
        out=DecodedOut(RNG.normal(size=(100, 1)).astype("f4"), ("px",), ("px",), {}),
    ),
    attrs={
        "stream": "M1 & co",
        "date": "2026-11-30",
        "subject": "N\x00",
        "a b": "no tag",
        **arrays_attrs([ElectrodeArray("M1", 4), ElectrodeArray("PMd", 2)]),
    },
)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("xdf") / "a.xdf"
    write_xdf(path, SESSION)
    return path


@pytest.fixture(scope="module")
def recording(path: Path) -> Recording:
    return open_xdf(path)


def test_the_file_is_whole(path: Path, recording: Recording) -> None:
    assert [each.name for each in path.parent.iterdir()] == ["a.xdf"]
    assert (recording.notes, recording.others, recording.attrs) == ((), (), {"date": "2026-11-30"})


def test_pyxdf_reads_every_number_by_its_defaults(path: Path) -> None:
    streams = {each["info"]["name"][0]: each for each in pyxdf.load_xdf(path)[0]}
    assert [*streams] == [
        "M1",
        "PMd",
        "features",
        "behavior",
        "markers",
        "trials",
        "decoded",
        "decoded-flags",
    ]
    assert SESSION.events is not None
    own = SESSION.events.channel >= 4
    pmd = streams["PMd"]
    assert np.array_equal(pmd["time_stamps"], SESSION.events.time[own])
    assert np.array_equal(pmd["time_series"][:, 0], SESSION.events.channel[own] - 4)
    assert np.array_equal(pmd["time_series"][:, 2], np.arange(own.sum()))
    assert pmd["info"]["desc"][0]["subject"] == ["N"]
    assert streams["markers"]["time_series"] == [["go <&> ü"], ['{"event": "hit"}']]


def test_every_spike_is_read_back(recording: Recording) -> None:
    assert SESSION.events is not None
    assert SESSION.events.unit is not None
    first = 0
    for spikes, n_channels in zip(recording.spikes, (4, 2), strict=True):
        own = (SESSION.events.channel >= first) & (SESSION.events.channel < first + n_channels)
        time, row = spikes.read(np.arange(len(spikes.units.ids)))
        assert np.array_equal(time, SESSION.events.time[own])
        assert spikes.units.numbers is not None
        channel = np.array(spikes.units.electrodes).astype(int)[row]
        assert np.array_equal(channel, SESSION.events.channel[own] - first)
        assert np.array_equal(spikes.units.numbers[row], SESSION.events.unit[own])
        first += n_channels


def test_every_sample_is_read_back(recording: Recording) -> None:
    features, behavior, decoded = SESSION.features, SESSION.behavior, SESSION.decoded
    assert features is not None
    assert behavior is not None
    assert decoded is not None
    assert decoded.out is not None
    series = {each.name: each for each in recording.series}
    cursor = np.concatenate((decoded.values, decoded.out.values), axis=1)
    for name, time, values in (
        ("features", features.time, features.values),
        ("behavior", behavior.time, behavior.values),
        ("decoded", decoded.t_bin, cursor),
    ):
        read_time, read_values = series[name].read()
        assert np.array_equal(read_time, time)
        assert np.array_equal(read_values.astype("f4"), values, equal_nan=True)
    assert (series["features"].columns, series["features"].kinds) == (features.names, features.kinds)
    assert (series["behavior"].columns, series["behavior"].units) == (("x", "y"), ("mm", ""))
    assert series["decoded"].columns == ("vx", "out_px")
    flags = series["decoded-flags"].read()[1]
    assert np.array_equal(flags[:, :2], np.stack((decoded.bin, decoded.flags), axis=1))
    assert flags[0, 4] == 2**31


def test_markers_and_trials_are_read_back(recording: Recording) -> None:
    assert SESSION.markers is not None
    assert SESSION.trials is not None
    markers, ends = recording.markers
    assert (markers.time.tolist(), markers.text) == (SESSION.markers.time.tolist(), SESSION.markers.text)
    rules = read_rules("start=trial_start,stop=trial_stop")
    trials, _ = find_trials(SessionMarkers(ends.time, ends.text), rules)
    assert trials.start.tolist() == SESSION.trials.start.tolist()
    assert trials.stop.tolist() == SESSION.trials.stop.tolist()
    for name, column in SESSION.trials.columns.items():
        assert np.array_equal(trials.columns[name], column, equal_nan=True)
    assert json.loads(ends.text[2])["target"] == [None, None]


def test_counts_are_read_back(tmp_path: Path) -> None:
    counts = Counts(np.array([[0, 40_000], [1, 2], [3, 4]], "u2"), 0.0201, 5.0, announced_width_s=0.02)
    write_xdf(tmp_path / "a.xdf", Session(2, counts=counts, attrs={"channel_labels": '["e7", "e9"]'}))
    (spikes,) = open_xdf(tmp_path / "a.xdf").spikes
    assert isinstance(spikes, BinnedSpikes)
    assert (spikes.name, spikes.units.ids, spikes.bin_width_s) == ("session", ("e7", "e9"), 0.02)
    time, values = spikes.read(np.array([0, 1]))
    assert np.array_equal(time, counts.edges[1:])
    assert np.array_equal(values, counts.values)


def test_observed_intervals_are_read_back(tmp_path: Path) -> None:
    observed = np.array([[5.0, 20.1], [30.3, 65.0]])
    write_xdf(tmp_path / "a.xdf", replace(SESSION, observed=observed))
    found = open_xdf(tmp_path / "a.xdf").observed
    assert found is not None
    assert np.array_equal(found, observed)
