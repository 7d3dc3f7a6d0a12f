"""Other forms of NWB, and damaged files: one line each."""

from __future__ import annotations

import json
import re
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rtdecode.errors import RtdecodeError
from rtdecode.tools.files.nwb.open import is_nwb, open_nwb

pytestmark = pytest.mark.filterwarnings("ignore")


def test_other_files_are_not_nwb(tmp_path: Path) -> None:
    text, other = tmp_path / "a.nwb", tmp_path / "b.h5"
    text.write_text("time,x\n")
    with h5py.File(other, "w") as file:
        file.attrs["format"] = "rtdecode-session"
    assert not any(map(is_nwb, [text, other, tmp_path, tmp_path / "missing.nwb"]))


def test_nwb_1_is_named(tmp_path: Path) -> None:
    path = tmp_path / "old.nwb"
    with h5py.File(path, "w") as file:
        file["nwb_version"] = "NWB-1.0.6"
    assert is_nwb(path)
    with pytest.raises(RtdecodeError, match=r"is NWB-1\.0\.6, not NWB 2\. Fix: convert it"):
        open_nwb(path)


def test_zarr_and_lindi_are_named(tmp_path: Path) -> None:
    zarr, lindi = tmp_path / "day.nwb.zarr", tmp_path / "day.nwb.lindi.json"
    zarr.mkdir()
    (zarr / ".zattrs").write_text(json.dumps({"nwb_version": "2.7.0"}))
    lindi.write_text(json.dumps({"refs": {".zattrs": {"nwb_version": "2.7.0"}}}))
    for path, form in ((zarr, "a Zarr folder"), (lindi, "LINDI")):
        assert is_nwb(path)
        with pytest.raises(
            RtdecodeError, match=f"is NWB as {form}; only HDF5 is read. Fix: export it to HDF5"
        ):
            open_nwb(path)


def read_all(path: Path) -> None:
    """Open a file that may be damaged and read all of it; the only error is one line."""
    try:
        recording = open_nwb(path)
        for spikes in recording.spikes:
            spikes.read(np.arange(len(spikes.units.ids)))
        for series in recording.series:
            series.read()
    except RtdecodeError as error:
        line = str(error)
    else:
        return
    assert "\n" not in line
    assert "Fix:" in line


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(part=st.floats(0, 1, exclude_max=True))
def test_a_file_that_was_cut_is_one_line(rich: Path, tmp_path: Path, part: float) -> None:
    whole, path = rich.read_bytes(), tmp_path / "cut.nwb"
    path.write_bytes(whole[: int(part * len(whole))])
    read_all(path)


@settings(
    max_examples=20,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    st.lists(
        st.tuples(st.floats(0, 1, exclude_max=True), st.binary(min_size=1, max_size=8)),
        min_size=1,
        max_size=20,
    )
)
def test_a_file_with_wrong_bytes_is_one_line(
    binned: Path, tmp_path: Path, wrong: list[tuple[float, bytes]]
) -> None:
    whole, path = binned.read_bytes(), tmp_path / "damaged.nwb"
    damaged = bytearray(whole)
    for part, values in wrong:
        at = int(part * len(whole))
        damaged[at : at + len(values)] = values[: len(whole) - at]
    # Damage to its heaps of texts can stop libhdf5 itself for good, where no reader can help.
    for heap in re.finditer(b"GCOL", whole):
        end = heap.start() + int.from_bytes(whole[heap.end() + 4 : heap.end() + 12], "little")
        damaged[heap.start() : end] = whole[heap.start() : end]
    path.write_bytes(bytes(damaged))
    read_all(path)


@pytest.mark.parametrize("place", ["units/id", "processing/behavior/hand_vel/data"])
def test_what_no_file_has_room_for_is_refused(edited: h5py.File, place: str) -> None:
    del edited[place]
    edited.create_dataset(place, (1 << 40,), "f8", chunks=(1024,))
    edited.flush()
    with pytest.raises(
        RtdecodeError, match=r"has shape \(1099511627776,\), more than a file of .* bytes holds"
    ):
        open_nwb(Path(edited.filename))
