"""Write a whole session file at once; for a file that grows while a recording runs, see `grow.py`."""

from __future__ import annotations

import contextlib
import os
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from rtdecode.errors import RtdecodeError
from rtdecode.session.check import (
    check_behavior,
    check_counts,
    check_decoded,
    check_events,
    check_log,
    check_trials,
)
from rtdecode.session.layout import LogEntry, Session
from rtdecode.session.log_text import to_json
from rtdecode.session.schema import DECODED, FORMAT, FORMAT_VERSION, MAX_CHANNELS, OWN_ATTRS

Columns = dict[str, NDArray[Any]]
Attrs = dict[str, Any]
Parts = dict[str, tuple[Columns, Attrs]]

COMPRESSION = {"compression": "gzip", "compression_opts": 1, "shuffle": True}
"""Level 1: a third of the size of plain data, and 1.7 million events still read in a tenth of a second."""

CHUNK_BYTES = 1 << 20


def write_session(path: Path | str, session: Session) -> None:
    """Write `session` to `path`, replacing what is there: a reader sees the old file or the new one.

    Everything of the session is kept but its `path`. The arrays are held to the rules of `read_session`.

    Raises:
        RtdecodeError: the session breaks a rule of the format, or the file cannot be written.
    """
    path = Path(path)
    parts = _checked_parts(session, str(path))
    unfinished = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        with h5py.File(unfinished, "x") as file:
            write_attrs(file, session.n_channels, session.attrs)
            file.attrs["complete"] = np.uint8(session.complete)
            for name, (columns, attrs) in parts.items():
                _write_group(file.create_group(name), columns, attrs)
        os.replace(unfinished, path)
    except (OSError, RuntimeError, ValueError) as error:
        raise cannot_write(path, error) from error
    finally:
        with contextlib.suppress(OSError):
            unfinished.unlink()


def write_attrs(file: h5py.File, n_channels: int, attrs: Mapping[str, str]) -> None:
    """The root attributes of a session file: the format's own and the session's."""
    file.attrs["format"] = FORMAT
    file.attrs["format_version"] = FORMAT_VERSION
    file.attrs["n_channels"] = n_channels
    for name, text in attrs.items():
        file.attrs[name] = text


def cannot_write(path: Path, error: Exception) -> RtdecodeError:
    """The one line for a file that cannot be created or filled."""
    folder = path.parent
    if not folder.is_dir():
        return RtdecodeError("cannot be written: no such folder", where=str(path), fix=f"create {folder}")
    if path.is_dir():
        return RtdecodeError("cannot be written: it is a folder", where=str(path), fix="give a file name")
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return RtdecodeError(
        f"cannot be written: {reason}", where=str(path), fix=f"check space and permissions in {folder}"
    )


def strings(texts: Sequence[str]) -> NDArray[Any]:
    """A list of strings as HDF5 stores it; also an empty one."""
    return np.array(list(texts), dtype=h5py.string_dtype())


def out_attrs(names: Sequence[str], units: Sequence[str], settings: Mapping[str, Any]) -> dict[str, Any]:
    """The attributes of /decoded that go with its column `out`."""
    return {
        "out_names": strings(names),
        "out_units": strings(units),
        "out_settings": to_json(dict(settings)),
    }


def _checked_parts(session: Session, where: str) -> Parts:
    if not 1 <= session.n_channels <= MAX_CHANNELS:
        raise RtdecodeError(f"n_channels is {session.n_channels}", where=where, fix=f"1 to {MAX_CHANNELS}")
    taken = OWN_ATTRS & session.attrs.keys()
    if taken:
        raise RtdecodeError(
            f"the attribute {min(taken)} is the format's own", where=where, fix="give it another name"
        )
    if session.events is None and session.counts is None and session.decoded is None:
        raise RtdecodeError("the session holds no spikes", where=where, fix="give it events or counts")
    parts: Parts = {}
    columns: Columns
    attrs: Attrs
    if (events := session.events) is not None:
        columns = {"time": events.time, "channel": events.channel}
        if events.unit is not None:
            columns["unit"] = events.unit
        check_events(columns, session.n_channels, f"{where}:/events")
        parts["events"] = (columns, {})
    if (counts := session.counts) is not None:
        attrs = {"bin_width_s": counts.bin_width_s, "t0_s": counts.t0_s}
        check_counts(counts.values, attrs, session.n_channels, f"{where}:/counts")
        parts["counts"] = ({"values": counts.values}, attrs)
    if (behavior := session.behavior) is not None:
        columns = {"time": behavior.time, "values": behavior.values}
        attrs = {"names": strings(behavior.names), "units": strings(behavior.units)}
        check_behavior(columns, attrs, f"{where}:/behavior")
        parts["behavior"] = (columns, attrs)
    if (trials := session.trials) is not None:
        columns = {"start": trials.start, "stop": trials.stop, **trials.columns}
        check_trials(columns, f"{where}:/trials")
        parts["trials"] = (columns, {})
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
        check_decoded(columns, attrs, session.n_channels, f"{where}:/decoded")
        parts["decoded"] = (columns, attrs)
    if session.log:
        columns = _log_columns(session.log)
        check_log(columns, f"{where}:/log")
        parts["log"] = (columns, {})
    return parts


def _log_columns(log: tuple[LogEntry, ...]) -> dict[str, NDArray[Any]]:
    return {
        "time": np.array([entry.time for entry in log], dtype=np.float64),
        "bin": np.array([entry.bin for entry in log], dtype=np.int64),
        "kind": np.array([entry.kind for entry in log], dtype=np.str_),
        "data": np.array([to_json(entry.data) for entry in log], dtype=np.str_),
    }


def _write_group(group: h5py.Group, columns: dict[str, NDArray[Any]], attrs: dict[str, Any]) -> None:
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
