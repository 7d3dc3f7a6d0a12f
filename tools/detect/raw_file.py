"""Files of raw voltage, opened without reading them: HDF5 (NWB too), NumPy, and plain binary files."""

from __future__ import annotations

import math
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from rtdecode.errors import RtdecodeError
from rtdecode.files import file_errors
from rtdecode.session.diagnosis.containers import container_of
from rtdecode.session.schema import FORMAT

DTYPES = ("int16", "int32", "float32", "float64")

#: Time is the longer axis where it is this many times longer than the other.
LONGER = 10

#: Stamps from which the rate is computed.
RATE_STAMPS = 100_000


@dataclass(frozen=True, kw_only=True)
class RawOptions:
    """What a person states of a file; None where the file states it.

    Attributes:
        n_channels: number of channels.
        rate_hz: samples per second.
        dtype: one of DTYPES, little-endian; of plain binary files only.
        channel_major: True for one channel after another, False for one sample after another.
        dataset: path inside an HDF5 file, or name of an array in an .npz file.
        start_s: time of the first sample, seconds.
    """

    n_channels: int | None = None
    rate_hz: float | None = None
    dtype: str | None = None
    channel_major: bool | None = None
    dataset: str | None = None
    start_s: float | None = None


@dataclass(frozen=True, eq=False)
class RawVoltage:
    """An open file of voltage.

    Attributes:
        where: the file, and the place in it.
        array: numbers [T, C], or [C, T] if `channel_major`; an array that is mapped, or an HDF5 dataset.
        channel_major: whether one channel follows another.
        rate_hz: samples per second.
        start_s: time of the first sample, seconds.
        stamps: f8[T], HDF5 dataset of the time of each sample, seconds; None where there is none.
        notes: what is odd in it, a sentence each.
    """

    where: str
    array: Any
    channel_major: bool
    rate_hz: float
    start_s: float
    stamps: Any = None
    notes: tuple[str, ...] = ()

    @property
    def n_samples(self) -> int:
        """T."""
        return int(self.array.shape[1 if self.channel_major else 0])

    @property
    def n_channels(self) -> int:
        """C."""
        return int(self.array.shape[0 if self.channel_major else 1])

    def read(self, begin: int, end: int) -> NDArray[np.generic]:
        """Samples begin to end, [≤ end − begin, C]."""
        try:
            if self.channel_major:
                return np.asarray(self.array[:, begin:end]).T
            return np.asarray(self.array[begin:end])
        except (OSError, RuntimeError) as error:
            raise RtdecodeError(
                f"is damaged, or compressed in a way that is not installed here: {error}",
                where=self.where,
                fix="copy it again, or store it uncompressed or with gzip",
            ) from error


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
        with _hdf5(path) as file:
            yield _of_hdf5(path, file, options)
        return
    _refuse(options.dtype, "--dtype", path, head.startswith((b"\x93NUMPY", b"PK\x03\x04")))
    if head.startswith(b"\x93NUMPY"):
        _refuse(options.dataset, "--dataset", path)
        yield _checked(RawVoltage(str(path), _mapped(path, str(path)), False, 0.0, 0.0), options)
    elif head.startswith(b"PK\x03\x04"):
        name, array = _of_npz(path, options)
        yield _checked(RawVoltage(f"{path}:{name}", array, False, 0.0, 0.0), options)
    else:
        _refuse(options.dataset, "--dataset", path)
        yield _of_binary(path, size, options)


def _refuse(value: object, option: str, path: Path, wrong: bool = True) -> None:
    if wrong and value is not None:
        raise RtdecodeError(f"cannot use {option}, as of its kind of file", where=str(path), fix="omit it")


@contextmanager
def _hdf5(path: Path) -> Iterator[h5py.File]:
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise RtdecodeError(
            f"cannot be opened: {error}",
            where=str(path),
            fix="close it in the program that has it open, or copy it again",
        ) from error
    with file:
        yield file


def _of_hdf5(path: Path, file: h5py.File, options: RawOptions) -> RawVoltage:
    _refuse(options.dtype, "--dtype", path)
    if file.attrs.get("format") in (FORMAT, FORMAT.encode()):
        raise RtdecodeError(
            "is a session file, which holds spikes, not voltage",
            where=str(path),
            fix="name the recording of the voltage; rtdecode fit and decode read sessions",
        )
    dataset = _chosen(path, file, options.dataset)
    found = RawVoltage(f"{path}:{dataset.name}", dataset, False, 0.0, 0.0)
    # NWB keeps the rate, or the time of each sample, beside the data.
    beside = dataset.parent
    start, stamps = beside.get("starting_time"), beside.get("timestamps")
    if isinstance(start, h5py.Dataset) and "rate" in start.attrs:
        found = replace(found, rate_hz=float(start.attrs["rate"]), start_s=float(start[()]))
    elif isinstance(stamps, h5py.Dataset) and stamps.ndim == 1 and len(stamps) in dataset.shape:
        first = np.asarray(stamps[:RATE_STAMPS], np.float64)
        step_s = float(np.median(np.diff(first))) if len(first) > 1 else 0.0
        if not step_s > 0:
            raise RtdecodeError(
                "does not increase", where=f"{path}:{stamps.name}", fix="store the time of each sample, s"
            )
        found = replace(found, rate_hz=1.0 / step_s, start_s=float(first[0]), stamps=stamps)
    return _checked(found, options)


def _chosen(path: Path, file: h5py.File, name: str | None) -> h5py.Dataset:
    if name is not None:
        item = file.get(name)
        if isinstance(item, h5py.Group):
            item = item.get("data")
        if not isinstance(item, h5py.Dataset):
            raise RtdecodeError(f"lacks a dataset {name}", where=str(path), fix=_listing(_tables(file)))
        return item
    tables = _tables(file)
    if len(tables) != 1:
        raise RtdecodeError(
            f"holds {len(tables) or 'no'} 2-D arrays of numbers"
            + (", so which one is the voltage must be named" if tables else ""),
            where=str(path),
            fix=_listing(tables) if tables else "name a file of voltage",
        )
    return file[tables[0]]


def _listing(tables: list[str]) -> str:
    return f"name one with --dataset: {', '.join(tables[:10])}" if tables else "name a file of voltage"


def _tables(file: h5py.File) -> list[str]:
    found: list[str] = []

    def visit(name: str, item: object) -> None:
        if isinstance(item, h5py.Dataset) and item.ndim == 2 and item.size and item.dtype.kind in "iuf":
            found.append(f"/{name}")

    file.visititems(visit)
    return found


def _of_npz(path: Path, options: RawOptions) -> tuple[str, NDArray[Any]]:
    """An array of an .npz file, unpacked on the disk so that it need not fit into memory."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = [name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")]
            wanted = options.dataset or (names[0] if len(names) == 1 else None)
            if wanted not in names:
                raise RtdecodeError(
                    f"holds {len(names)} arrays" + (f", none called {wanted}" if wanted else ""),
                    where=str(path),
                    fix=f"name one with --dataset: {', '.join(names[:10])}",
                )
            # The file is gone from the folder at once, its contents once the array is.
            with tempfile.NamedTemporaryFile() as unpacked, archive.open(f"{wanted}.npy") as packed:
                shutil.copyfileobj(packed, unpacked)
                unpacked.flush()
                return str(wanted), _mapped(Path(unpacked.name), f"{path}:{wanted}")
    except zipfile.BadZipFile as error:
        raise RtdecodeError(f"is damaged: {error}", where=str(path), fix="copy it again") from error


def _mapped(path: Path, where: str) -> NDArray[Any]:
    try:
        array: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise RtdecodeError(
            f"cannot be read: {error}", where=where, fix="save numbers [samples, channels] with numpy.save"
        ) from error
    return array


def _of_binary(path: Path, size: int, options: RawOptions) -> RawVoltage:
    where = str(path)
    if (kind := container_of(path)) is not None:
        raise RtdecodeError(
            f"is {kind[0]}, not plain samples",
            where=where,
            fix=f"{kind[1]} and save its voltage as .npy, [samples, channels]",
        )
    for value, option in (
        (options.n_channels, "--channels 96"),
        (options.rate_hz, "--rate 30000"),
        (options.dtype, "--dtype int16"),
    ):
        if value is None:
            raise RtdecodeError(
                f"is a plain binary file, which does not state its {option.split()[0][2:]}",
                where=where,
                fix=f"give {option}, or what it is here",
            )
    assert options.n_channels is not None
    dtype = np.dtype(options.dtype).newbyteorder("<")
    row = options.n_channels * dtype.itemsize
    if size % row:
        raise RtdecodeError(
            f"holds {size} bytes, not a whole number of samples: one of {options.n_channels} channels in "
            f"{options.dtype} is {row} bytes, and {size % row} are left",
            where=where,
            fix="correct --channels or --dtype, or cut off a header",
        )
    flat = np.memmap(path, dtype, "r")
    shape = (options.n_channels, -1) if options.channel_major else (-1, options.n_channels)
    found = RawVoltage(where, flat.reshape(shape), bool(options.channel_major), 0.0, 0.0)
    if dtype.kind == "i" and _looks_float(flat):
        found = replace(found, notes=(f"the values look like float32, and are read as {options.dtype}",))
    return _checked(found, options)


def _looks_float(flat: NDArray[Any]) -> bool:
    """Whether integers are, bit by bit, plausible voltages in float32: in integers few are."""
    size = np.abs(np.frombuffer(flat[: 1 << 18].tobytes()[: 1 << 19], "<f4"))
    return bool(size.size and (((size > 1e-9) & (size < 1e9)) | (size == 0)).mean() > 0.99 and size.any())


def _checked(found: RawVoltage, options: RawOptions) -> RawVoltage:
    """The file with the options applied to it."""
    array, where = found.array, found.where
    if array.dtype.kind not in "iuf" or array.dtype.names:
        raise RtdecodeError(
            f"holds {array.dtype}, not integers or floating-point numbers",
            where=where,
            fix="name an array of voltage",
        )
    if array.ndim != 2 or 0 in array.shape:
        raise RtdecodeError(
            f"has shape {array.shape}, not [samples, channels]", where=where, fix="name an array of voltage"
        )
    if options.dtype is None:
        found = replace(found, channel_major=_channel_major(array.shape, where, options))
    if options.n_channels not in (None, found.n_channels):
        raise RtdecodeError(
            f"has {found.n_channels} channels, not {options.n_channels}, and {found.n_samples} samples",
            where=where,
            fix="correct --channels, or omit it; --channel-major and --sample-major state the order",
        )
    if found.stamps is not None and len(found.stamps) != found.n_samples:
        raise RtdecodeError(
            f"has {len(found.stamps)} stamps for {found.n_samples} samples",
            where=f"{where} and its timestamps",
            fix="state the order with --channel-major or --sample-major",
        )
    rate_hz = options.rate_hz or found.rate_hz
    if not rate_hz > 0:
        raise RtdecodeError("does not state its rate", where=where, fix="give it, such as --rate 30000")
    start_s = found.start_s if options.start_s is None else options.start_s
    if not math.isfinite(start_s):
        raise RtdecodeError(f"starts at {start_s} s", where=where, fix="give its start, such as --start 0")
    return replace(found, rate_hz=rate_hz, start_s=start_s)


def _channel_major(shape: tuple[int, int], where: str, options: RawOptions) -> bool:
    if options.channel_major is not None:
        return options.channel_major
    if options.n_channels in shape and shape[0] != shape[1]:
        return shape[0] == options.n_channels
    if max(shape) < LONGER * min(shape):
        raise RtdecodeError(
            f"has shape {shape}, and either could be the channels",
            where=where,
            fix="state the order with --channel-major or --sample-major",
        )
    return shape[0] < shape[1]
