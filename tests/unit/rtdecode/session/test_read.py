"""Reading: a valid file is read unchanged, an invalid one refused in one line with file, group and fix."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from rtdecode.errors import RtdecodeError
from rtdecode.session.layout import LogEntry, Session
from rtdecode.session.read import read_session

N_CHANNELS = 4


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A small file written with plain h5py, holding every part."""
    path = tmp_path / "today.h5"
    with h5py.File(path, "w") as file:
        file.attrs.update(format="rtdecode-session", format_version=1, n_channels=N_CHANNELS, subject="Indy")
        file["events/time"] = np.array([0.1, 0.2, 0.2, 0.4])
        file["events/channel"] = np.array([3, 1, 0, 2], "u2")
        file["events/unit"] = np.array([1, 0, 2, 1], "u1")
        file["counts/values"] = np.arange(8, dtype="u1").reshape(2, 4)
        file["counts"].attrs.update(bin_width_s=0.25, t0_s=0.0)
        file["behavior/time"] = np.array([0.1, 0.2, 0.3])
        file["behavior/values"] = np.array([[1, 2], [3, 4], [5, 6]], "f4")
        file["behavior"].attrs.update(names=["x", "y"], units=["mm", "mm"])
        file["trials/start"] = np.array([0.0, 0.2])
        file["trials/stop"] = np.array([0.1, 0.4])
        file["trials/target"] = np.zeros((2, 2), "f4")
        file["trials/block"] = ["calibration", "evaluation"]
        file["decoded/bin"] = np.array([5, 6])
        file["decoded/t_bin"] = np.array([0.12, 0.14])
        file["decoded/values"] = np.zeros((2, 2), "f4")
        file["decoded/flags"] = np.array([0, 4], "u4")
        file["decoded/model"] = np.array([0, 1], "u1")
        file["decoded/late"] = np.zeros(2, "u2")
        file["decoded/lost"] = np.zeros(2, "u4")
        file["decoded/counts"] = np.ones((2, 4), "u1")
        file["decoded"].attrs.update(origin_s=0.0, models=["aabbccdd", "11223344"])
        file["log/time"] = np.array([0.12])
        file["log/bin"] = np.array([5])
        file["log/kind"] = ["swap"]
        file["log/data"] = ['{"model": "11223344"}']
    return path


Change = Callable[[h5py.File], None]


def set_attr(name: str, value: object, group: str = "/") -> Change:
    return lambda file: file[group].attrs.__setitem__(name, value)


def del_attr(name: str, group: str = "/") -> Change:
    return lambda file: file[group].attrs.__delitem__(name)


def set_data(name: str, values: object) -> Change:
    def change(file: h5py.File) -> None:
        del file[name]
        file[name] = values

    return change


def remove(*names: str) -> Change:
    return lambda file: [file.__delitem__(name) for name in names]


def of_version_2(group: str, **columns: object) -> Change:
    def change(file: h5py.File) -> None:
        file.attrs["format_version"] = 2
        for name, values in columns.items():
            file[f"{group}/{name}"] = values

    return change


def read_changed(path: Path, *changes: Change) -> Session:
    with h5py.File(path, "a") as file:
        for change in changes:
            change(file)
    return read_session(path)


def test_every_part_is_read(path: Path) -> None:
    session = read_session(path)
    assert session.n_channels == N_CHANNELS
    assert session.complete
    assert session.path == path
    assert session.attrs == {"subject": "Indy"}
    assert session.events.unit is not None
    assert session.events.channel.tolist() == [3, 1, 0, 2]
    assert (session.events.time.dtype, session.events.channel.dtype) == (np.float64, np.uint16)
    assert session.counts.end_s == 0.5
    assert (session.behavior.names, session.behavior.units) == (("x", "y"), ("mm", "mm"))
    assert session.trials.columns["block"].tolist() == ["calibration", "evaluation"]
    assert session.decoded.models == ("aabbccdd", "11223344")
    assert session.log == (LogEntry(0.12, 5, "swap", {"model": "11223344"}),)
    assert session.name == "today"


def test_a_session_id_names_the_session(path: Path) -> None:
    assert read_changed(path, set_attr("session_id", "indy_20161005_06")).name == "indy_20161005_06"


@pytest.mark.parametrize("dtype", ["i4", "i8", "u8", "f4", "f8"])
def test_integers_may_have_any_type(path: Path, dtype: str) -> None:
    names = ("events/channel", "events/unit", "counts/values", "decoded/bin", "decoded/counts")
    with h5py.File(path) as file:
        changes = [set_data(name, file[name][()].astype(dtype)) for name in names]
    session = read_changed(path, *changes, set_attr("n_channels", np.float64(N_CHANNELS)))
    assert session.events.channel.dtype == np.uint16
    assert session.events.unit.dtype == np.uint8
    assert session.counts.values.dtype == np.uint8
    assert session.decoded.counts.dtype == np.uint8
    assert session.counts.values.tolist() == np.arange(8).reshape(2, 4).tolist()


def test_counts_above_255_need_two_bytes(path: Path) -> None:
    counts = read_changed(path, set_data("counts/values", np.full((3, 4), 300, "i8"))).counts
    assert counts.values.dtype == np.uint16
    assert (counts.values == 300).all()


def test_unsorted_events_are_sorted_and_equal_times_keep_their_order(path: Path) -> None:
    events = read_changed(path, set_data("events/time", np.array([0.4, 0.1, 0.4, 0.1]))).events
    assert events.time.tolist() == [0.1, 0.1, 0.4, 0.4]
    assert events.channel.tolist() == [1, 2, 3, 0]
    assert events.unit.tolist() == [0, 1, 1, 2]


def test_groups_of_version_2_are_a_labs_own_in_version_1(path: Path) -> None:
    session = read_changed(path, of_version_2("observed", start=[0, 3], stop=[1, 4]))
    assert session.observed.tolist() == [[0, 1], [3, 4]]
    session = read_changed(path, of_version_2("electrodes", impedance=[7]), set_attr("format_version", 1))
    assert (session.observed, session.electrodes) == (None, None)
    assert session.notes == (
        "/electrodes is not read, as format_version is 1; set it to 2",
        "/observed is not read, as format_version is 1; set it to 2",
    )


def test_attributes_of_any_kind_become_text(path: Path) -> None:
    with h5py.File(path, "a") as file:
        file.attrs.update(
            good_channels=np.array([0, 2]), weight_kg=9.5, rig=np.bytes_(b"two"), note=h5py.Empty("f")
        )
    assert read_session(path).attrs == {
        "subject": "Indy",
        "good_channels": "[0, 2]",
        "weight_kg": "9.5",
        "rig": "two",
        "note": "",
    }


def test_a_recording_that_was_not_closed_is_read_to_its_shortest_dataset(path: Path) -> None:
    session = read_changed(
        path,
        set_attr("complete", 0),
        set_data("events/channel", np.array([3, 1, 0], "u2")),
        set_data("behavior/time", np.array([0.1, 0.2, 0.3, 0.4])),
        set_data("decoded/lost", np.zeros(1, "u4")),
    )
    assert not session.complete
    assert session.events.time.tolist() == [0.1, 0.2, 0.2]
    assert len(session.behavior.time) == len(session.behavior.values) == 3
    assert session.decoded.bin.tolist() == [5]


def test_decoded_alone_is_a_session(path: Path) -> None:
    session = read_changed(path, remove("events", "counts"))
    assert session.events is None
    assert session.counts is None
    assert (session.start_s, session.end_s) == (0.1, 0.3)


def test_the_extent_of_a_session(path: Path) -> None:
    longer = set_data("behavior/time", np.array([0.05, 0.2, 0.7]))
    for changes, extent in (([], (0.0, 0.5)), ([remove("counts")], (0.1, 0.4)), ([longer], (0.05, 0.7))):
        session = read_changed(path, *changes)
        assert (session.start_s, session.end_s) == extent


REPAIR = "--repair"

#: A change of the file, the error it gives, and a word of the fix.
BROKEN: list[tuple[Change, str, str]] = [
    (del_attr("format"), "/: is HDF5 but not a session", "convert it to a session"),
    (set_attr("format", "nwb"), "/: its format is 'nwb'", "docs/session-files.md"),
    (set_attr("format_version", 3), "/: has format_version 3; this rtdecode reads 2", "--upgrade"),
    (set_attr("format_version", 0), "/: format_version is 0", "set it to 2"),
    (set_attr("format_version", "one"), "/: the root attribute format_version is 'one'", "docs"),
    (del_attr("n_channels"), "/: the root attribute n_channels is missing", "docs"),
    (set_attr("n_channels", 0), "/: n_channels is 0", "1 to 65535"),
    (set_attr("n_channels", -4), "/: n_channels is -4", "1 to 65535"),
    (set_attr("n_channels", 65_536), "/: n_channels is 65536", "1 to 65535"),
    (set_attr("n_channels", 3.5), "/: the root attribute n_channels is '3.5', not an integer", "docs"),
    (remove("events", "counts", "decoded"), "/: holds no spikes", "at least one"),
    (set_data("events", np.zeros(3)), "/events: is a dataset, not a group", "docs"),
    (remove("events/channel"), "/events: lacks channel", "store time, channel"),
    (set_data("events/time", 0.5), "/events/time: is not an array", "docs"),
    (set_data("events/time", np.zeros((4, 1, 1))), "/events/time: has shape (4, 1, 1)", "1-dimensional"),
    (set_data("events/time", np.zeros((4, 1))), "/events/time: has shape (4, 1), not (4,)", REPAIR),
    (set_data("events/time", ["a"] * 4), "/events/time: holds <U1, not numbers", "dtype"),
    (set_data("events/time", np.zeros(4, complex)), "/events/time: holds complex128", "dtype"),
    (set_data("events/time", np.zeros(9)), "/events: has datasets of different lengths (time 9", "export"),
    (set_data("events/time", np.zeros(5)), "/events: has datasets of different lengths (time 5", REPAIR),
    (set_data("events/time", [0, np.nan, np.inf, 1]), "2 of 4 times are NaN or infinite, first at", REPAIR),
    (set_data("events/channel", [0, 4, 7, 1]), "channel 4 at row 1 is not below n_channels", REPAIR),
    (set_data("events/channel", [9, 4, 7, 1]), "3 of 4 rows, the highest is 9", "n_channels to at least 10"),
    (set_data("events/channel", [1, 4, 3, 2]), "channels count from 1 (1 to 4, and n_channels", REPAIR),
    (set_data("events/channel", [0, -1, 2, 1]), "/events/channel: holds -1, outside 0", "export"),
    (set_data("events/channel", [0, 0.5, 2, 1]), "/events/channel: holds 0.5, not an integer", "integers"),
    (set_data("events/channel", [0, 70_000, 2, 1]), "holds 70000, outside 0 to 65535", "export"),
    (set_data("events/unit", [0, 70_000, 2, 1]), "/unit: holds 70000, outside 0 to 65535", "export"),
    (del_attr("bin_width_s", "counts"), "/counts: the attribute bin_width_s is missing", "seconds"),
    (set_attr("bin_width_s", 0.0, "counts"), "/counts: bin_width_s is 0.0; it must be above 0", "seconds"),
    (set_attr("bin_width_s", -0.02, "counts"), "/counts: bin_width_s is -0.02", "seconds"),
    (set_attr("t0_s", np.nan, "counts"), "/counts: the attribute t0_s is not a finite", "seconds"),
    (set_data("counts/values", np.zeros((3, 5), "u1")), "has shape (3, 5), not [rows, 4]", "one column"),
    (set_data("counts/values", np.full((2, 4), -3)), "/counts/values: holds -3", "export"),
    (
        set_data("counts/values", np.full((2, 4), np.nan)),
        "holds NaN in columns 0, 1, 2 and 1 more (8",
        "0 for",
    ),
    (
        set_data("counts/values", [[0, np.nan, 0.5, -1], [7e4, np.nan, 1, np.inf]]),
        "holds NaN in column 1 (2 values); infinity in column 3 (1 value); 0.5, not an integer, in column 2 "
        "(1 value); -1, outside 0 to 65535, in column 3 (1 value); 70000, outside 0 to 65535, in column 0 ",
        "0 for no spikes",
    ),
    (
        set_data("events/unit", [0, np.inf, 2, 1]),
        "/unit: holds infinity at row 1 (1 of 4 ",
        "0 for",
    ),
    (set_data("counts/values", np.full((2, 4), 1.5)), "/counts/values: holds 1.5", "counts instead of rates"),
    (set_data("behavior/values", np.zeros(3)), "/behavior/values: has shape (3,), not (3, 1)", REPAIR),
    (set_data("behavior/values", np.zeros((2, 3))), "is transposed: it has shape (2, 3)", REPAIR),
    (set_data("behavior/values", np.zeros((3, 2, 1))), "/behavior/values: has shape (3, 2, 1)", "columns"),
    (set_data("counts/values", np.zeros((4, 9), "u1")), "is transposed: it has shape (4, 9)", REPAIR),
    (set_data("behavior/time", [0.1, 0.1, 0.3]), "time does not increase at row 1", REPAIR),
    (set_data("behavior/time", [0.1, 0.3, 0.2]), "time does not increase at row 2", REPAIR),
    (set_data("behavior/time", [0.1, np.nan, 0.2]), "1 of 3 times are NaN", REPAIR),
    (set_attr("names", ["x"], "behavior"), "/behavior: has 1 names for 2 columns of values", "2 strings"),
    (set_attr("units", ["mm"] * 3, "behavior"), "/behavior: has 3 units for 2 columns", "2 strings"),
    (del_attr("names", "behavior"), "/behavior: the attribute names is missing", "one string"),
    (set_attr("names", [1, 2], "behavior"), "/behavior: the attribute names is not a list", "docs"),
    (set_data("trials/stop", [0.1, 0.1]), "/trials/stop: trial 1 stops before it starts", REPAIR),
    (set_data("trials/target", np.zeros((2, 3))), "/trials/target: has shape (2, 3)", "x and y"),
    (set_data("trials/block", ["a"]), "/trials: has datasets of different lengths", REPAIR),
    (set_data("decoded/model", [0, 2]), "/decoded/model: model 2 is used but `models` lists 2", "model_id"),
    (del_attr("origin_s", "decoded"), "/decoded: the attribute origin_s is missing", "seconds"),
    (set_data("decoded/counts", np.zeros((2, 3))), "/decoded/counts: has shape (2, 3)", "channel"),
    (set_data("log/data", ["{"]), "/log/data: row 0 is not a JSON object", REPAIR),
    (set_data("log/data", ["[1]"]), "/log/data: row 0 is not a JSON object", REPAIR),
    (set_data("log/kind", [1]), "/log/kind: is not a list of strings", "docs"),
    (of_version_2("observed", start=[], stop=[]), "/observed: holds no interval", "delete the group"),
    (of_version_2("observed", start=[1.0]), "/observed: lacks stop", "store start, stop"),
    (
        of_version_2("observed", start=[0, 2], stop=[1, 2]),
        "/observed/stop: an interval does not stop after it starts: row 1 is 2.000000 to 2.000000 s; 1 rows",
        REPAIR,
    ),
    (of_version_2("observed", start=[0, 2], stop=[3, 4]), "/observed/start: an interval starts be", REPAIR),
    (of_version_2("electrodes", label=["a"]), "/electrodes: has 1 rows for 4 channels", "4 rows"),
    (of_version_2("electrodes", label=[1, 2, 3, 4]), "/electrodes/label: is not a list of strings", "docs"),
    (
        of_version_2("electrodes", label=["a"] * 4, x=[0, np.nan, np.inf, 1]),
        "/electrodes/x: holds infinity at row 2",
        "NaN",
    ),
]


@pytest.mark.parametrize(("change", "expected", "fix"), BROKEN, ids=[expected for _, expected, _ in BROKEN])
def test_an_invalid_file_is_refused_in_one_line(path: Path, change: Change, expected: str, fix: str) -> None:
    with pytest.raises(RtdecodeError) as raised:
        read_changed(path, change)
    error = raised.value
    assert str(error).startswith(f"{path}:/")
    assert expected in str(error)
    assert fix in (error.fix or "")
    assert "\n" not in str(error)


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RtdecodeError, match="does not exist") as raised:
        read_session(tmp_path / "yesterday.h5")
    assert raised.value.where == str(tmp_path / "yesterday.h5")
    with pytest.raises(RtdecodeError, match="is a folder"):
        read_session(tmp_path)


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"", "is empty. Fix: copy it again"),
        (
            b"time,channel\n0.1,3\n",
            "is a CSV table, not a session. Fix: make a session of it",
        ),
        (b"\x89HDF\r\n\x1a\n", "Fix: copy it again"),
        (bytes(range(256)) * 8, "is not an HDF5 file. Fix: name an HDF5 file"),
    ],
)
def test_another_format_is_refused(tmp_path: Path, content: bytes, line: str) -> None:
    path = tmp_path / "notes.h5"
    path.write_bytes(content)
    with pytest.raises(RtdecodeError) as raised:
        read_session(str(path))
    assert "\n" not in str(raised.value)
    assert line in str(raised.value)


def test_a_truncated_file_is_refused_wherever_it_was_cut(path: Path) -> None:
    content = path.read_bytes()
    for size in range(64, len(content), 97):
        path.write_bytes(content[:size])
        with pytest.raises(RtdecodeError, match=r"truncated HDF5 file|is damaged|not an HDF5 file"):
            read_session(path)


def test_a_file_that_another_program_writes_is_refused(path: Path) -> None:
    # HDF5 shares a file within a process; only another one meets the lock.
    code = "import sys; from rtdecode.session.read import read_session; read_session(sys.argv[1])"
    with h5py.File(path, "a", locking=True):
        reader = subprocess.run(
            [sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=False
        )
    assert reader.returncode != 0
    assert "another program holds this file open for writing" in reader.stderr.splitlines()[-1]


@pytest.mark.sessions
def test_the_real_recordings_are_read(data_dir: Path) -> None:
    paths = sorted(data_dir.glob("*/*.h5"))
    assert len(paths) == 24
    for path in paths:
        session = read_session(path)
        assert session.trials is not None
        assert session.n_channels == session.counts.values.shape[1] == 96
        # In these recordings behaviour is sampled at the end of each bin.
        ends = session.counts.t0_s + np.arange(1, len(session.counts.values) + 1) * session.counts.bin_width_s
        np.testing.assert_allclose(session.behavior.time, ends, atol=1e-9)
        assert session.name == path.stem
