"""Spikes in bins: TimeSeries that look like counts, and the extension ndx-binned-spikes."""

from __future__ import annotations

import re

import h5py
import numpy as np

from rtdecode.tools.files.nwb.access import Place, attr, is_numeric, number, opened, text
from rtdecode.tools.files.nwb.electrodes import Electrodes, chosen, electrodes_table
from rtdecode.tools.files.nwb.marks import mark_of
from rtdecode.tools.files.nwb.samples import has_times, rate_of, sample_times, sample_values, shape_of
from rtdecode.tools.files.nwb.spikes.units import units_of
from rtdecode.tools.files.nwb.tables import n_rows
from rtdecode.tools.files.recording import F8, BinnedSpikes, Rows, UnitTable

_COUNTS = re.compile(
    r"spik|(^|_)tx\d*($|_)|crossing|(^|_)counts?($|_)|(^|_)mua($|_)|firing_?rate", re.IGNORECASE
)
_NO_COUNTS = re.compile(r"power|band|sbp|lfp|waveform|mask|time|label|trial|reward", re.IGNORECASE)
_COUNT_UNITS = ("count", "counts", "spikes", "spike count", "spike counts", "spikes/bin", "events")
_RATES = re.compile(r"^(hz|hertz|(spikes?|sp|counts?)\s*(/|per)\s*s(ec(ond)?s?)?)$", re.IGNORECASE)
_STAMPS = re.compile(
    r"(start|begin|end|cent|mid)\w*\s+(of\s+)?(each\s+|the\s+|every\s+)?(time\s+)?bin|bin\s+(start|end|cent|mid)",
    re.IGNORECASE,
)

#: Rows that are looked at, and bytes that are read at a time.
_LOOKED_AT, _PIECE = 1000, 1 << 25


def looks_binned(place: str, series: h5py.Group) -> bool:
    """Whether a series is spikes in bins: by its mark, else by its name or unit and its first values."""
    data = series["data"]
    if data.ndim != 2 or not is_numeric(data) or "electrodes" in series or not has_times(series):
        return False
    if part := mark_of(series).get("part"):
        return bool(part == "counts")
    parts, unit = place.split("/")[-2:], text(data, "unit").lower()
    named = any(map(_COUNTS.search, parts)) and not any(map(_NO_COUNTS.search, parts))
    if not named and not (unit in _COUNT_UNITS and data.dtype.kind in "iu"):
        return False
    first = sample_values(series, rows=slice(0, _LOOKED_AT))
    return not (first < 0).any()


def binned_series(place: Place, series: h5py.Group, name: str) -> BinnedSpikes:
    """A series of counts or rates described."""
    shape, details = shape_of(series), mark_of(series)
    regular = "timestamps" not in series
    width = details.get("bin_width_s") or (1 / rate if regular and (rate := rate_of(series)) else None)
    unit = text(series["data"], "unit")
    return BinnedSpikes(
        name=name,
        units=_columns(series, shape.d, details.get("electrodes")),
        n_bins=shape.n,
        bin_width_s=width,
        stamps=details.get("stamps") or _stamps(series),
        read=lambda columns: _read(place, columns),
        units_of_values=unit if _RATES.match(unit.strip()) else "",
    )


def aligned_bins(place: Place, group: h5py.Group, name: str) -> BinnedSpikes:
    """A group of ndx-binned-spikes: units by bins, or units by events by bins from a time at each event."""
    data, starts, width = group["data"], _starts(group), _width(group)
    return BinnedSpikes(
        name=name,
        units=_referred(group, len(data)),
        n_bins=len(starts) * data.shape[-1],
        bin_width_s=width,
        stamps="start",
        read=lambda columns: _read_aligned(place, columns),
        observed=np.stack([starts, starts + data.shape[-1] * width], axis=1),
    )


def _columns(series: h5py.Group, d: int, rows: list[int] | None) -> UnitTable:
    # A foreign file does not say which row of its electrodes a column is of.
    table = electrodes_table(series.file)
    if table is not None and rows is not None and len(rows) == d:
        found = chosen(table, [[row] for row in rows])
    else:
        found = Electrodes(("",) * d)
    return UnitTable(_numbered(d), found.labels, None, found.arrays, found.position, found.columns or {})


def _referred(group: h5py.Group, n: int) -> UnitTable:
    """The units that a region names, of their table; without it they are numbered."""
    region = group["units"] if "units" in group else group.get("units_region")
    ref = attr(region, "table") if isinstance(region, h5py.Dataset) else None
    if not isinstance(ref, h5py.Reference) or not ref or region.shape != (n,):
        return UnitTable(_numbered(n), ("",) * n)
    table, rows = group.file[ref], np.asarray(region[()]).astype(np.intp)
    units = units_of(table, n_rows(table))
    return UnitTable(
        tuple(units.ids[row] for row in rows),
        tuple(units.electrodes[row] for row in rows),
        None if units.numbers is None else units.numbers[rows],
        tuple(units.arrays[row] for row in rows) if units.arrays else (),
        None if units.position is None else units.position[rows],
        {name: values[rows] for name, values in units.columns.items()},
    )


def _numbered(n: int) -> tuple[str, ...]:
    return tuple(str(column) for column in range(n))


def _stamps(series: h5py.Group) -> str | None:
    said = _STAMPS.search(f"{text(series, 'description')} {text(series, 'comments')}")
    if said is None:
        return None
    word = (said[1] or said[5]).lower()
    return "start" if word in ("start", "begin") else "end" if word == "end" else "middle"


def _read(place: Place, columns: Rows) -> tuple[F8, F8]:
    with opened(place.file) as file:
        series = file[place.path]
        n, d = shape_of(series).n, shape_of(series).d
        values = np.empty((n, len(columns)), dtype=np.float64)
        step = max(1, _PIECE // max(1, 8 * d))
        for begin in range(0, n, step):
            piece = slice(begin, min(n, begin + step))
            values[piece] = sample_values(series, columns, piece)
        details = mark_of(series)
        if "t0_s" in details and "timestamps" not in series:
            return details["t0_s"] + np.arange(n, dtype=np.float64) * details["bin_width_s"], values
        return sample_times(series), values


def _width(group: h5py.Group) -> float:
    return number(attr(group, "bin_width_in_milliseconds"), np.nan) / 1000


def _starts(group: h5py.Group) -> F8:
    """Start of the first bin at each event, seconds; of the file where there are no events."""
    offset_s = number(attr(group, "milliseconds_from_event_to_first_bin"), 0.0) / 1000
    events = group.get("event_timestamps")
    at = np.zeros(1) if not isinstance(events, h5py.Dataset) else np.asarray(events[()]).astype(np.float64)
    return at + offset_s


def _read_aligned(place: Place, columns: Rows) -> tuple[F8, F8]:
    with opened(place.file) as file:
        group = file[place.path]
        data = np.asarray(group["data"][()])[columns].astype(np.float64)
        stamps = _starts(group)[:, np.newaxis] + np.arange(data.shape[-1]) * _width(group)
        return stamps.reshape(-1), data.reshape(len(columns), -1).T
