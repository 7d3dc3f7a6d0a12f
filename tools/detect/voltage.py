"""An open file of raw voltage, and what a person states of it."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtdecode.errors import RtdecodeError

DTYPES = ("int16", "int32", "float32", "float64")

#: Time is the longer axis where it is this many times longer than the other.
LONGER = 10

#: A rate that differs by more than this part from the file's is another one.
OTHER_RATE = 0.01


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


def checked(found: RawVoltage, options: RawOptions) -> RawVoltage:
    """The file with the options applied to it.

    Raises:
        RtdecodeError: it holds no table of numbers, or options are missing or do not fit it.
    """
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
    if found.rate_hz > 0 and abs(rate_hz / found.rate_hz - 1.0) > OTHER_RATE:
        raise RtdecodeError(
            f"states a rate of {found.rate_hz:g} Hz, and --rate is {rate_hz:g}",
            where=where,
            fix="omit --rate",
        )
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
