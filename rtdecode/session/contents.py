"""What a growing session file holds, and the rows of its writer (`grow.py`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from numpy.typing import ArrayLike

from rtdecode import __version__
from rtdecode.artifact import FeatureColumn
from rtdecode.session.layout import Detection
from rtdecode.session.log_text import LOG_DATA_BYTES, LOG_KIND_BYTES
from rtdecode.session.schema import DECODED
from rtdecode.session.tables import Columns

CHUNK_ROWS = MappingProxyType(
    {"events": 32_768, "counts": 2_048, "features": 2_048, "behavior": 4_096, "markers": 64, "trials": 64}
    | {"decoded": 2_048, "log": 64}
)
"""Rows of a chunk in each group."""

EVENT_COLUMNS: Columns = {"time": ("f8", ()), "channel": ("u2", ()), "unit": ("u1", ())}
MARKER_COLUMNS: Columns = {"time": ("f8", ()), "text": (f"S{LOG_DATA_BYTES}", ())}
TRIAL_COLUMNS: Columns = {
    "start": ("f8", ()),
    "stop": ("f8", ()),
    "success": ("u1", ()),
    "target": ("f4", (2,)),
    "radius": ("f4", ()),
}
FEATURE_ATTRS = {"names": "name", "kinds": "kind", "units": "units"}
LOG_COLUMNS: Columns = {
    "time": ("f8", ()),
    "bin": ("i8", ()),
    "kind": (f"S{LOG_KIND_BYTES}", ()),
    "data": (f"S{LOG_DATA_BYTES}", ()),
}


def recording_attrs(path: Path, command: str, stream: str, started: datetime) -> dict[str, str]:
    """Root attributes of a file that `rtdecode COMMAND` records, with the name of its stream."""
    return {
        "session_id": path.stem,
        "date": started.date().isoformat(),
        "started": started.isoformat(timespec="seconds"),
        "recorded_by": f"rtdecode {__version__} {command}",
        "stream": stream,
    }


@dataclass(frozen=True)
class DecodedColumns:
    """The contents of `/decoded`.

    Attributes:
        n_outputs: columns of `values`.
        origin_s: start of bin 0, seconds.
        models: model_id of each model at the start (`SessionWriter.list_models` adds to them).
        names: of the outputs.
        out_names, out_units: of the output stage's axes; empty without one.
        out_settings: the stage's `[output]` table.
        n_features: columns of `codes`, which is there if there are any.
    """

    n_outputs: int
    origin_s: float
    models: tuple[str, ...]
    names: tuple[str, ...] = ()
    out_names: tuple[str, ...] = ()
    out_units: tuple[str, ...] = ()
    out_settings: Mapping[str, Any] = field(default_factory=dict)
    n_features: int = 0


@dataclass(frozen=True, kw_only=True)
class Contents:
    """The contents of a growing file.

    Attributes:
        n_channels: 1 to 65,535; 0 for features alone.
        attrs: root attributes (subject, session_id, date, task, license, source, …).
        behavior: names and units of the behaviour's columns, or None for no /behavior.
        decoded: the contents of /decoded, or None for none.
        counts: (bin_width_s, t0_s) where the source is a stream of counts, or None for no /counts.
        features: columns and period_s where it is one of features, or None for no /features.
        detection: how the events are detected in voltage, or None for no /detection.
        events, markers, trials: whether there are /events, /markers and /trials.
    """

    n_channels: int
    attrs: Mapping[str, str] = field(default_factory=dict)
    behavior: tuple[Sequence[str], Sequence[str]] | None = None
    decoded: DecodedColumns | None = None
    counts: tuple[float, float] | None = None
    features: tuple[Sequence[FeatureColumn], float] | None = None
    detection: Detection | None = None
    events: bool = False
    markers: bool = False
    trials: bool = False


def decoded_columns(decoded: DecodedColumns, n_channels: int) -> Columns:
    """Columns of /decoded."""
    rows = {"values": (decoded.n_outputs,), "counts": (n_channels,)}
    columns: dict[str, tuple[str, tuple[int, ...]]] = {
        name: (dtype, rows.get(name, ())) for name, dtype in DECODED.items()
    }
    if decoded.out_names:
        columns["out"] = ("f4", (len(decoded.out_names),))
    if decoded.n_features:
        columns["codes"] = ("i1", (decoded.n_features,))
    return columns


class DecodedRows(NamedTuple):
    """T bins of /decoded, dtypes and shapes as in `layout.Decoded`; `out`, `codes` if there are any."""

    bin: ArrayLike
    t_bin: ArrayLike
    values: ArrayLike
    flags: ArrayLike
    model: ArrayLike
    late: ArrayLike
    lost: ArrayLike
    counts: ArrayLike
    out: ArrayLike | None = None
    codes: ArrayLike | None = None
