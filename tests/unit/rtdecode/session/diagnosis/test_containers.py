"""Files of other programs are named, whatever they are called, and nobody is told to copy them again."""

from __future__ import annotations

import gzip
import io
import pickle
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from rtdecode.errors import RtdecodeError
from rtdecode.session.read import read_session
from rtdecode.session.repair import repair_session


def npz() -> bytes:
    file = io.BytesIO()
    np.savez(file, time=np.zeros(3))
    return file.getvalue()


#: Content, and what the message says.
FOREIGN: dict[str, tuple[bytes, str, str]] = {
    "a.xdf": (b"XDF:" + bytes(100), "an XDF file", "rtdecode import"),
    "b.h5": (b"XDF:" + bytes(100), "an XDF file", "rtdecode import"),
    "a.mat": (
        b"MATLAB 5.0 MAT-file, Platform: GLNXA64".ljust(128),
        "a MATLAB file (-v7 or older)",
        "rtdecode import",
    ),
    "cut.mat": (
        b"MATLAB 7.3 MAT-file".ljust(512) + b"\x89HDF\r\n\x1a\n",
        "a MATLAB file (-v7.3)",
        "rtdecode import",
    ),
    "empty.mat": (b"", "a MATLAB file", "convert"),
    "cut.nwb": (b"\x89HDF\r\n\x1a\n", "an NWB file", "convert"),
    "a.nev": (b"NEURALEV\x02\x03" + bytes(300), "a Blackrock .nev file", "rtdecode import"),
    "a.ns5": (b"NEURALCD\x02\x03" + bytes(300), "a Blackrock .nsx file", "rtdecode import"),
    "a.csv": (b"time;channel\n0.1;3\n", "a CSV table", "rtdecode import"),
    "a.npz": (npz(), "a NumPy .npz file", "rtdecode import"),
    "a.pkl": (pickle.dumps({"time": [1.0]}, 4), "a pickled Python object", "program that wrote it"),
    "old.pkl": (pickle.dumps({"time": [1.0]}, 0), "a pickled Python object", "program that wrote it"),
    "a.h5.gz": (gzip.compress(b"\x89HDF\r\n\x1a\n" + bytes(99)), "gzip (an HDF5 file inside)", "gunzip"),
    "empty.xdf": (b"", "is empty, and would be an XDF file", "convert the original"),
    "a.pt": (b"PK\x03\x04" + bytes(99), "a PyTorch file", "name a session"),
    "a.xlsx": (b"PK\x03\x04" + bytes(99), "an Excel file", "pandas.read_excel"),
    "a.xdfz": (gzip.compress(b"XDF:" + bytes(99)), "gzip (an XDF file inside)", "gunzip"),
    "half.gz": (gzip.compress(bytes(9999))[:20], "compressed with gzip,", "gunzip"),
    "page.h5": (b"<!DOCTYPE html><html>Log in</html>", "a web page", "download"),
    "pointer.h5": (
        b"version https://git-lfs.github.com/spec/v1\n",
        "Git LFS pointer",
        "git lfs pull",
    ),
    "model.h5": ((99).to_bytes(8, "little") + b'{"a": {"dtype": "F32"}}', "a model", "name a session"),
    "notes.txt": ("Ratte März zweite Sitzung\n".encode() * 90, "a text file", "loadtxt"),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_another_format_is_named(tmp_path: Path, name: str) -> None:
    content, what, fix = FOREIGN[name]
    path = tmp_path / name
    path.write_bytes(content)
    for command in (read_session, repair_session):
        with pytest.raises(RtdecodeError) as refusal:
            command(path)
        line = str(refusal.value)
        assert what in line
        assert fix in str(refusal.value.fix)
        assert "copy it again" not in line
        assert "--repair" not in line
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("data", "what"), [(b"", "is empty"), (bytes(5000), "begins with zeros, as a copy that was broken off")]
)
def test_what_a_broken_copy_left_is_copied_again(tmp_path: Path, data: bytes, what: str) -> None:
    (tmp_path / "a.h5").write_bytes(data)
    with pytest.raises(RtdecodeError, match=f"{what}. Fix: copy it again"):
        read_session(tmp_path / "a.h5")


Fill = Callable[[h5py.File], object]

#: What makes an HDF5 file another program's, and its name.
HDF5: list[tuple[Fill, str]] = [
    (lambda file: file.attrs.update(nwb_version="2.7.0"), "an NWB file"),
    (lambda file: file.create_dataset("spikes", data=[1.0]).attrs.update(MATLAB_class=b"double"), "a MATLAB"),
    (lambda file: file.create_group("df").attrs.update(pandas_type=b"frame"), "a pandas HDF5 store"),
    (lambda file: file.attrs.update(_NCProperties=b"version=2"), "a NetCDF file"),
    (lambda file: file.create_group("data"), "is HDF5 but not a session"),
]


@pytest.mark.parametrize(("fill", "what"), HDF5, ids=[what for _, what in HDF5])
def test_an_hdf5_file_of_another_program_is_named(tmp_path: Path, fill: Fill, what: str) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        fill(file)
    with pytest.raises(RtdecodeError, match=what):
        read_session(tmp_path / "a.h5")


def test_data_in_a_filter_that_is_missing_are_not_dropped(tmp_path: Path) -> None:
    path = tmp_path / "blosc.h5"
    with h5py.File(path, "w") as file:
        file.attrs.update(format="rtdecode-session", format_version=1, n_channels=2)
        created = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        created.set_chunk((4,))
        created.set_filter(32001, h5py.h5z.FLAG_OPTIONAL, (2, 2, 8, 32, 5, 1, 1))
        group = h5py.h5g.create(file.id, b"events")
        space = h5py.h5s.create_simple((4,))
        times = h5py.h5d.create(group, b"time", h5py.h5t.NATIVE_DOUBLE, space, created)
        times.write_direct_chunk((0,), np.arange(4.0).tobytes(), 0)
        file["events/channel"] = [0, 1, 0, 1]
        file["counts/values"] = np.zeros((2, 2), "u1")
        file["counts"].attrs.update(bin_width_s=1.0, t0_s=0.0)
    for command in (read_session, repair_session):
        with pytest.raises(RtdecodeError, match="time: is compressed with HDF5 filter 32001") as refusal:
            command(path)
        assert "HDF5_PLUGIN_PATH" in str(refusal.value.fix)
    assert list(tmp_path.iterdir()) == [path]


def test_cells_of_matlab_are_named(tmp_path: Path) -> None:
    path = tmp_path / "cells.h5"
    with h5py.File(path, "w") as file:
        file.attrs.update(format="rtdecode-session", format_version=1, n_channels=2)
        spikes = file.create_dataset("events/time", (2,), dtype=h5py.vlen_dtype(np.float64))
        spikes[0], spikes[1] = np.arange(3.0), np.arange(5.0)
        file["events/channel"] = [0, 1]
    with pytest.raises(RtdecodeError, match="holds lists or references"):
        read_session(path)
