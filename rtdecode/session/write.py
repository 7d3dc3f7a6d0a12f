"""Write a session file at once; for a file that grows while a recording runs, see `grow.py`."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from rtdecode.errors import RtdecodeError
from rtdecode.files import cannot_write, part_of
from rtdecode.session.layout import Detection, Electrodes, LogEntry, Session
from rtdecode.session.log_text import marker_rows, to_json
from rtdecode.session.raw import RawGroup
from rtdecode.session.rules.part import check_part
from rtdecode.session.rules.spikes import narrow
from rtdecode.session.schema import (
    ANNOUNCED,
    ANNOUNCED_PERIOD,
    DECODED,
    DOCS,
    FORMAT,
    FORMAT_VERSION,
    MAX_CHANNELS,
    OWN_ATTRS,
    VERSION_2_GROUPS,
)

Columns = dict[str, NDArray[Any]]
Attrs = dict[str, Any]
Parts = dict[str, tuple[Columns, Attrs]]

COMPRESSION = {"compression": "gzip", "compression_opts": 1, "shuffle": True}
"""Level 1: a third of the uncompressed size, and 1.7 million events are still read in 0.1 s."""

CHUNK_BYTES = 1 << 20


def write_session(path: Path | str, session: Session) -> None:
    """Write `session` to `path`, replacing an existing file: a reader sees the old file or the new one.

    Everything of the session but its `path` is written. Its arrays must keep the rules of `read_session`.

    Raises:
        RtdecodeError: the session breaks a rule of the format, or the file cannot be written.
    """
    path = Path(path)
    parts = _checked_parts(session, str(path))
    unfinished = part_of(path)
    try:
        with h5py.File(unfinished, "x") as file:
            write_attrs(file, session.n_channels, session.attrs, _version(parts))
            file.attrs["complete"] = np.uint8(session.complete)
            for name, (columns, attrs) in parts.items():
                write_group(file.create_group(name), columns, attrs)
        os.replace(unfinished, path)
    except (OSError, RuntimeError, ValueError) as error:
        raise cannot_write(path, error) from error
    finally:
        with contextlib.suppress(OSError):
            unfinished.unlink()


def write_attrs(file: h5py.File, n_channels: int, attrs: Mapping[str, str], version: int = 1) -> None:
    """The root attributes of a session file: the format's own and the session's."""
    file.attrs["format"] = FORMAT
    file.attrs["format_version"] = version
    file.attrs["n_channels"] = n_channels
    for name, text in attrs.items():
        # HDF5 has no place for the bytes of a file's name that are no text.
        file.attrs[name] = text.encode(errors="backslashreplace").decode()


def strings(texts: Sequence[str]) -> NDArray[Any]:
    """A list of strings as HDF5 stores it, which may be empty."""
    return np.array(list(texts), dtype=h5py.string_dtype())


def out_attrs(names: Sequence[str], units: Sequence[str], settings: Mapping[str, Any]) -> dict[str, Any]:
    """The attributes of /decoded that go with its column `out`."""
    return {
        "out_names": strings(names),
        "out_units": strings(units),
        "out_settings": to_json(dict(settings)),
    }


def _checked_parts(session: Session, where: str) -> Parts:
    codes = None if session.decoded is None else session.decoded.codes
    least = 1 if session.features is None and codes is None else 0
    if not least <= session.n_channels <= MAX_CHANNELS:
        raise RtdecodeError(
            f"n_channels is {session.n_channels}", where=where, fix=f"set it to {least} to {MAX_CHANNELS}"
        )
    reserved = OWN_ATTRS & session.attrs.keys()
    if reserved:
        raise RtdecodeError(
            f"the attribute {min(reserved)} is reserved by the format",
            where=where,
            fix="give it another name",
        )
    if all(part is None for part in (session.events, session.counts, session.features, session.decoded)):
        fix = "give it events, counts or features"
        raise RtdecodeError("the session holds no spikes", where=where, fix=fix)
    parts = _parts(session)
    for name, (columns, attrs) in parts.items():
        try:
            check_part(name, RawGroup(f"{where}:/{name}", columns, attrs), session.n_channels)
        except RtdecodeError as error:
            fix = f"correct the session that is written; see {DOCS}"
            raise RtdecodeError(error.what, where=error.where, fix=fix) from error
    return parts


def _parts(session: Session) -> Parts:
    """Datasets and attributes of each group."""
    parts: Parts = {}
    columns: Columns
    attrs: Attrs
    if (events := session.events) is not None:
        columns = {"time": events.time, "channel": events.channel}
        if events.unit is not None:
            columns["unit"] = narrow(events.unit)
        parts["events"] = (columns, {})
    if (counts := session.counts) is not None:
        attrs = {"bin_width_s": counts.bin_width_s, "t0_s": counts.t0_s}
        if counts.announced_width_s is not None:
            attrs[ANNOUNCED] = counts.announced_width_s
        columns = {"values": counts.values}
        parts["counts"] = (columns if counts.end is None else {**columns, "end": counts.end}, attrs)
    if (features := session.features) is not None:
        columns = {"time": features.time, "values": features.values}
        attrs = {name: strings(getattr(features, name)) for name in ("names", "kinds", "units")}
        attrs["period_s"] = features.period_s
        if features.announced_period_s is not None:
            attrs[ANNOUNCED_PERIOD] = features.announced_period_s
        parts["features"] = (columns, attrs)
    if (behavior := session.behavior) is not None:
        columns = {"time": behavior.time, "values": behavior.values}
        attrs = {"names": strings(behavior.names), "units": strings(behavior.units)}
        parts["behavior"] = (columns, attrs)
    if (trials := session.trials) is not None:
        parts["trials"] = ({"start": trials.start, "stop": trials.stop, **trials.columns}, {})
    if (markers := session.markers) is not None:
        time, texts = marker_rows(markers)
        columns = {"time": np.array(time, np.float64), "text": np.array(texts, dtype=np.str_)}
        parts["markers"] = (columns, {})
    if (decoded := session.decoded) is not None:
        columns = {name: getattr(decoded, name) for name in DECODED}
        attrs = {
            "origin_s": decoded.origin_s,
            "models": strings(decoded.models),
            "names": strings(decoded.names),
        }
        if decoded.out is not None:
            columns["out"] = decoded.out.values
            attrs |= out_attrs(decoded.out.names, decoded.out.units, decoded.out.settings)
        if decoded.codes is not None:
            columns["codes"] = decoded.codes
        parts["decoded"] = (columns, attrs)
    if (detection := session.detection) is not None:
        parts["detection"] = detection_columns(detection)
    if session.observed is not None:
        parts["observed"] = ({"start": session.observed[:, 0], "stop": session.observed[:, 1]}, {})
    if session.electrodes is not None:
        parts["electrodes"] = (_electrode_columns(session.electrodes), {})
    if session.log:
        parts["log"] = (_log_columns(session.log), {})
    return parts


def detection_columns(detection: Detection) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """Datasets and attributes of /detection."""
    columns: dict[str, NDArray[Any]] = {"noise": detection.noise}
    if detection.weights is not None:
        columns["weights"] = detection.weights
    return columns, {"settings": to_json(detection.settings)}


def _version(parts: Parts) -> int:
    """2 of a file that programs which know version 1 alone would misread."""
    unit = parts["events"][0].get("unit") if "events" in parts else None
    wide = unit is not None and unit.dtype != np.uint8
    return FORMAT_VERSION if wide or VERSION_2_GROUPS & parts.keys() else 1


def _electrode_columns(electrodes: Electrodes) -> Columns:
    columns: Columns = {"label": np.array(electrodes.label, np.str_)}
    columns |= {
        name: np.array(texts, np.str_)
        for name in ("unit_id", "array")
        if (texts := getattr(electrodes, name))
    }
    return columns | {
        name: values for name in ("x", "y") if (values := getattr(electrodes, name)) is not None
    }


def _log_columns(log: tuple[LogEntry, ...]) -> dict[str, NDArray[Any]]:
    return {
        "time": np.array([entry.time for entry in log], dtype=np.float64),
        "bin": np.array([entry.bin for entry in log], dtype=np.int64),
        "kind": np.array([entry.kind for entry in log], dtype=np.str_),
        "data": np.array([to_json(entry.data) for entry in log], dtype=np.str_),
    }


def write_group(group: h5py.Group, columns: dict[str, NDArray[Any]], attrs: dict[str, Any]) -> None:
    """Write a whole group."""
    for name, value in attrs.items():
        group.attrs[name] = value
    for name, values in columns.items():
        if values.dtype.kind in "UO":
            group.create_dataset(name, data=values.astype(object), dtype=h5py.string_dtype())
        elif values.size * values.itemsize <= CHUNK_BYTES:
            group.create_dataset(name, data=values)
        else:
            rows = max(1, CHUNK_BYTES // (values.itemsize * values[0].size))
            group.create_dataset(name, data=values, chunks=(rows, *values.shape[1:]), **COMPRESSION)
