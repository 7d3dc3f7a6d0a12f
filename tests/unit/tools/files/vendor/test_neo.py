"""Recordings that are read through neo: known content, a quiet terminal, one line for what is wrong."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from files.acquired import write_legacy_open_ephys, write_neuralynx, write_open_ephys, write_rhd
from files.damage import n_refused

from rtdecode.errors import RtdecodeError
from rtdecode.tools.files.recording import SpikeTimes
from rtdecode.tools.files.vendor.neo.open import is_neo, open_neo

SAMPLES = np.stack((np.zeros(3000), np.arange(3000)), axis=1).astype(np.int16)
SPIKES = np.array([[30_030, 2, 1], [30_060, 1, 0], [30_090, 2, 3]])


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    return write_open_ephys(tmp_path / "day", SAMPLES, 30_000, SPIKES)


def test_open_ephys(recorded: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert is_neo(recorded.parents[1])
    recording = open_neo(recorded.parents[1])
    assert recording.format == "Open Ephys binary"
    (source,) = recording.spikes
    assert isinstance(source, SpikeTimes)
    assert source.units.ids == ("1/0", "2/1", "2/3")
    assert source.units.electrodes == ("1", "2", "2")
    time, row = source.read(np.arange(3))
    assert (time.tolist(), row.tolist()) == ([1.001, 1.002, 1.003], [1, 0, 2])
    (series,) = recording.series
    assert (series.columns, series.units, series.n_samples, series.rate_hz) == (("ADC1",), ("V",), 100, 1000)
    assert series.note == "every 30th of its samples at 30000 Hz"
    seconds, values = series.read()
    np.testing.assert_allclose(seconds, 1 + np.arange(100) / 1000)
    np.testing.assert_allclose(values[:, 0], np.arange(0, 3000, 30) * 0.0005, rtol=1e-6)
    (pulses,) = recording.markers
    assert (pulses.name, pulses.time.tolist(), pulses.text) == ("TTL", [1.01, 1.03], ("1", "1"))
    assert "rtdecode detect" in dict(recording.others)["Acquisition_Board-100.0"]
    assert capfd.readouterr() == ("", "")


def test_open_ephys_before_0_6(recorded: Path) -> None:
    folder = recorded / "spikes" / "Spikes-100.0"
    for name in ("sample_numbers", "timestamps", "electrode_indices", "clusters"):
        (folder / f"{name}.npy").unlink()
    for name, column in zip(
        ("spike_times", "spike_electrode_indices", "spike_clusters"), SPIKES.T, strict=True
    ):
        np.save(folder / f"{name}.npy", column)
    source = open_neo(recorded / "structure.oebin").spikes[0]
    assert source.read(np.array([1]))[0].tolist() == [1.001]


def test_legacy_open_ephys(tmp_path: Path) -> None:
    write_legacy_open_ephys(tmp_path / "day", np.array([[30_030, 2], [30_060, 0], [30_300, 2]]), 30_000)
    assert is_neo(tmp_path / "day")
    (source,) = open_neo(tmp_path / "day").spikes
    assert isinstance(source, SpikeTimes)
    assert (source.units.ids, source.units.electrodes) == (("SE0#0", "SE0#2"), ("SE0", "SE0"))
    assert source.n_spikes is None
    assert source.units.numbers is not None
    assert source.units.numbers.tolist() == [0, 2]
    time, row = source.read(np.arange(2))
    assert (time.tolist(), row.tolist()) == ([1.002, 1.001, 1.01], [0, 1, 1])


def test_neuralynx(tmp_path: Path) -> None:
    spikes = np.array([[5_000_000, 0], [5_250_000, 3], [6_000_000, 3]])
    write_neuralynx(tmp_path / "day", spikes, {5_500_000: "trial 1", 5_600_000: "reward"})
    assert is_neo(tmp_path / "day" / "Events.nev")
    recording = open_neo(tmp_path / "day")
    (source,) = recording.spikes
    assert isinstance(source, SpikeTimes)
    assert source.units.numbers is not None
    assert source.units.numbers.tolist() == [0, 3]
    time, row = source.read(np.arange(2))
    assert (time.tolist(), row.tolist(), source.n_spikes) == ([5.0, 5.25, 6.0], [0, 1, 1], 3)
    (events,) = recording.markers
    assert (events.time.tolist(), events.text) == ([5.5, 5.6], ("trial 1", "reward"))


def test_intan_has_no_spikes_but_its_inputs(tmp_path: Path) -> None:
    path = tmp_path / "day.rhd"
    write_rhd(path, np.zeros(256, np.uint16), np.arange(256, dtype=np.uint16))
    assert is_neo(path)
    recording = open_neo(path)
    assert (recording.format, recording.spikes) == ("Intan RHD", ())
    (series,) = recording.series
    time, values = series.read()
    np.testing.assert_allclose(time, np.arange(0, 256, 20) / 20_000)
    np.testing.assert_allclose(np.diff(values[:, 0]), 20 * 50.354e-6, rtol=1e-3)
    assert recording.others[0][1].startswith(
        "voltage of 1 channel at 20000 Hz: find spikes in it with rtdecode"
    )
    assert n_refused(path, is_neo, open_neo, 30) > 5


def test_a_damaged_array_is_one_line(recorded: Path) -> None:
    clusters = recorded / "spikes" / "Spikes-100.0" / "clusters.npy"
    np.save(clusters, np.zeros(2))
    with pytest.raises(RtdecodeError, match="it has 3 times, 3 electrodes and 2 clusters"):
        open_neo(recorded)
    clusters.write_bytes(b"\x93NUMPY")
    with pytest.raises(RtdecodeError, match=r"clusters\.npy: cannot be read"):
        open_neo(recorded)
    (recorded / "continuous" / "Acquisition_Board-100.0" / "continuous.dat").unlink()
    with pytest.raises(RtdecodeError, match="neo cannot read it"):
        open_neo(recorded)


def test_without_neo_the_fix_installs_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_rhd(tmp_path / "day.rhd", np.zeros(128, np.uint16), np.zeros(128, np.uint16))
    monkeypatch.setitem(sys.modules, "neo.rawio", None)
    with pytest.raises(RtdecodeError, match=r"not installed here\. Fix: pip install 'rtdecode\[neo\]'"):
        open_neo(tmp_path / "day.rhd")
