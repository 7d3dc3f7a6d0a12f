"""Series of behaviour and signals: times, values, names, roles."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from rtdecode.errors import RtdecodeError
from rtdecode.tools.files.nwb.open import open_nwb
from rtdecode.tools.files.recording import Series

pytestmark = pytest.mark.filterwarnings("ignore")
Known = dict[str, np.ndarray]


def series_of(path: Path | str, name: str) -> Series:
    (series,) = (each for each in open_nwb(Path(path)).series if each.name == name)
    return series


def test_each_series_has_a_name_a_role_and_columns(rich: Path) -> None:
    assert {each.name: (each.role, each.columns, each.units[0]) for each in open_nwb(rich).series} == {
        "eval_mask": ("mask", ("eval_mask",), "bool"),
        "finger_pos/index": ("behavior", ("index",), "a.u."),
        "finger_pos/mrs": ("behavior", ("mrs",), "a.u."),
        "hand_vel": ("behavior", ("vx", "vy"), "m/s"),
        "wrench": ("behavior", ("fx", "fy", "fz"), "N"),
        "CompassDirection/heading": ("behavior", ("heading",), "radians"),
        "EyeTracking/gaze": ("behavior", ("x", "y"), "degrees"),
        "Position/cursor_pos": ("behavior", ("x", "y"), "meters"),
        "Position/hand_pos": ("behavior", ("x", "y"), "meters"),
        "PupilTracking/pupil": ("behavior", ("pupil",), "mm"),
        "LFP/lfp": ("signal", ("105", "100"), "volts"),
    }


def test_scale_and_offset_are_applied_once(rich: Path, known: Known) -> None:
    time, values = series_of(rich, "Position/cursor_pos").read()
    assert np.array_equal(time, known["time"])
    assert np.array_equal(values, known["place"] * 0.001 + 0.5)


def test_stamps_may_be_those_of_another_series(rich: Path, known: Known) -> None:
    hand = series_of(rich, "Position/hand_pos")
    time, values = hand.read()
    assert np.array_equal(time, known["time"])
    assert np.array_equal(values, (known["place"] * 1000).astype(np.int16) * 0.001)
    assert hand.clock == series_of(rich, "Position/cursor_pos").clock


def test_start_and_rate_give_the_times(rich: Path) -> None:
    time, _ = series_of(rich, "wrench").read()
    assert np.array_equal(time, 5 + np.arange(200) / 100)


def test_a_channel_has_a_scale_of_its_own(rich: Path) -> None:
    assert series_of(rich, "LFP/lfp").read()[1][0].tolist() == [1.0, 2.0]


def test_raw_voltage_is_for_detect(rich: Path) -> None:
    assert open_nwb(rich).others == (
        ("raw", "is raw voltage of 6 channels at 30000 Hz: rtdecode detect finds its spikes"),
    )


def test_an_interval_in_place_of_the_rate_and_a_start_in_place_of_the_offset(edited: h5py.File) -> None:
    """As in FALCON's H1, which its own loader reads so."""
    group = edited["processing/behavior/wrench"]
    del group["data"]
    group["data"] = np.ones((2000, 7))
    group["data"].attrs.update(conversion=1.0, offset=12.5, unit="arbitrary")
    group.attrs["description"] = "tx,ty,tz,rx,ry,rz,grasp"
    group["starting_time"][()] = 0
    group["starting_time"].attrs["rate"] = np.float32(0.02)
    edited.flush()
    series = series_of(edited.filename, "wrench")
    time, values = series.read()
    assert np.array_equal(time, 12.5 + np.arange(2000) * 0.02)
    assert (values == 1).all()
    assert series.rate_hz == 50
    assert "rate of 0.02 Hz is taken as an interval of so many seconds, and its offset" in series.note
    assert series.columns == ("tx", "ty", "tz", "rx", "ry", "rz", "grasp")


def test_stamps_in_two_rows(edited: h5py.File, known: Known) -> None:
    stamps(edited, "hand_vel", np.stack([known["time"], known["time"] + 0.01]))
    series = series_of(edited.filename, "hand_vel")
    assert np.array_equal(series.read()[0], known["time"])
    assert "its stamps have shape (2, 200)" in series.note


def test_stamps_in_float32(edited: h5py.File, known: Known) -> None:
    stamps(edited, "hand_vel", (known["time"] + 5000).astype(np.float32))
    assert "float32, rounded to 0.49 ms" in series_of(edited.filename, "hand_vel").note


def test_fewer_stamps_than_samples(edited: h5py.File, known: Known) -> None:
    stamps(edited, "hand_vel", known["time"][:190])
    series = series_of(edited.filename, "hand_vel")
    assert [len(each) for each in series.read()] == [190, 190] == [series.n_samples] * 2
    assert "190 stamps for 200 samples" in series.note


def test_columns_by_samples(edited: h5py.File, known: Known) -> None:
    group = edited["processing/behavior/hand_vel"]
    data(group, known["place"].T)
    series = series_of(edited.filename, "hand_vel")
    assert np.array_equal(series.read()[1], known["place"])
    assert "stored as (2, 200), columns by samples" in series.note


def test_nan_stays(edited: h5py.File) -> None:
    edited["processing/behavior/hand_vel/data"][3] = [np.nan, 1]
    edited.flush()
    assert np.isnan(series_of(edited.filename, "hand_vel").read()[1][3]).tolist() == [True, False]


def test_neither_stamps_nor_rate(edited: h5py.File) -> None:
    del edited["processing/behavior/wrench/starting_time"].attrs["rate"]
    edited.flush()
    assert ("wrench", "has neither stamps nor a rate") in open_nwb(Path(edited.filename)).others


def test_a_scale_of_nothing_is_named(edited: h5py.File, known: Known) -> None:
    edited["processing/behavior/hand_vel/data"].attrs["conversion"] = np.nan
    edited.flush()
    series = series_of(edited.filename, "hand_vel")
    assert "conversion is nan, and is taken as 1" in series.note
    assert np.array_equal(series.read()[1], known["place"])


def test_poses_have_their_confidence(edited: h5py.File, known: Known) -> None:
    group = edited["processing/behavior/EyeTracking/gaze"]
    group.attrs["neurodata_type"] = "PoseEstimationSeries"
    group["confidence"] = np.linspace(0, 1, 200).astype(np.float32)
    edited.flush()
    series = series_of(edited.filename, "EyeTracking/gaze")
    assert series.columns == ("x", "y", "confidence")
    assert np.array_equal(series.read()[1][:, :2], known["place"])
    assert series.read()[1][-1, 2] == 1


def test_power_by_bands(edited: h5py.File, known: Known) -> None:
    edited.copy("processing/ecephys/LFP/lfp", "processing/ecephys/high_gamma")
    group = edited["processing/ecephys/high_gamma"]
    data(group, np.arange(1200.0).reshape(200, 2, 3))
    group.create_group("bands")
    del group["channel_conversion"]
    series = series_of(edited.filename, "high_gamma")
    assert series.columns == ("105_0", "105_1", "105_2", "100_0", "100_1", "100_2")
    assert series.read()[1][1].tolist() == [3, 3.5, 4, 4.5, 5, 5.5]


def test_two_series_of_one_name_have_their_paths(edited: h5py.File) -> None:
    edited.copy("processing/behavior/wrench", "acquisition/wrench")
    edited.flush()
    names = [each.name for each in open_nwb(Path(edited.filename)).series]
    assert {"acquisition/wrench", "processing/behavior/wrench"} < set(names)


def test_a_link_that_leads_nowhere(edited: h5py.File) -> None:
    edited["acquisition/emg"] = h5py.ExternalLink("raw.nwb", "/acquisition/emg")
    edited["processing/behavior/there"] = h5py.SoftLink("/acquisition/lost")
    edited["processing/behavior/again"] = h5py.SoftLink("/processing/behavior/wrench")
    edited.flush()
    recording = open_nwb(Path(edited.filename))
    assert recording.notes == (
        "/acquisition/emg is a link to raw.nwb:/acquisition/emg, which is not there",
        "/processing/behavior/there is a link to /acquisition/lost, which is not there",
    )
    # What is linked twice is listed once.
    assert len(recording.series) == 11


def test_links_lead_to_another_file_and_in_a_circle(edited: h5py.File, binned: Path) -> None:
    edited["acquisition/power"] = h5py.ExternalLink(str(binned), "/acquisition/spiking_band_power")
    edited["acquisition/others"] = h5py.ExternalLink(str(binned), "/processing/ecephys")
    edited["processing/behavior/all"] = h5py.SoftLink("/")
    edited.flush()
    series = series_of(edited.filename, "power")
    assert (series.role, series.columns[0], series.read()[1].shape) == ("signal", "power_0", (50, 12))
    spikes = open_nwb(Path(edited.filename)).spikes[1]
    assert (spikes.name, spikes.units.ids, len(spikes.read(np.arange(2))[0])) == (
        "others",
        ("channel0", "channel1"),
        7,
    )


def test_stamps_in_a_file_that_is_not_there(edited: h5py.File) -> None:
    del edited["processing/behavior/hand_vel/timestamps"]
    edited["processing/behavior/hand_vel/timestamps"] = h5py.ExternalLink("raw.nwb", "/t")
    edited.flush()
    with pytest.raises(RtdecodeError) as error:
        series_of(edited.filename, "hand_vel").read()
    assert str(error.value).count("\n") == 0


def stamps(file: h5py.File, name: str, values: np.ndarray) -> None:
    group = file["processing/behavior"][name]
    del group["timestamps"]
    group["timestamps"] = values
    file.flush()


def data(group: h5py.Group, values: np.ndarray) -> None:
    attrs = dict(group["data"].attrs)
    del group["data"]
    group["data"] = values
    group["data"].attrs.update(attrs)
    group.file.flush()
