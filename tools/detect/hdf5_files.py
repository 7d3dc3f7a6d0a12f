"""Raw voltage in HDF5 files, NWB among them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np

from rtdecode.errors import RtdecodeError
from rtdecode.session.schema import FORMAT
from rtdecode.tools.detect.voltage import RawOptions, RawVoltage, checked

#: Stamps from which the rate is computed.
RATE_STAMPS = 100_000


@contextmanager
def opened_hdf5(path: Path) -> Iterator[h5py.File]:
    """Open an HDF5 file to read."""
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


def of_hdf5(path: Path, file: h5py.File, options: RawOptions) -> RawVoltage:
    """The voltage in an open HDF5 file."""
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
    return checked(found, options)


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
        # MATLAB writes a number as an array of 1 × 1.
        if isinstance(item, h5py.Dataset) and item.ndim == 2 and item.size > 1 and item.dtype.kind in "iuf":
            found.append(f"/{name}")

    file.visititems(visit)
    series = [name for name in found if _is_voltage(file[name].parent)]
    return series if len(series) == 1 else found


def _is_voltage(group: h5py.Group) -> bool:
    """Whether NWB says that its data is voltage."""
    return group.attrs.get("neurodata_type") in ("ElectricalSeries", b"ElectricalSeries")
