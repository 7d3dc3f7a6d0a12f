"""Units, counts and waveforms of events, as pynwb wrote them."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import h5py
import numpy as np
import pytest

from rtdecode.errors import RtdecodeError
from rtdecode.tools.files.choice import Choice
from rtdecode.tools.files.convert import convert
from rtdecode.tools.files.nwb.open import open_nwb
from rtdecode.tools.files.recording import BinnedSpikes, SpikeTimes

pytestmark = pytest.mark.filterwarnings("ignore")


def units_of(path: Path) -> SpikeTimes:
    spikes = open_nwb(path).spikes[0]
    assert isinstance(spikes, SpikeTimes)
    return spikes


def counts_of(path: Path, name: str) -> BinnedSpikes:
    (spikes,) = (each for each in open_nwb(path).spikes if each.name == name)
    assert isinstance(spikes, BinnedSpikes)
    return spikes


def test_units_are_who_the_file_says(rich: Path) -> None:
    units = units_of(rich).units
    assert units.ids == ("1011", "1012", "1013", "1014")
    assert units.electrodes == ("103", "101", "103", "105")
    assert units.numbers.tolist() == [1, 1, 2, 1]
    assert units.arrays == ("A", "A", "A", "B")
    assert units.position.tolist() == [[1200, 0], [400, 0], [1200, 0], [2000, 0]]
    assert units.columns["quality"].tolist() == ["mua", "good", "mua", "good"]
    assert units.columns["location"].tolist() == ["M1", "M1", "M1", "PMd"]
    assert not any("waveform" in name for name in units.columns)


@pytest.mark.parametrize("rows", [[0, 1, 2, 3], [2], [3, 0, 1], [1], []])
def test_spikes_are_those_of_the_rows(rich: Path, known: dict[str, np.ndarray], rows: list[int]) -> None:
    spikes = units_of(rich)
    assert spikes.n_spikes == sum(len(each) for each in known["spikes"])
    time, row = spikes.read(np.array(rows, dtype=np.intp))
    assert (time.dtype, row.dtype) == (np.float64, np.uint32)
    for each in range(4):
        expected = known["spikes"][each] if each in rows else []
        assert time[row == each].tolist() == list(expected)


@pytest.mark.parametrize("dtype", ["u1", "u2", "i4", "u8"])
def test_an_index_may_be_of_any_integer(edited: h5py.File, dtype: str) -> None:
    stops = np.minimum(edited["units/spike_times_index"][()], 250)
    replace(edited, "units/spike_times_index", stops.astype(dtype))
    edited.flush()
    assert (
        units_of(Path(edited.filename)).read(np.arange(4))[1].tolist() == np.repeat([0, 2], [3, 247]).tolist()
    )


def test_an_index_that_goes_back_is_refused(edited: h5py.File) -> None:
    replace(edited, "units/spike_times_index", np.array([3, 2, 10, 11]))
    edited.flush()
    with pytest.raises(RtdecodeError, match="units/spike_times_index: is no index of 504 values"):
        open_nwb(Path(edited.filename))


def test_observed_intervals_of_all_units_are_one_list(rich: Path) -> None:
    assert units_of(rich).observed.tolist() == [[5, 6], [6.2, 7]]


def test_observed_intervals_that_differ_are_united_and_named(edited: h5py.File) -> None:
    intervals = edited["units/obs_intervals"]
    intervals[1] = [5.9, 6.1]
    edited.flush()
    recording = open_nwb(Path(edited.filename))
    assert recording.spikes[0].observed.tolist() == [[5, 6.1], [6.2, 7]]
    assert "not observed in the same intervals" in recording.notes[0]


def test_equal_ids_are_replaced_by_rows_with_a_note(edited: h5py.File) -> None:
    edited["units/id"][...] = 7
    edited.flush()
    recording = open_nwb(Path(edited.filename))
    assert recording.spikes[0].units.ids == ("0", "1", "2", "3")
    assert "ids are not all different" in recording.notes[0]


def test_a_unit_of_several_electrodes_has_none_of_its_own(edited: h5py.File) -> None:
    replace(edited, "units/electrodes", np.array([3, 1, 2, 3, 5]), keep="table")
    replace(edited, "units/electrodes_index", np.array([1, 3, 4, 5], np.uint8))
    edited.flush()
    units = units_of(Path(edited.filename)).units
    assert units.electrodes == ("103", "", "103", "105")
    assert units.columns["electrodes"].tolist() == ["103", "101+102", "103", "105"]


def test_without_a_region_a_column_may_name_the_electrodes(edited: h5py.File) -> None:
    del edited["units/electrodes"], edited["units/electrodes_index"]
    edited["units/channel"] = np.array([9, 8, 9, 7])
    edited.flush()
    assert units_of(Path(edited.filename)).units.electrodes == ("9", "8", "9", "7")


def test_stray_types_of_times_are_named(edited: h5py.File) -> None:
    replace(edited, "units/spike_times", (edited["units/spike_times"][()] * 30000).astype(np.int64))
    edited.flush()
    assert "whole numbers (int64), as of samples" in open_nwb(Path(edited.filename)).notes[0]
    replace(edited, "units/spike_times", np.full(505, 5000, np.float32))
    edited.flush()
    notes = open_nwb(Path(edited.filename)).notes
    assert "1 spike times at the end belong to no unit" in notes[0]
    assert "float32, rounded to 0.49 ms" in notes[1]


def test_units_in_a_module_are_found(edited: h5py.File) -> None:
    edited.move("units", "processing/ecephys/sorted")
    edited.flush()
    assert units_of(Path(edited.filename)).name == "sorted"


def test_counts_and_their_holes(binned: Path, known: dict[str, np.ndarray]) -> None:
    spikes = counts_of(binned, "binned_spikes")
    assert (spikes.n_bins, spikes.bin_width_s, spikes.stamps) == (50, None, "start")
    assert spikes.units.electrodes == ("",) * 12
    stamps, values = spikes.read(np.array([3, 0]))
    assert np.array_equal(values, known["counts"][:, [3, 0]])
    assert stamps[[0, 24, 25]].tolist() == [0.0, 0.48, 0.8]


def test_rates_are_named_as_such(binned: Path) -> None:
    spikes = counts_of(binned, "tx")
    assert (spikes.bin_width_s, spikes.stamps, spikes.units_of_values) == (0.02, None, "Hz")
    assert spikes.read(np.arange(12))[0][:2].tolist() == [1.0, 1.02]


def test_power_beside_counts_is_a_signal(binned: Path) -> None:
    (series,) = open_nwb(binned).series
    assert (series.name, series.role, len(series.columns)) == ("spiking_band_power", "signal", 12)


def test_waveforms_of_events_give_their_times(binned: Path) -> None:
    one, several = open_nwb(binned).spikes[:2]
    assert (one.name, one.units.ids, one.units.electrodes) == ("tetrode", ("tetrode",), ("",))
    assert (several.name, several.units.ids) == ("ecephys", ("channel0", "channel1"))
    assert several.units.electrodes == ("elec4", "elec3")
    time, row = several.read(np.array([1, 0]))
    assert row.tolist() == [1, 1, 1, 1, 0, 0, 0]
    assert np.allclose(time, [0.1, 0.2, 0.3, 0.4, 0.1, 0.2, 0.3])


def test_invalid_times_are_not_observed(binned: Path) -> None:
    recording = open_nwb(binned)
    assert np.allclose(recording.observed, [[0, 0.5], [0.8, 1.98]])
    assert recording.notes[0] == "invalid_times (1) are taken as not observed"


def test_bins_of_the_extension(edited: h5py.File) -> None:
    group = edited.create_group("processing/ecephys/BinnedAlignedSpikes")
    group.attrs.update(bin_width_in_milliseconds=20.0, milliseconds_from_event_to_first_bin=-40.0)
    group["data"] = np.arange(12).reshape(2, 2, 3)
    group["event_timestamps"] = [5.0, 6.0]
    group["units"] = [3, 2]
    group["units"].attrs["table"] = edited["units"].ref
    edited.flush()
    spikes = counts_of(Path(edited.filename), "BinnedAlignedSpikes")
    stamps, values = spikes.read(np.array([1, 0]))
    assert np.allclose(stamps, [4.96, 4.98, 5.0, 5.96, 5.98, 6.0])
    assert values.tolist() == [[6, 0], [7, 1], [8, 2], [9, 3], [10, 4], [11, 5]]
    assert (spikes.n_bins, spikes.bin_width_s, spikes.stamps) == (6, 0.02, "start")
    assert (spikes.units.ids, spikes.units.electrodes) == (("1014", "1013"), ("105", "103"))
    assert np.allclose(spikes.observed, [[4.96, 5.02], [5.96, 6.02]])


def test_bytes_of_a_signal_are_no_counts(edited: h5py.File) -> None:
    edited["acquisition"].copy("eval_mask", "spike_count")
    replace(edited, "acquisition/spike_count/data", np.full((200, 3), -0.5), keep="unit")
    edited.flush()
    assert len(open_nwb(Path(edited.filename)).spikes) == 1


@pytest.mark.sessions
def test_a_real_file(data_dir: Path) -> None:
    recording = open_nwb(data_dir / "formats" / "A8604-211122.nwb")
    (spikes,) = recording.spikes
    assert spikes.units.ids == ("6", "191", "206")
    time, row = spikes.read(np.arange(3))
    assert np.bincount(row).tolist() == [11020, 4690, 5644]
    assert (time[0], time[-1]) == (0.030333, 1087.221833)
    assert recording.format == "NWB 2.4.0"
    assert recording.series == ()
    # Said once, of files of every format.
    (note,) = convert(recording, Choice()).notes
    assert note == "the file has no behaviour: nothing can be trained on it"


def replace(file: h5py.File, place: str, values: np.ndarray, keep: str = "") -> None:
    """Store other values at a place, with one of its attributes."""
    attr = file[place].attrs[keep] if keep else None
    del file[place]
    file[place] = values
    if keep:
        file[place].attrs[keep] = attr


def test_waveforms_are_not_read(tmp_path: Path) -> None:
    path, n, per_unit = tmp_path / "large.nwb", 8, 20_000
    with h5py.File(path, "w") as file:
        file.attrs["nwb_version"] = "2.8.0"
        units = file.create_group("units")
        units["id"] = np.arange(n)
        units["spike_times"] = np.arange(n * per_unit) * 0.001
        units["spike_times_index"] = np.arange(1, n + 1) * per_unit
        units.create_dataset("waveforms", (n * per_unit, 48), "f4")
        units["waveforms_index"] = np.arange(1, n * per_unit + 1)
        units["waveforms_index_index"] = np.arange(1, n + 1) * per_unit
    tracemalloc.start()
    time, row = units_of(path).read(np.arange(n))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert np.array_equal(time, np.arange(n * per_unit) * 0.001)
    assert peak < 1.5 * (time.nbytes + row.nbytes)
