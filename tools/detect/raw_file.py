"""Files of raw voltage, opened without reading them: HDF5 (NWB too), NumPy, and plain binary files."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py

from rtdecode.errors import RtdecodeError
from rtdecode.files import file_errors
from rtdecode.tools.detect.flat_files import mapped, of_binary, of_npz
from rtdecode.tools.detect.hdf5_files import of_hdf5, opened_hdf5
from rtdecode.tools.detect.voltage import RawOptions, RawVoltage, checked


@contextmanager
def opened(path: Path, options: RawOptions) -> Iterator[RawVoltage]:
    """Open a file of voltage; its kind is recognised by its bytes, whatever its name.

    Raises:
        RtdecodeError: it cannot be read, holds no voltage, or options are missing or do not fit it.
    """
    with file_errors(path, "read", "check the path, and that it is a file that you may read"):
        size = path.stat().st_size
        with path.open("rb") as file:
            head = file.read(8)
    if size == 0:
        raise RtdecodeError("is empty", where=str(path), fix="copy it again from where it was recorded")
    if h5py.is_hdf5(path):
        _refuse(options.dtype, "--dtype", path)
        with opened_hdf5(path) as file:
            yield of_hdf5(path, file, options)
        return
    _refuse(options.dtype, "--dtype", path, head.startswith((b"\x93NUMPY", b"PK\x03\x04")))
    if head.startswith(b"\x93NUMPY"):
        _refuse(options.dataset, "--dataset", path)
        yield checked(RawVoltage(str(path), mapped(path, str(path)), False, 0.0, 0.0), options)
    elif head.startswith(b"PK\x03\x04"):
        name, array = of_npz(path, options)
        yield checked(RawVoltage(f"{path}:{name}", array, False, 0.0, 0.0), options)
    else:
        _refuse(options.dataset, "--dataset", path)
        yield of_binary(path, size, options)


def _refuse(value: object, option: str, path: Path, wrong: bool = True) -> None:
    if wrong and value is not None:
        raise RtdecodeError(f"cannot use {option}, as of its kind of file", where=str(path), fix="omit it")
