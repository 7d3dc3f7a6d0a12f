"""In which form a file or folder holds NWB, told by its bytes and structure."""

from __future__ import annotations

from pathlib import Path

import h5py

from rtdecode.session.diagnosis.containers import HDF5
from rtdecode.session.raw import HDF5_ERRORS

_HEAD_BYTES = 1 << 16


def form_of(path: Path) -> str | None:
    """ "HDF5", "a Zarr folder" or "LINDI"; None for what is not NWB.

    An HDF5 file that is too damaged to be opened is NWB by its ending.
    """
    try:
        if path.is_dir():
            return "a Zarr folder" if _is_zarr(path) else None
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
    except OSError:
        return None
    if head.startswith(HDF5):
        return "HDF5" if _is_hdf5_nwb(path) else None
    is_json = head.lstrip().startswith(b"{") and b'"refs"' in head
    is_lindi = (is_json and (b"nwb_version" in head or b"lindi" in head)) or path.name.endswith(".lindi.tar")
    return "LINDI" if is_lindi else None


def _is_zarr(folder: Path) -> bool:
    files = (folder / name for name in (".zattrs", ".zmetadata", "zarr.json"))
    return any(file.is_file() and b"nwb_version" in file.read_bytes()[:_HEAD_BYTES] for file in files)


def _is_hdf5_nwb(path: Path) -> bool:
    try:
        with h5py.File(path, "r") as file:
            return "nwb_version" in file.attrs or "nwb_version" in file
    except HDF5_ERRORS:
        return path.suffix.lower() == ".nwb"
