"""Arrays of NumPy by their names; objects are never unpickled."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from files.damage import n_refused

from rtdecode.errors import RtdecodeError
from rtdecode.tools.files.recording import BinnedSpikes, Recording, SpikeTimes
from rtdecode.tools.files.tables.open import is_npz, open_npz


def saved(folder: Path, **arrays: Any) -> Recording:
    path = folder / "t.npz"
    np.savez(path, **arrays)
    assert is_npz(path)
    return open_npz(path)


def binned(recording: Recording) -> BinnedSpikes:
    (source,) = recording.spikes
    assert isinstance(source, BinnedSpikes)
    return source


def test_spikes_channels_units_and_behaviour(tmp_path: Path) -> None:
    recording = saved(
        tmp_path,
        spike_times=np.array([0.3, 0.1, 0.2]),
        channels=np.array([5, 1, 5]),
        units=np.array([255, 0, 1]),
        behavior=np.arange(8.0).reshape(4, 2),
        behavior_time=np.arange(4) / 50,
        behavior_units=np.array(["cm", "cm"]),
    )
    (source,) = recording.spikes
    assert isinstance(source, SpikeTimes)
    assert (source.units.ids, source.units.electrodes) == (("1/0", "5/1", "5/255"), ("1", "5", "5"))
    assert source.units.numbers is not None
    assert source.units.numbers.tolist() == [0, 1, 255]
    time, row = source.read(np.array([0, 2]))
    assert (time.tolist(), row.tolist()) == ([0.3, 0.1], [2, 0])
    (series,) = recording.series
    assert (series.name, series.columns, series.units) == ("behavior", ("x", "y"), ("cm", "cm"))
    assert series.rate_hz == pytest.approx(50)
    assert series.read()[1].tolist() == [[0, 1], [2, 3], [4, 5], [6, 7]]


def test_single_arrays_of_one_clock_are_one_series(tmp_path: Path) -> None:
    recording = saved(tmp_path, t=np.arange(3.0), x=np.arange(3), y=np.arange(3) * 2, hand_x=np.ones(3))
    assert [(series.name, series.columns) for series in recording.series] == [
        ("behavior", ("x", "y")),
        ("hand", ("x",)),
    ]
    assert recording.series[0].read()[1].tolist() == [[0, 0], [1, 2], [2, 4]]


def test_an_array_of_times_for_each_unit(tmp_path: Path) -> None:
    (source,) = saved(tmp_path, unit_7=np.array([0.5, 1.5]), unit_12=np.array([1.0])).spikes
    assert isinstance(source, SpikeTimes)
    assert (source.units.ids, source.n_spikes) == (("unit_7", "unit_12"), 3)
    time, row = source.read(np.array([1, 0]))
    assert sorted(zip(time.tolist(), row.tolist(), strict=True)) == [(0.5, 0), (1.0, 1), (1.5, 0)]


@pytest.mark.parametrize(("name", "width"), [("bin_width", 0.02), ("bin_width_s", 0.02), ("bin_size_ms", 20)])
def test_counts_and_their_width(tmp_path: Path, name: str, width: float) -> None:
    values = np.arange(6).reshape(3, 2)
    recording = saved(tmp_path, counts=values, vel=np.ones((3, 2)), **{name: width})
    counts = binned(recording)
    assert (counts.bin_width_s, counts.stamps) == (0.02, "start")
    stamps, read = counts.read(np.array([1]))
    assert (stamps.tolist(), read.tolist()) == ([0, 0.02, 0.04], [[1], [3], [5]])
    assert [series.name for series in recording.series] == ["vel"]


def test_counts_of_channels_by_bins_and_by_edges(tmp_path: Path) -> None:
    recording = saved(
        tmp_path,
        counts=np.arange(8).reshape(2, 4),
        time_ms=np.arange(4) * 20,
        channel_ids=np.array(["e1", "e9"]),
    )
    counts = binned(recording)
    assert counts.units.ids == ("e1", "e9")
    assert counts.read(np.array([0]))[1].tolist() == [[0], [1], [2], [3]]
    assert counts.read(np.array([0]))[0].tolist() == [0, 0.02, 0.04, 0.06]
    assert recording.notes == ("counts has a row for each channel: it is read transposed",)
    assert binned(saved(tmp_path, counts=np.ones((3, 2)), bin_times=np.arange(4.0))).stamps == "start"


def test_a_clock_of_another_length_is_the_behaviours(tmp_path: Path) -> None:
    recording = saved(tmp_path, counts=np.ones((3, 2)), bin_width=0.5, time=np.arange(7.0), x=np.ones(7))
    assert binned(recording).read(np.array([0]))[0].tolist() == [0, 0.5, 1]
    assert recording.series[0].n_samples == 7


def test_rates_are_said_to_be_rates(tmp_path: Path) -> None:
    assert (
        binned(saved(tmp_path, rates=np.ones((3, 2)), bin_ends=np.arange(3.0))).units_of_values == "spikes/s"
    )


def test_an_array_of_counts_alone_waits_for_a_width(tmp_path: Path) -> None:
    path = tmp_path / "counts.npy"
    np.save(path, np.arange(6, dtype=np.uint8).reshape(3, 2))
    assert is_npz(path)
    counts = binned(open_npz(path))
    assert (counts.bin_width_s, counts.stamps, counts.n_bins) == (None, "row", 3)
    stamps, values = counts.read(np.array([1]))
    assert (stamps.tolist(), values.tolist()) == ([0, 1, 2], [[1], [3], [5]])


@pytest.mark.parametrize(
    ("arrays", "error"),
    [
        ({"a": np.ones((2, 3)), "b": np.array(["x"])}, r"no array .* name, but a float64 \[2, 3\], b str"),
        ({"spike_times": np.ones(3), "channels": np.ones(2)}, r"spike_times float64 \[3\] has no channels"),
        ({"counts": np.ones((3, 2)), "bin_times": np.ones(9)}, r"counts float64 \[3, 2\] has 9 stamps"),
        ({"spike_times": np.array([{}, 1], object)}, r"known by its name, but spike_times object"),
    ],
)  # fmt: skip
def test_what_is_refused(tmp_path: Path, arrays: dict[str, Any], error: str) -> None:
    with pytest.raises(RtdecodeError, match=error):
        saved(tmp_path, **arrays)


def test_objects_are_listed_and_never_unpickled(tmp_path: Path) -> None:
    recording = saved(tmp_path, time=np.arange(2.0), x=np.ones(2), extra=np.array([{}], object))
    assert recording.others == (("extra object [1]", "it holds Python objects, which are never read"),)


def test_exported_electrodes_and_observed_time(tmp_path: Path) -> None:
    labels = {"electrodes/label": np.array(["e7", "e9"]), "electrodes/array": np.array(["M1", "PMd"])}
    counts = {"counts/values": np.ones((3, 2), np.uint8), "counts/bin_width_s": 0.02, "counts/t0_s": 5.0}
    recording = saved(tmp_path, n_channels=2, observed=np.array([[0.0, 2], [3, 4]]), **labels, **counts)
    source = binned(recording)
    assert (source.name, source.units.electrodes, source.units.arrays) == (
        "counts",
        ("e7", "e9"),
        ("M1", "PMd"),
    )
    assert source.read(np.array([0]))[0].tolist() == [5.0, 5.02, 5.04]
    assert recording.observed is not None
    assert recording.observed.tolist() == [[0, 2], [3, 4]]
    assert recording.others == ()


def test_damage_ends_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "t.npz"
    np.savez_compressed(
        path, spike_times=np.arange(50.0), channels=np.arange(50), x=np.ones(9), time=np.arange(9.0)
    )
    assert n_refused(path, is_npz, open_npz, 60) > 20
