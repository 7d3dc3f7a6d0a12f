"""Times and values of a TimeSeries: stamps or start and rate, the file's own scale applied once."""

from __future__ import annotations

from dataclasses import dataclass

import h5py
import numpy as np
from numpy.typing import NDArray

from rtdecode.errors import RtdecodeError
from rtdecode.tools.files.nwb.access import attr, checked, number
from rtdecode.tools.files.recording import F8

#: A series of a rate below 1 Hz that would last longer than this has its interval in place of the rate; so
#: has one of a rate that no tracker has, if it has enough samples to be one's.
LONGEST_S = 12 * 3600.0
SLOWEST_HZ, ENOUGH_SAMPLES = 0.05, 100

#: Stamps that tell the rate.
_FIRST_STAMPS = 1000


@dataclass(frozen=True)
class Shape:
    """How the samples of a series are stored.

    Attributes:
        n: samples that have both a time and values.
        d: columns; of data of three dimensions, the product of the last two.
        transposed: whether samples are the second dimension.
    """

    n: int
    d: int
    transposed: bool = False


def shape_of(series: h5py.Group) -> Shape:
    """Samples and columns; data with as many columns as stamps, but not as many rows, are transposed."""
    data = checked(series["data"])
    n, d = (data.shape[0] if data.ndim else 0), int(np.prod(data.shape[1:], dtype=np.int64))
    stamps = _n_stamps(series)
    if stamps is None:
        return Shape(n, d)
    if data.ndim == 2 and stamps == data.shape[1] != n:
        return Shape(stamps, n, transposed=True)
    return Shape(min(n, stamps), d)


def sample_times(series: h5py.Group, rows: slice = slice(None)) -> F8:
    """f8[n], seconds: the times of samples."""
    n = shape_of(series).n
    if isinstance(stamps := series.get("timestamps"), h5py.Dataset):
        begin, end, step = rows.indices(n)
        # Of stamps in two rows, start and end of each sample, the first row is taken.
        if stamps.ndim == 2:
            at = (
                (0, slice(begin, end, step))
                if stamps.shape[0] < stamps.shape[1]
                else (slice(begin, end, step), 0)
            )
            return np.asarray(stamps[at]).astype(np.float64)
        return np.asarray(stamps[begin:end:step]).astype(np.float64)
    start_s, rate_hz = _regular(series)
    index = np.arange(*rows.indices(n), dtype=np.float64)
    return start_s + index * rate_hz if is_interval(series) else start_s + index / rate_hz


def sample_values(
    series: h5py.Group, columns: NDArray[np.intp] | None = None, rows: slice = slice(None)
) -> F8:
    """f8[n, d], data · conversion · channel_conversion + offset, of some columns and rows."""
    data, shape = series["data"], shape_of(series)
    begin, end, _ = rows.indices(shape.n)
    raw = np.asarray(data[:, begin:end]).T if shape.transposed else np.asarray(data[begin:end])
    values: F8 = raw.reshape(end - begin, shape.d)[:, slice(None) if columns is None else columns].astype(
        np.float64
    )
    scale, offset = _scale(series)
    per_column = _channel_conversion(series, shape.d)
    if per_column is not None:
        values *= per_column if columns is None else per_column[columns]
    if scale != 1:
        values *= scale
    if offset != 0:
        values += offset
    return values


def rate_of(series: h5py.Group) -> float | None:
    """About how many samples a second, None where that is unknown."""
    if "timestamps" not in series:
        rate = _regular(series)[1]
        return 1 / rate if is_interval(series) else rate
    first = sample_times(series, slice(0, _FIRST_STAMPS))
    step = float(np.median(np.diff(first))) if len(first) > 1 else 0.0
    return 1 / step if step > 0 else None


def clock_of(series: h5py.Group) -> str:
    """Equal for series that share their times: number of samples, first, middle and last time."""
    n = shape_of(series).n
    times = (
        [float(sample_times(series, slice(at, at + 1))[0]) for at in sorted({0, n // 2, n - 1})] if n else []
    )
    return "/".join([str(n), *map(repr, times)])


def has_times(series: h5py.Group) -> bool:
    """Whether it has stamps or states a rate."""
    return "timestamps" in series or _stated_rate(series) > 0


def is_interval(series: h5py.Group) -> bool:
    """Whether the rate that is stated can only be the interval in seconds: .02 for 20 ms."""
    rate, n = _stated_rate(series), shape_of(series).n
    slow = rate <= SLOWEST_HZ and n >= ENOUGH_SAMPLES
    return "timestamps" not in series and 0 < rate < 1 and (slow or n / rate > LONGEST_S)


def notes_of(series: h5py.Group) -> list[str]:
    """What is odd about times and scale, a sentence each without a subject."""
    notes, shape, data = [], shape_of(series), series["data"]
    stamps = series.get("timestamps")
    if is_interval(series):
        at = ", and its offset of the values as its start" if _starts_at_offset(series) else ""
        notes.append(
            f"its rate of {_stated_rate(series):g} Hz is taken as an interval of so many seconds{at}"
        )
    if isinstance(stamps, h5py.Dataset):
        if stamps.ndim == 2:
            notes.append(f"its stamps have shape {stamps.shape}; the first of each is taken")
        if stamps.dtype == np.float32 and shape.n:
            step_ms = 1000 * float(np.spacing(np.float32(sample_times(series, slice(shape.n - 1, None))[0])))
            notes.append(f"its stamps are float32, rounded to {step_ms:.2g} ms")
        n = data.shape[1] if shape.transposed else len(data)
        if n != _n_stamps(series):
            notes.append(f"it has {_n_stamps(series)} stamps for {n} samples; the first {shape.n} are taken")
    if shape.transposed:
        notes.append(f"it is stored as {data.shape}, columns by samples")
    if not shape.n:
        notes.append("it is empty")
    if not np.isfinite(stated := number(attr(data, "conversion", 1.0), np.nan)) or stated == 0:
        notes.append(f"its conversion is {attr(data, 'conversion')}, and is taken as 1")
    return notes


def _n_stamps(series: h5py.Group) -> int | None:
    stamps = series.get("timestamps")
    return int(max(stamps.shape)) if isinstance(stamps, h5py.Dataset) and stamps.ndim else None


def _stated_rate(series: h5py.Group) -> float:
    start = series.get("starting_time")
    return number(attr(start, "rate"), 0.0) if isinstance(start, h5py.Dataset) else 0.0


def _regular(series: h5py.Group) -> tuple[float, float]:
    """Time of the first sample, seconds, and the rate as stated."""
    rate = _stated_rate(series)
    if rate <= 0:
        raise RtdecodeError(
            "has neither stamps nor a rate",
            where=f"{series.file.filename}:{series.name}",
            fix="store its timestamps",
        )
    start_s = number(series["starting_time"][()], 0.0)
    return _scale_as_stored(series)[1] if _starts_at_offset(series) else start_s, rate


def _starts_at_offset(series: h5py.Group) -> bool:
    """Whether the time of the first sample is in `offset`, as in files whose rate is an interval."""
    start = number(series["starting_time"][()], 0.0) if "starting_time" in series else 0.0
    return is_interval(series) and start == 0 and _scale_as_stored(series)[1] != 0


def _scale(series: h5py.Group) -> tuple[float, float]:
    conversion, offset = _scale_as_stored(series)
    return conversion, 0.0 if _starts_at_offset(series) else offset


def _scale_as_stored(series: h5py.Group) -> tuple[float, float]:
    data = series["data"]
    return number(attr(data, "conversion"), 1.0) or 1.0, number(attr(data, "offset"), 0.0)


def _channel_conversion(series: h5py.Group, d: int) -> F8 | None:
    found = series.get("channel_conversion")
    return (
        np.asarray(found[()]).astype(np.float64)
        if isinstance(found, h5py.Dataset) and found.shape == (d,)
        else None
    )
