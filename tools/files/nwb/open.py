"""NWB files: HDF5 of NWB 2 is read, other forms of NWB are named with what to do about them."""

from __future__ import annotations

from pathlib import Path

from rtdecode.errors import RtdecodeError
from rtdecode.tools.files.nwb.access import opened, text
from rtdecode.tools.files.nwb.describe import described
from rtdecode.tools.files.nwb.forms import form_of
from rtdecode.tools.files.recording import Recording


def is_nwb(path: Path) -> bool:
    """Whether it is NWB of any form or version: HDF5, a Zarr folder, or LINDI."""
    return form_of(path) is not None


def open_nwb(path: Path) -> Recording:
    """Describe what an NWB file holds.

    Raises:
        RtdecodeError: it is NWB 1, Zarr or LINDI, or cannot be read.
    """
    form = form_of(path)
    if form not in (None, "HDF5"):
        fix = "export it to HDF5 with hdmf-zarr or lindi, and import that"
        raise RtdecodeError(f"is NWB as {form}; only HDF5 is read", where=str(path), fix=fix)
    with opened(path) as file:
        version = text(file, "nwb_version")
        if not version.startswith("2"):
            fix = "convert it to NWB 2 with the program that made it"
            raise RtdecodeError(f"is {version or 'HDF5'}, not NWB 2", where=str(path), fix=fix)
        return described(path, file)
