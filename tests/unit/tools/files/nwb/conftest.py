"""Files that pynwb writes, with known content."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import h5py
import numpy as np
import pytest
from pynwb import NWBHDF5IO, NWBFile, TimeSeries
from pynwb.behavior import (
    BehavioralEvents,
    BehavioralTimeSeries,
    CompassDirection,
    EyeTracking,
    Position,
    PupilTracking,
    SpatialSeries,
)
from pynwb.ecephys import LFP, ElectricalSeries, SpikeEventSeries
from pynwb.file import Subject
from pynwb.misc import AnnotationSeries, IntervalSeries

TIME = 5 + np.arange(200) * 0.01
PLACE = np.stack([np.sin(TIME), np.cos(TIME)], axis=1)
SPIKES = [np.array([5.1, 5.2, 6.9]), np.array([]), np.arange(5, 7, 0.004), np.array([5.5])]
COUNTS = np.random.default_rng(0).poisson(1.0, (50, 12)).astype(np.uint8)


def new_file(**more: object) -> NWBFile:
    return NWBFile("a session", "id-1", datetime(2024, 3, 2, 10, tzinfo=UTC), **more)


def write(path: Path, file: NWBFile) -> Path:
    with NWBHDF5IO(path, "w") as io:
        io.write(file)
    return path


def add_electrodes(file: NWBFile, n: int, label: str = "") -> None:
    """Electrodes with ids 100, 101 …, the last two on an array of its own."""
    device = file.create_device("device")
    groups = [
        file.create_electrode_group(name, "array", area, device) for name, area in (("A", "M1"), ("B", "PMd"))
    ]
    if label:
        file.add_electrode_column("label", "name")
    for row in range(n):
        named = {"label": f"{label}{row}"} if label else {}
        group = groups[row >= n - 2]
        file.add_electrode(
            id=100 + row, rel_x=400.0 * row, rel_y=0.0, location=group.location, group=group, **named
        )


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("nwb")


@pytest.fixture(scope="session")
def known() -> dict[str, np.ndarray | list[np.ndarray]]:
    """What was written."""
    return {"time": TIME, "place": PLACE, "spikes": SPIKES, "counts": COUNTS}


@pytest.fixture(scope="session")
def rich(folder: Path) -> Path:
    """Sorted units on electrodes, series of every kind, trials, markers."""
    file = new_file(session_id="day1", institution="lab of tests", experiment_description="reach")
    file.subject = Subject(subject_id="N", species="Macaca mulatta", age="P5Y", sex="F")
    add_electrodes(file, 6)
    file.add_unit_column("quality", "of the sorting")
    for row, (times, electrode) in enumerate(zip(SPIKES, (3, 1, 3, 5), strict=True)):
        file.add_unit(
            id=1011 + row,
            spike_times=times,
            electrodes=[electrode],
            obs_intervals=[[5, 6], [6.2, 7]],
            quality="good" if row % 2 else "mua",
            waveform_mean=np.zeros(8),
            waveforms=np.zeros((len(times), 1, 8), np.float32),
        )
    behavior = file.create_processing_module("behavior", "movement")
    position = Position()
    cursor = position.create_spatial_series(
        "cursor_pos", data=PLACE, timestamps=TIME, reference_frame="screen", conversion=0.001, offset=0.5
    )
    position.create_spatial_series(
        "hand_pos",
        data=(PLACE * 1000).astype(np.int16),
        timestamps=cursor,
        reference_frame="desk",
        conversion=0.001,
    )
    behavior.add(position)
    behavior.add(
        TimeSeries(
            "wrench",
            PLACE.repeat(2, axis=1)[:, :3],
            "N",
            starting_time=5.0,
            rate=100.0,
            description="fx,fy, fz",
        )
    )
    behavior.add(
        SpatialSeries("hand_vel", PLACE, "n/a", "m/s", timestamps=TIME, comments="columns=[vx,vy]"),
    )
    behavior.add(CompassDirection(SpatialSeries("heading", TIME, "north", "radians", timestamps=TIME)))
    behavior.add(EyeTracking(SpatialSeries("gaze", PLACE, "screen", "degrees", timestamps=TIME)))
    behavior.add(PupilTracking(TimeSeries("pupil", TIME, "mm", timestamps=TIME)))
    behavior.add(BehavioralEvents(TimeSeries("reward", np.array([1.0, 2.5]), "ml", timestamps=[5.5, 6.5])))
    fingers = BehavioralTimeSeries(name="finger_pos")
    for finger in ("index", "mrs"):
        fingers.add_timeseries(TimeSeries(finger, TIME.astype(np.float32), "a.u.", timestamps=TIME))
    file.add_acquisition(fingers)
    file.add_acquisition(TimeSeries("eval_mask", TIME > 6, "bool", timestamps=TIME))
    file.add_acquisition(
        ElectricalSeries(
            "raw",
            np.zeros((300, 6), np.int16),
            file.create_electrode_table_region(list(range(6)), "all"),
            rate=30000.0,
        )
    )
    ecephys = file.create_processing_module("ecephys", "signals")
    ecephys.add(
        LFP(
            ElectricalSeries(
                "lfp",
                np.ones((200, 2), np.int16),
                file.create_electrode_table_region([5, 0], "two"),
                timestamps=TIME,
                conversion=0.5,
                channel_conversion=[2.0, 4.0],
            )
        )
    )
    file.add_acquisition(AnnotationSeries("cues", data=["go", "stop"], timestamps=[5.2, 6.1]))
    file.add_acquisition(IntervalSeries("still", data=np.array([1, -1], np.int8), timestamps=[5.0, 5.5]))
    file.add_trial_column("target_positions", "of all targets", index=True)
    file.add_trial_column("active_target", "row of them")
    file.add_trial_column("place", "where")
    file.add_trial_column("result", "R or F")
    file.add_trial(
        start_time=5.0,
        stop_time=5.9,
        target_positions=[[1.0, 2.0], [3.0, 4.0]],
        active_target=1,
        place=[1.0, 2.0],
        result="R",
    )
    file.add_trial(
        start_time=6.0,
        stop_time=np.nan,
        target_positions=[[5.0, 6.0]],
        active_target=0,
        place=[3.0, 4.0],
        result="F",
    )
    file.add_epoch(start_time=5.0, stop_time=7.0, tags=["task", "awake"])
    return write(folder / "rich.nwb", file)


@pytest.fixture(scope="session")
def binned(folder: Path) -> Path:
    """Counts as of FALCON H2 and LINK, power beside them, waveforms of events, invalid times."""
    file = new_file()
    add_electrodes(file, 6, label="elec")
    stamps = np.concatenate([np.arange(25), np.arange(40, 65)]) * 0.02
    file.add_acquisition(
        TimeSeries(
            "binned_spikes", COUNTS, "n/a", timestamps=stamps, description="counts from the start of each bin"
        )
    )
    file.add_acquisition(TimeSeries("tx", COUNTS * 50.0, "Hz", starting_time=1.0, rate=50.0))
    file.add_acquisition(TimeSeries("spiking_band_power", COUNTS * 0.5, "uV", starting_time=1.0, rate=50.0))
    module = file.create_processing_module("ecephys", "events")
    for row in range(2):
        region = file.create_electrode_table_region([4 - row], "one")
        times = np.arange(1, 4 + row) * 0.1
        module.add(SpikeEventSeries(f"channel{row}", np.zeros((3 + row, 8)), times, region))
    region = file.create_electrode_table_region([0, 1, 2, 3], "tetrode")
    file.add_acquisition(SpikeEventSeries("tetrode", np.zeros((2, 4, 8)), np.array([0.5, 0.6]), region))
    file.add_invalid_time_interval(start_time=0.5, stop_time=0.8)
    return write(folder / "binned.nwb", file)


@pytest.fixture
def edited(rich: Path, tmp_path: Path) -> h5py.File:
    """A copy of the rich file, open for changes."""
    copy = tmp_path / "edited.nwb"
    copy.write_bytes(rich.read_bytes())
    with h5py.File(copy, "r+") as file:
        yield file
