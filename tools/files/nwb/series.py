"""Series of behaviour and of signals: names, units and roles, as the file and its habits give them."""

from __future__ import annotations

import re

import h5py
import numpy as np

from rtdecode.tools.files.nwb.access import Place, is_numeric, opened, text, texts
from rtdecode.tools.files.nwb.electrodes import electrodes_of
from rtdecode.tools.files.nwb.samples import (
    clock_of,
    has_times,
    notes_of,
    rate_of,
    sample_times,
    sample_values,
    shape_of,
)
from rtdecode.tools.files.recording import F8, Series

#: Voltage from this rate on is raw: spikes are to be detected in it.
RAW_HZ = 5000.0

_MASK = re.compile(r"(^|_)(mask|blacklist)($|_)", re.IGNORECASE)
_SIGNAL = re.compile(r"(^|_)(lfp|sbp|ecog|(high_?)?gamma|beta)($|_)|power|spik\w*_?band", re.IGNORECASE)

#: Modules of `processing` in which a bare TimeSeries is no behaviour.
_NO_BEHAVIOR = ("ecephys", "ophys", "icephys", "ogen", "image", "misc", "decoding")

#: Types of series that hold no behaviour and no signal of electrodes: other, or not importable.
_OTHER = re.compile("RoiResponse|Optogenetic|IndexSeries")
_NOT_IMPORTED = re.compile("Image|Photon|Clamp|Izero|SpikeEvent")

_LISTED = re.compile(r"columns?\s*[=:]\s*[\[(]([^\])]*)[\])]", re.IGNORECASE)
_NAME = re.compile(r"[^\s,;:=()\[\]]{1,32}")


def series_of(place: Place, series: h5py.Group, name: str) -> Series | str:
    """A series described, or why nothing of it can be imported."""
    kind, data = text(series, "neurodata_type"), series["data"]
    if _NOT_IMPORTED.search(kind):
        return f"is of type {kind}, which is not imported"
    if not is_numeric(data) or not 0 < data.ndim < 4 or (data.ndim == 3 and "bands" not in series):
        return f"has {data.dtype} data of shape {data.shape}, not samples of columns"
    if not has_times(series):
        return "has neither stamps nor a rate"
    rate, shape = rate_of(series), shape_of(series)
    if _is_electrical(series, kind) and rate is not None and rate >= RAW_HZ:
        return f"is raw voltage of {shape.d} channels at {rate:g} Hz: rtdecode detect finds its spikes"
    confident = _confidence(series, shape.n)
    return Series(
        name=name,
        columns=(*_columns(place, series, kind, shape.d), *(["confidence"] if confident else [])),
        units=(*_units(series, shape.d), *([""] if confident else [])),
        n_samples=shape.n,
        rate_hz=rate,
        role=_role(place, series, kind, shape.d),
        read=lambda: _read(place),
        note="; ".join(notes_of(series)),
        clock=clock_of(series),
    )


def _read(place: Place) -> tuple[F8, F8]:
    with opened(place.file) as file:
        series = file[place.path]
        time, values = sample_times(series), sample_values(series)
        if _confidence(series, len(time)):
            values = np.column_stack((values, series["confidence"][: len(time)].astype(np.float64)))
        return time, values


def _confidence(series: h5py.Group, n: int) -> bool:
    """Whether each sample has a confidence of its own (ndx-pose)."""
    found = series.get("confidence")
    return isinstance(found, h5py.Dataset) and found.ndim == 1 and len(found) >= n


def _is_electrical(series: h5py.Group, kind: str) -> bool:
    return kind == "ElectricalSeries" or "electrodes" in series


def _role(place: Place, series: h5py.Group, kind: str, d: int) -> str:
    parts = place.path.strip("/").split("/")
    if d == 1 and _MASK.search(parts[-1]):
        return "mask"
    if _is_electrical(series, kind) or "bands" in series or any(_SIGNAL.search(part) for part in parts[1:]):
        return "signal"
    in_other_module = parts[0] == "processing" and parts[1] in _NO_BEHAVIOR
    is_spatial = "reference_frame" in series or kind == "SpatialSeries"
    return "other" if _OTHER.search(kind) or (in_other_module and not is_spatial) else "behavior"


def _units(series: h5py.Group, d: int) -> tuple[str, ...]:
    listed = series.get("feature_units")
    if isinstance(listed, h5py.Dataset) and listed.shape == (d,):
        return tuple(texts(listed[()]))
    unit = text(series["data"], "unit")
    return (unit if unit.lower() not in ("n/a", "na", "unknown", "no unit") else "",) * d


def _columns(place: Place, series: h5py.Group, kind: str, d: int) -> tuple[str, ...]:
    """Names from electrodes, from what the file says about its columns, or x, y, z of a place."""
    leaf = place.path.rpartition("/")[2]
    for found in (_of_electrodes(series, d), _features(series), *_said(series)):
        if len(found) == d and len(set(found)) == d and all(found):
            return tuple(found)
    if d == 1:
        return ("x",) if kind == "SpatialSeries" and _in_position(series) else (leaf,)
    is_place = "SpatialSeries" in kind or "PoseEstimation" in kind or _in_position(series)
    if is_place and d <= 3:
        return ("x", "y", "z")[:d]
    return tuple(f"{leaf}_{column}" for column in range(d))


def _in_position(series: h5py.Group) -> bool:
    return text(series.parent, "neurodata_type") == "Position"


def _of_electrodes(series: h5py.Group, d: int) -> list[str]:
    if "electrodes" not in series:
        return []
    bands = series["data"].shape[2] if series["data"].ndim == 3 else 1
    labels = electrodes_of(series, d // max(1, bands)).labels
    return [label if bands == 1 else f"{label}_{band}" for label in labels for band in range(bands)]


def _features(series: h5py.Group) -> list[str]:
    found = series.get("features")
    return texts(found[()]) if isinstance(found, h5py.Dataset) and found.ndim == 1 else []


def _said(series: h5py.Group) -> list[list[str]]:
    """Names as lists in comments ("columns=[x,y]") and in the description ("tx,ty,tz")."""
    found = []
    for words in (text(series, "comments"), text(series, "description")):
        listed = _LISTED.search(words)
        names = [each.strip(" '\"") for each in (listed[1] if listed else words).split(",")]
        found.append(names if all(_NAME.fullmatch(each) for each in names) else [])
    return found
