"""MATLAB files of the layouts that labs publish, in both versions of the format."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from files.mat import cell, column, write_mat
from scipy.sparse import csc_array

from rtdecode.errors import RtdecodeError
from rtdecode.tools.files.matlab.open import is_matlab, open_matlab
from rtdecode.tools.files.recording import BinnedSpikes, Recording, SpikeTimes

BOTH = pytest.mark.parametrize("version", ["5", "7.3"])
NOTHING = np.zeros((0, 0))


def _spikes(recording: Recording) -> tuple[SpikeTimes, dict[str, list[float]]]:
    """The only spikes, and the times of each unit."""
    (spikes,) = recording.spikes
    assert isinstance(spikes, SpikeTimes)
    time, row = spikes.read(np.arange(len(spikes.units.ids)))
    assert len(time) == spikes.n_spikes
    return spikes, {name: time[row == i].round(6).tolist() for i, name in enumerate(spikes.units.ids)}


def _binned(recording: Recording) -> tuple[BinnedSpikes, Any, Any]:
    (spikes,) = recording.spikes
    assert isinstance(spikes, BinnedSpikes)
    return spikes, *spikes.read(np.arange(len(spikes.units.ids)))


def _series(recording: Recording) -> dict[str, tuple[tuple[str, ...], tuple[str, ...], Any]]:
    return {each.name: (each.columns, each.units, each.read()[1].tolist()) for each in recording.series}


@BOTH
def test_indy(tmp_path: Path, version: str) -> None:
    finger = np.array([[3.0, -1, -2], [3, -1, -2], [30, -10, -20]])
    path = write_mat(
        tmp_path / "a.mat",
        version,
        chan_names=cell(["M1 001"], ["M1 002"], ["S1 001"]),
        spikes=cell(
            [column(0.5, 9.5), column(1), NOTHING],
            [NOTHING, NOTHING, column(2)],
            [column(3), NOTHING, NOTHING],
        ),
        t=column(1, 1.004, 1.008),
        cursor_pos=np.array([[1.0, 2], [3, 4], [5, 6]]),
        finger_pos=finger,
        target_pos=np.array([[10.0, 0], [10, 0], [0, 10]]),
        wf=cell([NOTHING]),
    )
    assert is_matlab(path)
    found = open_matlab(path)
    assert found.format == f"MATLAB v{version} (Zenodo Indy/Loco)"
    spikes, times = _spikes(found)
    # Spikes outside t are kept, and empty cells are no spikes.
    assert times == {
        "M1 001.0": [0.5, 9.5], "M1 001.1": [1.0], "M1 002.0": [], "M1 002.2": [2.0], "S1 001.0": [3.0],
    }  # fmt: skip
    assert spikes.units.electrodes == ("M1 001", "M1 001", "M1 002", "M1 002", "S1 001")
    assert spikes.units.numbers is not None
    assert spikes.units.numbers.tolist() == [0, 1, 0, 2, 0]
    assert spikes.units.arrays == ("M1",) * 4 + ("S1",)
    assert _series(found) == {
        "cursor_pos": (("x", "y"), ("mm", "mm"), [[1, 2], [3, 4], [5, 6]]),
        "finger_pos": (("x", "y", "z"), ("cm",) * 3, [[1, 2, 3], [1, 2, 3], [10, 20, 30]]),
    }
    assert {each.clock for each in found.series} == {"t"}
    (trials,) = found.trials
    assert (trials.start.tolist(), trials.stop.tolist()) == ([1, 1.008], [1.008, 1.008])
    assert trials.columns["target"].tolist() == [[10, 0], [0, 10]]


def test_indy_with_the_angles_of_the_finger(tmp_path: Path) -> None:
    path = write_mat(
        tmp_path / "a.mat",
        "7.3",
        chan_names=cell(["M1 001"], ["M1 002"]),
        spikes=cell([column(1)], [column(2)]),
        t=column(1, 2),
        finger_pos=np.array([[3.0, -1, -2, 7, 8, 9]] * 2),
    )
    found = open_matlab(path)
    assert _series(found)["finger_pos"][0] == ("x", "y", "z", "azimuth", "elevation", "roll")
    assert _series(found)["finger_pos"][2][0] == [1, 2, 3, 7, 8, 9]
    assert found.spikes[0].units.arrays == ()


def _trial(n: int, first: float, **more: Any) -> dict[str, Any]:
    ramp = first + np.arange(n, dtype=np.float64)
    return {
        "monkey": "Chewie",
        "bin_size": column(0.03),
        "result": "R",
        "trial_id": column(first),
        "target_center": np.array([[first, -first]]),
        "idx_go_cue": column(2),
        "idx_movement_on": column(np.nan),
        "pos": np.stack((ramp, -ramp), axis=1),
        "M1_spikes": np.stack((ramp, ramp + 1), axis=1).astype("u1"),
        "M1_unit_guide": np.array([[7.0, 1], [7, 2]]),
        "PMd_spikes": ramp.reshape(-1, 1).astype("u1"),
        "PMd_unit_guide": np.array([[3.0, 0]]),
        **more,
    }


@BOTH
def test_trial_data(tmp_path: Path, version: str) -> None:
    trials = [_trial(4, 10), _trial(3, 50)]
    found = open_matlab(write_mat(tmp_path / "a.mat", version, trial_data=trials))
    spikes, stamp, values = _binned(found)
    assert (spikes.name, spikes.bin_width_s, spikes.stamps) == ("M1_spikes+PMd_spikes", 0.03, "start")
    assert spikes.units.ids == ("M1 7.1", "M1 7.2", "PMd 3.0")
    assert spikes.units.arrays == ("M1", "M1", "PMd")
    assert spikes.units.electrodes == ("7", "7", "3")
    assert spikes.units.numbers is not None
    assert spikes.units.numbers.tolist() == [1, 2, 0]
    assert values[:, 1].tolist() == [11, 12, 13, 14, 51, 52, 53]
    # The second begins 34 bins, a little above 1 s, after the first has ended.
    start = [0.0, 38 * 0.03]
    assert np.allclose(stamp, [0, 0.03, 0.06, 0.09, *(start[1] + np.arange(3) * 0.03)])
    assert found.observed is not None
    assert np.allclose(found.observed, [[0, 0.12], [start[1], start[1] + 0.09]])
    assert spikes.observed is found.observed
    assert found.notes == (
        "its 2 trials have no absolute times: they are put one after another, 1.02 s apart, "
        "and what is between is not observed",
    )
    assert _series(found) == {
        "pos": (("x", "y"), ("", ""), [*([v, -v] for v in (10, 11, 12, 13, 50, 51, 52))])
    }
    (table,) = found.trials
    assert np.allclose(table.start, start)
    assert {name: column.tolist() for name, column in table.columns.items()} == {
        "monkey": ["Chewie"] * 2,
        "bin_size": [0.03] * 2,
        "result": ["R", "R"],
        "trial_id": [10, 50],
        "target_center": [[10, -10], [50, -50]],
    }
    (idx,) = found.markers
    assert idx.text == ("go_cue", "go_cue")
    assert np.allclose(idx.time, [0.03, start[1] + 0.03])
    assert found.attrs == {"subject": "Chewie"}


def test_what_is_not_read_is_listed(tmp_path: Path) -> None:
    trials = [_trial(4, 10), _trial(3, 50)]
    trials[1]["pos"] = trials[1]["pos"][:-1]
    found = open_matlab(write_mat(tmp_path / "a.mat", "5", trial_data=trials))
    assert (found.series, found.others) == ((), (("pos", "it has no row for each bin of each trial"),))
    found = open_matlab(write_mat(tmp_path / "b.mat", "5", st=cell([column(1, 2)]), hand=column(3, 4)))
    assert found.others == (("hand", "beside cells of spikes no more is read"),)


def test_trial_data_without_a_guide_and_a_bin_size(tmp_path: Path) -> None:
    trials = [{"idx_go_cue": column(1), "spikes": column(1), "M1_spikes": np.ones((2, 2)), "x": column(1, 2)}]
    found = open_matlab(write_mat(tmp_path / "a.mat", "7.3", td=trials))
    spikes, _, _ = _binned(found)
    assert (spikes.name, spikes.units.ids) == ("M1_spikes", ("M1 1.0", "M1 2.0"))
    assert found.notes[1] == "it does not state its bins (bin_size): they are taken to be 10 ms"


@BOTH
def test_xds(tmp_path: Path, version: str) -> None:
    xds = {
        "meta": {"monkey": "Jango", "dateTime": "2015/07/30", "task": "WF"},
        "time_frame": column(0, 0.05, 0.1),
        "bin_width": column(0.05),
        "spikes": cell([column(0.01, 0.02), NOTHING]),
        "spike_counts": np.array([[2.0, 0], [0, 0], [0, 0]]),
        "unit_names": cell(["elec1", "elec2"]),
        "spike_waveforms": cell([np.ones((3, 48)), np.ones((3, 48))]),
        "curs_p": np.array([[1.0, 2], [3, 4], [5, 6]]),
        "curs_v": np.ones((3, 2)),
        "force": np.ones((3, 2)),
        "EMG": np.array([[1.0, 2, 3, 4], [3, 4, 5, 6], [5, 6, 7, 8]]),
        "EMG_names": cell(["FCR", "ECR", "FCU", "ECU"]),
        "raw_EMG": np.ones((9, 4)),
        "trial_start_time": column(0.01, 0.06),
        "trial_end_time": column(0.05, 0.1),
        "trial_result": "RF",
        "trial_target_dir": column(0, 90),
    }
    found = open_matlab(write_mat(tmp_path / "a.mat", version, xds=xds))
    assert found.format == f"MATLAB v{version} (xds)"
    assert _spikes(found)[1] == {"elec1": [0.01, 0.02], "elec2": []}
    assert found.others == (
        ("spike_counts", "the same spikes as spikes, in bins"),
        ("raw_EMG", "it has another clock"),
    )
    series = _series(found)
    assert {name: columns for name, (columns, _, _) in series.items()} == {
        "curs_p": ("x", "y"),
        "curs_v": ("vx", "vy"),
        "force": ("force_0", "force_1"),
        "EMG": ("FCR", "ECR", "FCU", "ECU"),
    }
    assert found.series[0].read()[0].tolist() == [0, 0.05, 0.1]
    (trials,) = found.trials
    assert (trials.stop.tolist(), trials.columns["result"].tolist()) == ([0.05, 0.1], ["R", "F"])
    assert found.attrs == {"subject": "Jango", "date": "2015/07/30", "task": "WF"}
    del xds["spikes"]
    spikes, stamp, values = _binned(open_matlab(write_mat(tmp_path / "b.mat", version, xds=xds)))
    assert (spikes.name, spikes.bin_width_s, spikes.units_of_values) == ("spike_counts", 0.05, "")
    assert (stamp.tolist(), values[0].tolist()) == ([0, 0.05, 0.1], [2, 0])


@BOTH
def test_binned_data_are_rates(tmp_path: Path, version: str) -> None:
    binned = {
        "timeframe": column(1, 1.05, 1.1),
        "spikeratedata": np.array([[20.0, 0], [0, 40], [20, 20]]),
        "neuronIDs": np.array([[5.0, 1], [9, 0]]),
        "cursorposbin": np.array([[1.0, 2], [3, 4], [5, 6]]),
        "velocbin": np.ones((3, 4)),
        "trialtable": np.ones((2, 8)),
    }
    found = open_matlab(write_mat(tmp_path / "a.mat", version, binnedData=binned))
    spikes, _, values = _binned(found)
    assert (spikes.units_of_values, spikes.bin_width_s, spikes.units.ids) == ("Hz", None, ("5.1", "9.0"))
    assert values[1].tolist() == [0, 40]
    assert _series(found)["velocbin"][0] == ("velocbin_0", "velocbin_1", "velocbin_2", "velocbin_3")
    assert found.others == (("trialtable", "its columns differ from task to task"),)


@BOTH
def test_r_struct(tmp_path: Path, version: str) -> None:
    def trial(first: int, n: int, **more: Any) -> dict[str, Any]:
        raster = np.zeros((2, n))
        raster[1, [0, 2]] = 1, 2
        return {
            "spikeRaster": csc_array(raster),
            "cursorPos": np.arange(3.0 * n).reshape(3, n),
            "isSuccessful": np.array([[first == 1000]]),
            "startTrialParams": {"posTarget": column(first, 40, 0)},
            "counter": first + np.arange(float(n)).reshape(1, -1),
            **more,
        }

    found = open_matlab(
        write_mat(tmp_path / "a.mat", version, R=[trial(1000, 5), trial(1005, 4), trial(3000, 4)])
    )
    spikes, times = _spikes(found)
    assert times == {"1": [], "2": [1.0, 1.002, 1.002, 1.005, 1.007, 1.007, 3.0, 3.002, 3.002]}
    # Two trials follow without a pause.
    assert spikes.observed is not None
    assert np.allclose(spikes.observed, [[1, 1.009], [3, 3.004]])
    (cursor,) = found.series
    time, values = cursor.read()
    assert (cursor.columns, values[5].tolist(), found.notes) == (("x", "y", "z"), [0, 4, 8], ())
    assert np.allclose(time[[0, 5, 9]], [1, 1.005, 3])
    (table,) = found.trials
    assert np.allclose(table.start, [1, 1.005, 3])
    assert table.columns["success"].tolist() == [1, 0, 0]
    assert table.columns["target"].tolist() == [[1000, 40], [1005, 40], [3000, 40]]
    # A second array, and no time of their own.
    trials = [trial(0, 4, spikeRaster2=csc_array(np.ones((1, 4)))) for _ in range(2)]
    for each in trials:
        del each["counter"]
    found = open_matlab(write_mat(tmp_path / "b.mat", version, R=trials))
    spikes, times = _spikes(found)
    assert spikes.units.arrays == ("array 1", "array 1", "array 2")
    assert times["array 1 2"] == [0, 0.002, 0.002, 1.004, 1.006, 1.006]
    assert found.notes[0].startswith("its 2 trials have no absolute times (counter)")


@BOTH
def test_cells_and_structs_of_spikes(tmp_path: Path, version: str) -> None:
    units = [
        {"chan": column(4), "ID": column(1), "spikes": {"ts": column(1, 2)}},
        {"chan": column(4), "ID": column(2), "spikes": {"ts": column(3)}},
    ]
    for variables, expected in (
        ({"spikes": cell([column(1), NOTHING, column(2, 3)])}, {"1": [1], "3": [2, 3]}),
        (
            {"s": cell([cell([column(1), column(2)]), cell([NOTHING, column(3)])])},
            {"1.1": [1], "1.2": [2], "2.2": [3]},
        ),
        ({"n": [{"name": "a", "times": column(1)}, {"name": "b", "times": column(2)}]}, {"a": [1], "b": [2]}),
        ({"cds": {"units": units, "rate": column(1)}}, {"4.1": [1, 2], "4.2": [3]}),
    ):
        path = write_mat(tmp_path / "a.mat", version, **variables)  # type: ignore[arg-type]
        found = open_matlab(path)
        assert _spikes(found)[1] == expected
        path.unlink()


@BOTH
def test_what_is_not_known_is_listed(tmp_path: Path, version: str) -> None:
    path = write_mat(
        tmp_path / "a.mat",
        version,
        lfp=np.zeros((3, 2)),
        c=cell(["a", "b"]),
        s={"fs": column(1), "x": "y"},
        t="text",
    )
    with pytest.raises(RtdecodeError, match="in no layout that is imported; it holds ") as error:
        open_matlab(path)
    for part in ("lfp (3 × 2)", "c (cell, 1 × 2)", "s (fs, x)", "t (text)"):
        assert part in str(error.value)


@BOTH
def test_damaged_files_end_in_one_line(tmp_path: Path, version: str) -> None:
    whole = write_mat(tmp_path / "a.mat", version, trial_data=[_trial(4, 10), _trial(3, 50)]).read_bytes()
    rng = np.random.default_rng(0)
    damaged = [whole[:n] for n in np.linspace(20, len(whole) - 1, 12).astype(int)]
    for _ in range(25):
        content = bytearray(whole)
        for at in rng.integers(128, len(whole), 6).tolist():
            content[at] = int(rng.integers(256))
        damaged.append(bytes(content))
    for content in damaged:
        (tmp_path / "b.mat").write_bytes(content)
        with suppress(RtdecodeError):
            open_matlab(tmp_path / "b.mat")


def test_a_file_that_was_cut_is_damaged(tmp_path: Path) -> None:
    for version in ("5", "7.3"):
        path = write_mat(tmp_path / f"{version}.mat", version, x=np.random.default_rng(0).random((50, 50)))
        path.write_bytes(path.read_bytes()[:-2000])
        with pytest.raises(RtdecodeError, match="is a damaged MATLAB file"):
            open_matlab(path)


@pytest.mark.sessions
def test_a_real_file(data_dir: Path) -> None:
    found = open_matlab(data_dir / "formats" / "nelpy_linear_track_spikes.mat")
    spikes, times = _spikes(found)
    every = np.concatenate([*times.values()])
    assert (len(times), len(every)) == (31, 28_829)
    assert (every.min().round(4), every.max().round(4)) == (4397.0023, 6365.1473)
    assert spikes.units.ids[:2] == ("1.1", "1.2")
    assert spikes.units.electrodes[-1] == "13"
    assert spikes.observed is not None
    assert np.allclose(spikes.observed, [[4396.9975, 6365.2707]])
