"""Trodes' position tracking."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rtdecode.errors import RtdecodeError
from rtdecode.tools.files.trodes.open import is_trodes, open_trodes

FIELDS = "<time uint32><xloc uint16><yloc uint16>"


def _file(path: Path, fields: str = FIELDS, clock: str = "30000", more: bytes = b"") -> Path:
    rows = np.array([(30_000, 5, 6), (30_500, 7, 8)], "<u4,<u2,<u2")
    head = f"<Start settings>\nthreshold: 199\nclockrate: {clock}\nFields: {fields}\n<End settings>\n"
    path.write_bytes(head.encode() + rows.tobytes() + more)
    return path


def test_positions_are_read_by_the_header(tmp_path: Path) -> None:
    found = open_trodes(_file(tmp_path / "a", more=b"cut"))
    (position,) = found.series
    time, values = position.read()
    assert (position.columns, position.units, position.n_samples) == (("x", "y"), ("pixel",) * 2, 2)
    assert np.allclose(time, [1, 1 + 1 / 60])
    assert values.tolist() == [[5, 6], [7, 8]]
    assert found.notes == ("the file ends in the middle of a record: its last 3 bytes are lost",)


@pytest.mark.parametrize(
    "changed",
    [{"fields": "<time uint32><id uint16>"}, {"clock": "0"}, {"fields": "<time uint3><xloc uint16>"}],
)
def test_other_files_are_refused(tmp_path: Path, changed: dict[str, str]) -> None:
    with pytest.raises(RtdecodeError, match="its header names no time, xloc and clockrate"):
        open_trodes(_file(tmp_path / "a", **changed))
    (tmp_path / "b").write_bytes(b"<Start settings>\nclockrate: 3")
    with pytest.raises(RtdecodeError, match="without positions"):
        open_trodes(tmp_path / "b")


@pytest.mark.sessions
def test_a_real_file(data_dir: Path) -> None:
    path = data_dir / "formats" / "nelpy_linear_track.videoPositionTracking"
    assert is_trodes(path)
    (position,) = open_trodes(path).series
    time, values = position.read()
    # 118,964 positions, one of them twice.
    assert (len(time), len(np.unique(time))) == (118_965, 118_964)
    assert np.allclose(time[[0, -1]], [4397.0317, 6379.4556], atol=1e-4)
    assert values[:, :2].min(axis=0).tolist() == [133, 1]
    assert values[:, :2].max(axis=0).tolist() == [554, 479]
