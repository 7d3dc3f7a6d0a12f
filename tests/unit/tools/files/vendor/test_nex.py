"""NeuroExplorer files of known content: every spike, event, interval and sample."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from files.damage import n_refused
from files.nex import Variable, write_nex

from rtdecode.tools.files.recording import SpikeTimes
from rtdecode.tools.files.vendor.nex import is_nex, open_nex

VARIABLES = [
    Variable(0, "sig001a", [1.0, 2.5]),
    Variable(0, "sig001i", [0.5]),
    Variable(0, "sig014b", []),
    Variable(3, "sig001a_wf", [1.0, 2.5], samples=[1, 2, 3, 4]),
    Variable(1, "Reward", [3.0, 4.0]),
    Variable(2, "Trial", [1.0, 5.0], stop=[2.0, 6.0]),
    Variable(2, "AllFile", [0.0], stop=[9.0]),
    Variable(6, "Strobed", [1.5, 2.5], texts=["00012", "00345"]),
    Variable(5, "joy_x", [1.0, 7.0], first=[0, 3], samples=[2, 4, 6, 8, 10], rate=1000.0),
    Variable(5, "joy_y", [1.0, 7.0], first=[0, 3], samples=[0, 0, 0, 0, 2], rate=1000.0),
    Variable(5, "pupil", [1.0], first=[0], samples=[6], rate=50.0),
    Variable(5, "FP01", [1.0], first=[0], samples=[2, 4], rate=1000.0),
]


@pytest.fixture(params=["nex", "nex5"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    written = tmp_path / f"a.{request.param}"
    write_nex(written, VARIABLES, new=request.param == "nex5")
    assert is_nex(written)
    return written


def test_every_spike_and_unit(path: Path) -> None:
    recording = open_nex(path)
    (source,) = recording.spikes
    assert isinstance(source, SpikeTimes)
    assert source.units.ids == ("sig001a", "sig001i", "sig014b")
    assert source.units.electrodes == ("sig001", "sig001", "sig014")
    assert source.units.numbers is not None
    assert source.units.numbers.tolist() == [1, 0, 2]
    assert source.n_spikes == 3  # those of the waveforms are the same ones
    time, row = source.read(np.array([1, 0, 2]))
    assert (time.tolist(), row.tolist()) == ([0.5, 1.0, 2.5], [1, 0, 0])
    assert ("sig001a_wf", "its spikes are those of the unit") in recording.others


def test_events_markers_and_intervals(path: Path) -> None:
    recording = open_nex(path)
    assert [(each.name, each.time.tolist(), each.text) for each in recording.markers] == [
        ("Reward", [3, 4], ("Reward", "Reward")),
        ("Strobed", [1.5, 2.5], ("00012", "00345")),
    ]
    (trials,) = recording.trials
    assert (trials.name, trials.start.tolist(), trials.stop.tolist()) == ("Trial", [1, 5], [2, 6])


def test_samples_keep_the_times_of_their_stretches(path: Path) -> None:
    recording = open_nex(path)
    series, pupil = recording.series
    assert (series.name, series.columns, series.units) == ("joy", ("x", "y"), ("mV", "mV"))
    assert (series.rate_hz, series.n_samples, pupil.name, pupil.columns) == (1000, 5, "pupil", ("pupil",))
    time, values = series.read()
    np.testing.assert_allclose(time, [1, 1.001, 1.002, 7, 7.001])
    assert values.tolist() == [[1, 0], [2, 0], [3, 0], [4, 0], [5, 1]]
    assert ("FP01", "voltage of 1 channel at 1000 Hz") in recording.others


def test_neo_reads_the_same(tmp_path: Path) -> None:
    from neo import rawio as neo

    write_nex(tmp_path / "a.nex", VARIABLES)
    raw = neo.NeuroExplorerRawIO(filename=str(tmp_path / "a.nex"))
    raw.parse_header()
    assert raw.rescale_spike_timestamp(raw.get_spike_timestamps(0, 0, 0)).tolist() == [1.0, 2.5]
    chunk = raw.get_analogsignal_chunk(0, 0, stream_index=0)
    assert raw.rescale_signal_raw_to_float(chunk, "float64", 0).ravel().tolist() == [1, 2, 3, 4, 5]


def test_damage_ends_in_one_line(path: Path) -> None:
    assert n_refused(path, is_nex, open_nex, 40) > 5
