"""Trials, other intervals, markers, and what is said of the file as a whole."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from rtdecode.tools.files.nwb.open import open_nwb

pytestmark = pytest.mark.filterwarnings("ignore")


def test_trials_have_all_their_columns(rich: Path) -> None:
    trials, still, epochs = open_nwb(rich).trials
    assert (trials.name, still.name, epochs.name) == ("trials", "still", "epochs")
    assert trials.start.tolist() == [5, 6]
    assert trials.stop[0] == 5.9
    assert np.isnan(trials.stop[1])
    assert trials.columns["result"].tolist() == ["R", "F"]
    assert trials.columns["place"].tolist() == [[1, 2], [3, 4]]
    # A list of targets a trial is kept as text; the one that counts is a column of its own.
    assert trials.columns["target_positions"].tolist() == ["[[1.0, 2.0], [3.0, 4.0]]", "[[5.0, 6.0]]"]
    assert trials.columns["active_target_positions"].tolist() == [[3, 4], [5, 6]]
    assert epochs.columns["tags"].tolist() == ["task, awake"]
    assert (still.start.tolist(), still.stop.tolist()) == ([5.0], [5.5])


def test_a_list_of_one_value_is_that_value(edited: h5py.File) -> None:
    trials = edited["intervals/trials"]
    del trials["target_positions"], trials["target_positions_index"]
    trials["target_positions"] = np.array([[1.0, 2.0], [3.0, 4.0]])
    trials["target_positions_index"] = np.array([1, 2], np.uint8)
    trials["split"] = np.array([b"train", b"val"])
    # A column whose name is that of an index, as pynwb marks it.
    trials["split_index"] = np.array([7, 3])
    trials["split_index"].attrs["neurodata_type"] = "VectorData"
    edited.flush()
    columns = open_nwb(Path(edited.filename)).trials[0].columns
    assert columns["target_positions"].tolist() == [[1, 2], [3, 4]]
    assert columns["split"].tolist() == ["train", "val"]
    assert columns["split_index"].tolist() == [7, 3]


def test_intervals_that_were_observed(edited: h5py.File) -> None:
    edited.copy("intervals/epochs", "intervals/observed")
    edited.flush()
    recording = open_nwb(Path(edited.filename))
    assert recording.observed.tolist() == [[5, 7]]
    assert "observed" not in [each.name for each in recording.trials]


def test_markers_of_every_kind(edited: h5py.File) -> None:
    labelled = edited.create_group("acquisition/states")
    labelled["timestamps"], labelled["data"] = [5.0, 5.5], np.array([1, 0], np.uint8)
    labelled["data"].attrs["labels"] = ["go", "hold"]
    edited.create_group("acquisition/pulse")["timestamps"] = [5.25]
    table = edited.create_group("events/licks")
    table["id"], table["timestamp"], table["annotation"] = [0, 1], [6.0, 6.5], ["left", "right"]
    kinds = edited.create_group("processing/behavior/kinds")
    kinds["id"], kinds["label"] = [0, 1], ["tone", "light"]
    kinds["event_times"], kinds["event_times_index"] = [5.0, 7.0, 6.0], np.array([2, 3], np.uint8)
    edited.flush()
    found = {
        each.name: list(zip(each.time.tolist(), each.text, strict=True))
        for each in open_nwb(Path(edited.filename)).markers
    }
    assert found == {
        "cues": [(5.2, "go"), (6.1, "stop")],
        "BehavioralEvents/reward": [(5.5, "reward 1"), (6.5, "reward 2.5")],
        "states": [(5.0, "hold"), (5.5, "go")],
        "pulse": [(5.25, "pulse")],
        "licks": [(6.0, "left"), (6.5, "right")],
        "kinds": [(5.0, "tone"), (6.0, "light"), (7.0, "tone")],
    }


def test_attributes(rich: Path) -> None:
    attrs = open_nwb(rich).attrs
    expected = {"subject": "N", "session_id": "day1", "date": "2024-03-02", "species": "Macaca mulatta"}
    assert expected.items() <= attrs.items()


def test_a_part_without_behaviour_and_one_without_spikes(edited: h5py.File) -> None:
    """As test splits and sessions of two files have them."""
    del edited["units"]
    edited.flush()
    assert open_nwb(Path(edited.filename)).notes == ("The file holds no spikes",)
    del edited["processing/behavior"], edited["acquisition/finger_pos"]
    edited.flush()
    recording = open_nwb(Path(edited.filename))
    assert recording.notes == ("The file holds no spikes",)
    assert not [each for each in recording.series if each.role == "behavior"]
