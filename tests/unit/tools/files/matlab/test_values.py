"""MATLAB files of version 5 and 7.3 with the same variables are read as the same values."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from files.mat import cell, column, write_mat
from scipy.sparse import csc_array

from rtdecode.tools.files.matlab.values import number, numbers, opened, structs, texts, vector

EVERY = pytest.mark.parametrize("version", ["5", "5 packed", "7.3"])


def _plain(value: Any) -> Any:
    """Everything read, as lists."""
    if isinstance(value, Mapping):
        return {name: _plain(value[name]) for name in value}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    if hasattr(value, "toarray"):
        return value.toarray().tolist()
    if isinstance(value, np.ndarray):
        return [value.shape, [_plain(each) for each in value.ravel("F").tolist()]]
    return value


@EVERY
def test_every_kind_of_value(tmp_path: Path, version: str) -> None:
    matrix = np.arange(6.0).reshape(2, 3)
    path = write_mat(
        tmp_path / "a.mat",
        version,
        matrix=matrix,
        cube=np.arange(24, dtype="i2").reshape(2, 3, 4),
        text="spikes ü",
        nothing=np.zeros((0, 0)),
        logical=np.array([[True, False]]),
        marked=csc_array(np.array([[0, 1, 0], [1, 0, 0]], bool)),
        sparse=csc_array(np.array([[0, 1.0, 0], [2, 0, 0]])),
        cells=cell(
            [column(1, 2), np.zeros((0, 0)), "a"], [np.zeros((0, 0)), cell([matrix]), np.zeros((1, 0))]
        ),
        struct={"rate": column(30), "deep": {"name": "x"}},
        trials=[
            {"n": column(1), "c": cell([column(4)])},
            {"n": np.zeros((0, 0)), "c": np.empty((0, 0), object)},
        ],
    )
    with opened(path) as top:
        assert [*top] == sorted(top) or version != "7.3"
        assert np.array_equal(top["matrix"], matrix)
        assert np.array_equal(top["cube"], np.arange(24).reshape(2, 3, 4))
        assert _plain({name: top[name] for name in ("text", "logical", "nothing")}) == {
            "text": "spikes ü",
            "logical": [(1, 2), [1, 0]],
            "nothing": [(0, 0), []],
        }
        assert _plain(top["marked"]) == [[0, 1, 0], [1, 0, 0]]
        assert _plain(top["sparse"]) == [[0, 1, 0], [2, 0, 0]]
        cells = top["cells"]
        assert cells.shape == (2, 3)
        # An empty cell is stored as its size, [0, 0], in version 7.3: no spikes.
        assert [vector(cells[0, 0]).tolist(), vector(cells[0, 1]).tolist(), cells[0, 2]] == [[1, 2], [], "a"]  # type: ignore[union-attr]
        assert vector(cells[1, 2]).tolist() == []  # type: ignore[union-attr]
        assert np.array_equal(cells[1, 1][0, 0], matrix)
        assert _plain(top["struct"]) == {"rate": [(1, 1), [30.0]], "deep": {"name": "x"}} or version == "7.3"
        assert top["struct"]["deep"]["name"] == "x"
        first, second = structs(top["trials"])
        assert (number(first["n"]), number(second["n"]), vector(first["c"][0, 0])) == (1.0, None, [4.0])
        assert second["c"].size == 0
        assert {"cells", "struct", "trials"} <= {*top.nested}
        assert "matrix" not in top.nested


def test_files_of_other_writers_have_no_classes(tmp_path: Path) -> None:
    path = write_mat(tmp_path / "a.mat", "7.3", x=column(1))
    with h5py.File(path, "r+") as file:
        file["empty"] = np.zeros(2, np.uint64)
        file["row"] = np.arange(3.0)
    with opened(path) as top:
        assert numbers(top["empty"]).size == 0  # type: ignore[union-attr]
        assert vector(top["row"]).tolist() == [0, 1, 2]  # type: ignore[union-attr]


def test_what_is_something_else_is_none() -> None:
    assert (numbers("a"), vector(np.zeros((2, 2))), number(np.zeros(2)), texts(np.zeros(2))) == (None,) * 4
    assert numbers(np.array([1j])) is None
    assert (structs("a"), structs(cell([column(1)])), texts("")) == ([], [], [])


def test_sparse_logical_values_are_called_doubles(tmp_path: Path) -> None:
    path = write_mat(tmp_path / "a.mat", "5", x=csc_array(np.eye(3)))
    content = path.read_bytes()
    stored = struct.pack("<II3d", 9, 24, 1, 1, 1)
    assert content.endswith(stored)
    # As MATLAB writes them: three bytes, padded, in an array that is 16 bytes shorter.
    array = content[128:].replace(stored, struct.pack("<IIQ", 9, 3, 0x010101))
    array = struct.pack("<II", 14, len(array) - 8) + array[8:]
    path.write_bytes(content[:128] + array)
    with opened(path) as top:
        assert top["x"].toarray().tolist() == np.eye(3).tolist()
