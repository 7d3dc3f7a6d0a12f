"""Tables in text: every layout with its right values, every trap with the right value or one clear line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from files.damage import n_refused, read_all

from rtdecode.errors import RtdecodeError
from rtdecode.tools.files.recording import BinnedSpikes, Recording, SpikeTimes
from rtdecode.tools.files.tables.names import counted
from rtdecode.tools.files.tables.open import is_csv, open_csv


def table(folder: Path, text: str, name: str = "t.csv", encoding: str = "utf-8") -> Recording:
    path = folder / name
    path.write_bytes(text.encode(encoding))
    assert is_csv(path)
    return open_csv(path)


def spikes(recording: Recording) -> list[tuple[float, str, str, int | None]]:
    """Time, id, electrode and number of each spike."""
    (source,) = recording.spikes
    assert isinstance(source, SpikeTimes)
    units = source.units
    time, row = source.read(np.arange(len(units.ids)))
    assert source.n_spikes == len(time)
    numbers = [None] * len(units.ids) if units.numbers is None else units.numbers.tolist()
    return [
        (t, units.ids[r], units.electrodes[r], numbers[r])
        for t, r in zip(time.tolist(), row.tolist(), strict=True)
    ]


def test_spikes_of_channels(tmp_path: Path) -> None:
    recording = table(tmp_path, "time,channel\n0.5,10\n0.25,2\n0.75,10\n")
    assert spikes(recording) == [(0.5, "10", "10", None), (0.25, "2", "2", None), (0.75, "10", "10", None)]
    assert recording.spikes[0].units.ids == ("2", "10")


def test_labels_are_ids(tmp_path: Path) -> None:
    recording = table(tmp_path, "Time (s);Electrode\n1;e12\n2;A-005\n3;e2\n")
    assert recording.spikes[0].units.ids == ("A-005", "e2", "e12")
    assert spikes(recording)[0] == (1.0, "e12", "e12", None)


@pytest.mark.parametrize(("units", "numbers"), [("0 1 255", [0, 1, 255]), ("unsorted a b", [0, 1, 2])])
def test_units_are_numbers_on_their_channel(tmp_path: Path, units: str, numbers: list[int]) -> None:
    rows = "".join(f"{i}\t7\t{unit}\n" for i, unit in enumerate(units.split()))
    found = spikes(table(tmp_path, "timestamp\tch\tunit\n" + rows, "t.tsv"))
    assert [(time, electrode, number) for time, _, electrode, number in found] == [
        (float(i), "7", number) for i, number in enumerate(numbers)
    ]


def test_named_units_have_no_numbers(tmp_path: Path) -> None:
    recording = table(tmp_path, "time,neuron,amplitude\n1,mc12,3.5\n2,mc3,4\n")
    assert spikes(recording) == [(1.0, "mc12", "", None), (2.0, "mc3", "", None)]
    assert recording.others == (("amplitude", "a further column of the spikes"),)


def test_spikes_without_a_name_are_counted(tmp_path: Path) -> None:
    found = table(tmp_path, "time,channel\n1,4\n2,\n3,4\n")
    assert found.spikes[0].units.ids == ("", "4")
    assert found.notes == ("1 spikes name no channel or unit: they are a channel of their own",)
    (tmp_path / "t.csv").unlink()
    with pytest.raises(RtdecodeError, match="cannot be read: No such file"):
        open_csv(tmp_path / "t.csv")


def test_rows_of_one_unit_are_read_alone(tmp_path: Path) -> None:
    time, row = table(tmp_path, "time,channel\n1,4\n2,5\n3,4\n").spikes[0].read(np.array([1]))
    assert (time.tolist(), row.tolist()) == ([2.0], [1])


@pytest.mark.parametrize("header", ["time [ms]", "Time (ms)", "time_ms", "t (milliseconds)"])
def test_a_unit_of_time_is_applied_and_stated(tmp_path: Path, header: str) -> None:
    recording = table(tmp_path, f"{header},x (mm),y [mm]\n1500,1,2\n1510,3,4\n")
    (series,) = recording.series
    time, values = series.read()
    assert time.tolist() == [1.5, 1.51]
    assert values.tolist() == [[1, 2], [3, 4]]
    assert (series.name, series.columns, series.units, series.role) == (
        "t",
        ("x", "y"),
        ("mm", "mm"),
        "behavior",
    )
    assert series.rate_hz == pytest.approx(100)
    assert recording.notes == (
        f"t.csv: the header {header!r} gives a unit of time, so the column is converted to seconds",
    )


def test_samples_are_no_unit_of_time(tmp_path: Path) -> None:
    with pytest.raises(
        RtdecodeError, match=r"column time_samples is in samples, not in a unit of time\. Fix: write"
    ):
        table(tmp_path, "time_samples,channel\n30000,1\n")


def test_counts_beside_behaviour(data_dir: Path) -> None:
    recording = open_csv(data_dir / "formats" / "mc_maze_trial_748.csv")
    (counts,) = recording.spikes
    assert isinstance(counts, BinnedSpikes)
    stamps, values = counts.read(np.arange(182))
    assert (counts.n_bins, stamps[0], stamps[-1], values.sum()) == (3236, 2282.6, 2285.835, 1654)
    assert (counts.units.ids[0], counts.units.electrodes[0], counts.bin_width_s) == ("unit_1011", "", None)
    assert [series.name for series in recording.series] == ["cursor_pos", "eye_pos", "hand_pos", "hand_vel"]
    assert {series.columns for series in recording.series} == {("x", "y")}
    assert recording.series[3].read()[1][0].tolist() == [-18.35745817151835, -19.12180210219816]
    assert counts.read(np.array([181, 0]))[1].sum(axis=0).tolist() == values[:, [181, 0]].sum(axis=0).tolist()


def test_counts_of_channels_know_their_electrode(tmp_path: Path) -> None:
    recording = table(tmp_path, "bin_end,ch1,channel_2,e3,4\n.02,1,0,2,0\n.04,0,0,1,1\n")
    (counts,) = recording.spikes
    assert isinstance(counts, BinnedSpikes)
    assert (counts.stamps, counts.units.electrodes) == ("end", ("1", "2", "e3", "4"))
    assert counts.read(np.arange(4))[1].tolist() == [[1, 0, 2, 0], [0, 0, 1, 1]]


@pytest.mark.parametrize(
    ("name", "electrode"),
    [
        ("unit_1011", ""), ("sig001a", ""), ("channel_12", "12"), ("Electrode 5", "5"), ("ch A-005", "A-005"),
        ("e12", "e12"), ("7", "7"), ("eye_1", None), ("x1", None), ("events1", None),
    ],
)  # fmt: skip
def test_names_of_channels(name: str, electrode: str | None) -> None:
    assert counted(name) == electrode


def test_rates_keep_their_unit(tmp_path: Path) -> None:
    (rates,) = table(tmp_path, "time,ch1 [Hz],ch2 [Hz]\n.02,50,12.5\n").spikes
    assert isinstance(rates, BinnedSpikes)
    assert rates.units_of_values == "Hz"


def test_counts_without_times_wait_for_a_width(tmp_path: Path) -> None:
    (counts,) = table(tmp_path, "unit_1,unit_2\n0,1\n1,0\n0,3\n").spikes
    assert isinstance(counts, BinnedSpikes)
    assert (counts.stamps, counts.bin_width_s, counts.n_bins) == ("row", None, 3)
    stamps, values = counts.read(np.array([1]))
    assert (stamps.tolist(), values.tolist()) == ([0, 1, 2], [[1], [0], [3]])


def test_negative_channels_are_signals(tmp_path: Path) -> None:
    recording = table(tmp_path, "time,ch1,ch2\n0,-3,4\n1,2,1\n")
    assert recording.spikes == ()
    assert [(series.name, series.role) for series in recording.series] == [("t channels", "signal")]


def test_trials(tmp_path: Path) -> None:
    text = "start_ms,stop_ms,target_x,target_y,success,block\n500,1500,10,-10,1,reach\n2000,2500,,,0,\n"
    (trials,) = table(tmp_path, text).trials
    assert (trials.start.tolist(), trials.stop.tolist()) == ([0.5, 2.0], [1.5, 2.5])
    np.testing.assert_array_equal(trials.columns["target"], [[10, -10], [np.nan, np.nan]])
    assert trials.columns["success"].tolist() == [1, 0]
    assert trials.columns["block"].tolist() == ["reach", ""]


def test_markers_may_hold_line_ends(tmp_path: Path) -> None:
    (markers,) = table(tmp_path, 'time,marker\n1,"go, left"\n2,"two\nlines"\n3,stop\n').markers
    assert (markers.time.tolist(), markers.text) == ([1, 2, 3], ("go, left", "two\nlines", "stop"))


def test_texts_beside_samples_are_markers(tmp_path: Path) -> None:
    recording = table(tmp_path, "time,x,event\n1,5,\n2,6,go\n3,7,\n")
    assert (recording.markers[0].time.tolist(), recording.markers[0].text) == ([2], ("go",))
    assert recording.series[0].read()[1].tolist() == [[5], [6], [7]]


def test_decimal_commas_and_a_byte_order_mark(tmp_path: Path) -> None:
    recording = table(tmp_path, "sep=;\r\ntime;x;y\r\n0,5;-1,25;1e-3\r\n1;2;\r\n", encoding="utf-8-sig")
    time, values = recording.series[0].read()
    assert time.tolist() == [0.5, 1]
    np.testing.assert_array_equal(values, [[-1.25, 0.001], [2, np.nan]])


@pytest.mark.parametrize("encoding", ["utf-16", "cp1252"])
def test_encodings_of_spreadsheets(tmp_path: Path, encoding: str) -> None:
    (series,) = table(tmp_path, "time,x (µm)\n1,2\n", encoding=encoding).series
    assert series.units == ("µm",)


def test_white_space_comments_and_a_commented_header(tmp_path: Path) -> None:
    recording = table(tmp_path, "# a lab's export\n# time x  y\n0.0  1   2\n\n% pause\n1.0 3  4\n", "t.txt")
    time, values = recording.series[0].read()
    assert (time.tolist(), values.tolist(), recording.series[0].columns) == (
        [0, 1],
        [[1, 2], [3, 4]],
        ("x", "y"),
    )


def test_an_index_and_trial_numbers_are_no_behaviour(tmp_path: Path) -> None:
    recording = table(tmp_path, ",time,trial,vx,vy,phase\n0,1.0,3,5,NA,move\n1,2.0,3,6,8,move\n")
    assert [(series.name, series.columns, series.role) for series in recording.series] == [
        ("t", ("vx", "vy"), "behavior"),
        ("trial", ("trial",), "other"),
    ]
    np.testing.assert_array_equal(recording.series[0].read()[1], [[5, np.nan], [6, 8]])
    assert recording.others == (("phase", "it holds text"),)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("0.1,5\n0.2,6\n", r"t\.csv: has no names of columns: it begins '0\.1,5'\. Fix: write a first line"),
        ("time,x\n1,2\n2,n0\n", r"t\.csv, line 3: column x holds 'n0', not a number\. Fix: write a number"),
        ("time,x\n1,2\n2,1_0\n", r"t\.csv, line 3: column x holds '1_0', not a number"),
        ("time,x\n0,5,1,5\n", r"t\.csv, line 2: has 4 values for 2 names\. Fix: .* semicolons"),
        ("time,x,y\n1,2,3\n2,3\n", r"t\.csv, line 3: has 2 values for 3 names"),
        ("time,x\n1,2\n2,\"2,5\"\n", r"t\.csv, line 3: column x holds '2,5', not a number"),
        ("time,ch,count\n1,2,0\n", r"t\.csv: has a column count beside the channels, so that a row is"),
        ("time,x,x\n1,2,3\n", r"t\.csv: names two columns x\. Fix: give each its own name"),
        ("when,x\n1,2\n", r"t\.csv: has no column of times: its columns are when, x\. Fix: name the column"),
        ("# nothing\n", r"t\.csv: is empty\. Fix: export it again"),
        ("time,channel\n2026-11-30 12:00,1\n", r"line 2: column time holds '2026-11-30 12:00', not a"),
        ('# rtdecode {"kind": 1\ntime,x\n1,2\n', "has a damaged first line"),
    ],
)  # fmt: skip
def test_what_is_refused(tmp_path: Path, text: str, error: str) -> None:
    with pytest.raises(RtdecodeError, match=error):
        read_all(table(tmp_path, text))


def test_no_other_text_is_a_table(tmp_path: Path) -> None:
    for i, text in enumerate(["Dear all,\nthe array is out\n", '{"a": 1}\n', "<xml>\n1,2\n", "12\n13\n", ""]):
        (tmp_path / f"{i}.txt").write_text(text)
        assert not is_csv(tmp_path / f"{i}.txt")
    assert not is_csv(tmp_path / "absent.csv")


def test_a_folder_of_tables_is_one_recording(tmp_path: Path) -> None:
    table(tmp_path, "time,channel\n1,1\n", "spikes.csv")
    table(tmp_path, "time,hand_x,hand_y\n1,2,3\n", "kinematics.csv")
    recording = open_csv(tmp_path)
    assert [source.name for source in recording.spikes] == ["spikes"]
    assert [series.name for series in recording.series] == ["kinematics/hand"]


def test_exported_electrodes_and_observed_time(tmp_path: Path) -> None:
    table(tmp_path, '# rtdecode {"kind": "spikes", "n_channels": 2}\ntime,channel\n1,1\n', "spikes.csv")
    table(tmp_path, '# rtdecode {"kind": "observed"}\nstart,stop\n0,2\n3,4\n', "observed.csv")
    said = (
        '# rtdecode {"kind": "electrodes"}\nchannel,label,unit_id,x,y,array\n0,e7,u1,0,1,M1\n1,e9,u5,.5,,M1\n'
    )
    table(tmp_path, said, "electrodes.csv")
    recording = open_csv(tmp_path)
    units = recording.spikes[0].units
    assert (units.ids, units.electrodes, units.arrays) == (("u1", "u5"), ("e7", "e9"), ("M1", "M1"))
    np.testing.assert_array_equal(units.position, [[0, 1], [0.5, np.nan]])  # type: ignore[arg-type]
    assert recording.observed is not None
    assert recording.observed.tolist() == [[0, 2], [3, 4]]
    assert recording.trials == ()
    (tmp_path / "electrodes.csv").write_text(said.replace(".5", "east"))
    with pytest.raises(RtdecodeError, match="holds a position that is no number"):
        open_csv(tmp_path)


def test_damage_ends_in_one_line(tmp_path: Path) -> None:
    whole = (
        b'# rtdecode {"kind": "counts", "bin_width_s": 0.02}\ntime [ms],ch1,ch2,text\n1,0,2,"go"\n2,"1",0,x\n'
        * 2
    )
    path = tmp_path / "t.csv"
    path.write_bytes(whole)
    assert n_refused(path, is_csv, open_csv, 80) > 20
