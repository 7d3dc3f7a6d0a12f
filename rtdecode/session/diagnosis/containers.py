"""Which other format a file has, from its first bytes or, for HDF5, from its structure.

A file of another program is not a damaged session: it has to be converted, not copied again.
"""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

import h5py

from rtdecode.session.schema import FORMAT

HEAD_BYTES = 1024

HDF5 = b"\x89HDF\r\n\x1a\n"

#: What to do with a file of a format that is imported.
IMPORT = "make a session of it with rtdecode import"

#: First bytes, what the file is, and what reads it.
_MAGIC: tuple[tuple[bytes, str, str], ...] = (
    (b"XDF:", "an XDF file", IMPORT),
    (b"MATLAB 7.3 MAT-file", "a MATLAB file (-v7.3)", IMPORT),
    (b"MATLAB ", "a MATLAB file (-v7 or older)", IMPORT),
    (b"NEURALEV", "a Blackrock .nev file", IMPORT),
    (b"BREVENTS", "a Blackrock .nev file", IMPORT),
    (b"NEURALSG", "a Blackrock .nsx file", IMPORT),
    (b"NEURALCD", "a Blackrock .nsx file", IMPORT),
    (b"BRSMPGRP", "a Blackrock .nsx file", IMPORT),
    (b"\xac\x27\x91\xc6", "an Intan .rhd file", "read it with neo.io.IntanIO"),
    (b"XELP", "a Plexon .plx file", IMPORT),
    (b"######## Neuralynx", "a Neuralynx file", IMPORT),
    (b"0       ", "an EDF file", "read it with pyedflib or mne"),
    (b"\xffBIOSEMI", "a BDF file", "read it with pyedflib or mne"),
    (b"\x93NUMPY", "a NumPy .npy file", IMPORT),
    (b"SQLite format 3", "an SQLite database", "read it with the program that wrote it"),
    (b"PAR1", "a Parquet file", "read it with pandas.read_parquet"),
    (b"ARROW1", "an Arrow file", "read it with pyarrow"),
    (b"CDF\x01", "a NetCDF file", "read it with scipy.io.netcdf_file"),
    (b"CDF\x02", "a NetCDF file", "read it with scipy.io.netcdf_file"),
    (b"BZh", "compressed with bzip2", "unpack it with bunzip2"),
    (b"\xfd7zXZ\x00", "compressed with xz", "unpack it with unxz"),
    (b"\x28\xb5\x2f\xfd", "compressed with zstd", "unpack it with unzstd"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", "unpack it"),
    (b"Rar!", "a RAR archive", "unpack it"),
    (b"version https://git-lfs", "a Git LFS pointer, not the data", "fetch the data with git lfs pull"),
    (b"/annex/objects/", "a git-annex pointer, not the data", "fetch the data with git annex get"),
    *(
        (start, "a pickled Python object", "load it in the program that wrote it")
        for start in (
            b"\x80\x02",
            b"\x80\x03",
            b"\x80\x04",
            b"\x80\x05",
            b"(dp0",
            b"(lp0",
            b"cnumpy",
            b"ccopy_reg",
        )
    ),
)

#: Endings by which a file is named that is too damaged to be recognised.
_ENDINGS = {
    ".xdf": "an XDF file",
    ".xdfz": "an XDF file",
    ".mat": "a MATLAB file",
    ".nev": "a Blackrock .nev file",
    ".nwb": "an NWB file",
    ".npz": "a NumPy .npz file",
    ".npy": "a NumPy .npy file",
    ".csv": "a CSV file",
    **{f".ns{n}": "a Blackrock .nsx file" for n in range(1, 7)},
}

#: Files that are ZIP archives, by their endings.
_ZIPPED = {
    ".xlsx": ("an Excel file", "read it with pandas.read_excel"),
    ".pt": ("a PyTorch file", "name a session"),
    ".pth": ("a PyTorch file", "name a session"),
    ".zarr": ("a Zarr store", "read it with zarr"),
}

#: Attributes by which a root group or one of its children is recognised.
_HDF5_KINDS = (
    ("nwb_version", "an NWB file", IMPORT),
    (
        "MATLAB_class",
        "a MATLAB file (-v7.3)",
        IMPORT,
    ),
    ("pandas_type", "a pandas HDF5 store", "read it with pandas.read_hdf"),
    ("_NCProperties", "a NetCDF file", "read it with xarray or netCDF4"),
    ("keras_version", "a Keras model", "name a session"),
)


def is_session(path: Path) -> bool:
    """Whether a file is a session of ours, by its mark."""
    try:
        with h5py.File(path, "r") as file:
            mark = file.attrs.get("format", "")
    except (OSError, RuntimeError):
        return False
    return bool((mark.decode("utf-8", "replace") if isinstance(mark, bytes) else mark) == FORMAT)


def container_of(path: Path) -> tuple[str, str] | None:
    """What a file is that is not HDF5, and how it is read; None for HDF5 and for unknown bytes.

    A MATLAB -v7.3 file is HDF5 behind a text header; it is named here.
    """
    head = _head(path)
    return _of_bytes(head, path) if head else None


def holds_zeros(path: Path) -> bool:
    """Whether a file begins with nothing but zeros."""
    head = _head(path)
    return bool(head) and not any(head)


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(HEAD_BYTES)
    except OSError:
        return b""


def container_by_ending(path: Path) -> str | None:
    """What a file is by the ending of its name, None for a session's."""
    return _ENDINGS.get(path.suffix.lower())


def hdf5_kind(file: h5py.File) -> tuple[str, str] | None:
    """What an HDF5 file is that is not a session, and how it is read; None if that is unknown."""
    places = [file.attrs, *(file[name].attrs for name in list(file)[:20] if file.get(name) is not None)]
    for attr, what, reader in _HDF5_KINDS:
        if any(attr in attrs for attrs in places):
            return what, reader
    return container_of(Path(file.filename))


def _of_bytes(head: bytes, path: Path) -> tuple[str, str] | None:
    if head.startswith(HDF5):
        return None
    for magic, what, reader in _MAGIC:
        if head.startswith(magic):
            return what, reader
    if head.startswith(b"\x1f\x8b"):
        inside = _inside_gzip(path)
        return "compressed with gzip" + (f" ({inside} inside)" if inside else ""), "unpack it with gunzip"
    if head.startswith(b"PK\x03\x04"):
        if b".npy" in head[:HEAD_BYTES]:
            return "a NumPy .npz file", IMPORT
        return _ZIPPED.get(path.suffix.lower(), ("a ZIP archive", "unpack it"))
    if head[257:262] == b"ustar":
        return "a tar archive", "unpack it"
    if head[8:9] == b"{" and b'"' in head and int.from_bytes(head[:8], "little") < 1 << 32:
        return "a model (.safetensors)", "name a session"
    return _of_text(head)


def _of_text(head: bytes) -> tuple[str, str] | None:
    try:
        # The last character may have been cut.
        text = head[:-4].decode("utf-8-sig") if len(head) == HEAD_BYTES else head.decode("utf-8-sig")
    except UnicodeDecodeError:
        return None
    start = text.lstrip().lower()
    if not start or not all(character.isprintable() or character in "\r\n\t" for character in text):
        return None
    if start.startswith(("<!doctype", "<html")):
        return "a web page, perhaps a login page in place of a download", "download the data again"
    if start.startswith(("{", "[")):
        return "a JSON text", "read it with json.load"
    lines = text.splitlines()
    if any(lines[0].count(mark) for mark in ",;\t"):
        return "a CSV table", IMPORT
    return "a text file", "read it with numpy.loadtxt"


def _inside_gzip(path: Path) -> str | None:
    try:
        with gzip.open(path) as file:
            head = file.read(HEAD_BYTES)
    except (OSError, EOFError, zlib.error):
        return None
    if head.startswith(HDF5):
        return "an HDF5 file"
    found = None if head.startswith(b"\x1f\x8b") else _of_bytes(head, path)
    return found[0] if found else None
