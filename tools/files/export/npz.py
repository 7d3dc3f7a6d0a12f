"""Write a session as an NPZ file: arrays that `numpy.load` opens."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtdecode.files import cannot_write, part_of
from rtdecode.session.layout import Session


def write_npz(path: Path, session: Session) -> None:
    """Write spikes, counts, features, behaviour, trials, markers and decoded values under `group/name`.

    Names, shapes, types and units are those of the session file (docs/session-files.md): `events/time`,
    `behavior/values`, `decoded/flags`; `attrs` is a JSON text. No array holds Python objects.

    Args:
        path: of the file, replaced if it exists.
        session: what is written.

    Raises:
        RtdecodeError: it cannot be written.
    """
    unfinished = part_of(path)
    try:
        with unfinished.open("xb") as file:
            np.savez_compressed(file, **_arrays(session))
        os.replace(unfinished, path)
    except OSError as error:
        raise cannot_write(path, error) from error
    finally:
        with contextlib.suppress(OSError):
            unfinished.unlink()


def _arrays(session: Session) -> dict[str, Any]:
    parts: dict[str, dict[str, Any]] = {}
    if (events := session.events) is not None:
        parts["events"] = {"time": events.time, "channel": events.channel, "unit": events.unit}
    if (counts := session.counts) is not None:
        width = {"bin_width_s": counts.bin_width_s, "t0_s": counts.t0_s}
        parts["counts"] = {"values": counts.values, **width, "end": counts.end}
    for kind, samples in (("features", session.features), ("behavior", session.behavior)):
        if samples is not None:
            named = {"names": samples.names, "units": samples.units}
            parts[kind] = {"time": samples.time, "values": samples.values, **named}
    if session.features is not None:
        parts["features"] |= {"kinds": session.features.kinds, "period_s": session.features.period_s}
    if (trials := session.trials) is not None:
        parts["trials"] = {"start": trials.start, "stop": trials.stop, **trials.columns}
    if (markers := session.markers) is not None:
        parts["markers"] = {"time": markers.time, "text": markers.text}
    if (decoded := session.decoded) is not None:
        rows = ("bin", "t_bin", "values", "flags", "model", "late", "lost", "counts", "origin_s", "names")
        parts["decoded"] = {name: getattr(decoded, name) for name in (*rows, "models", "codes")}
        if decoded.out is not None:
            out = decoded.out
            parts["decoded"] |= {"out": out.values, "out_names": out.names, "out_units": out.units}
    if (of := session.electrodes) is not None:
        known = {"unit_id": of.unit_id or None, "array": of.array or None}
        parts["electrodes"] = {"label": of.label, "x": of.x, "y": of.y, **known}
    arrays = {
        f"{group}/{name}": _array(value)
        for group, part in parts.items()
        for name, value in part.items()
        if value is not None
    }
    attrs = json.dumps(session.attrs)
    if session.observed is not None:
        arrays["observed"] = session.observed
    return {"attrs": np.array(attrs), "n_channels": np.array(session.n_channels), **arrays}


def _array(value: Any) -> NDArray[Any]:
    """As NumPy stores it without Python objects: texts at the length of the longest."""
    array = np.array(value, np.str_) if isinstance(value, tuple) else np.asarray(value)
    return array.astype(np.str_) if array.dtype.kind == "O" else array
