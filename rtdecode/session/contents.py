"""What a growing session file holds, and the rows of its writer (`grow.py`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from numpy.typing import ArrayLike

from rtdecode import __version__


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
    """

    n_outputs: int
    origin_s: float
    models: tuple[str, ...]
    names: tuple[str, ...] = ()
    out_names: tuple[str, ...] = ()
    out_units: tuple[str, ...] = ()
    out_settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Contents:
    """The contents of a growing file.

    Attributes:
        n_channels: 1 to 65,535.
        attrs: root attributes (subject, session_id, date, task, license, source, …).
        behavior: names and units of the behaviour's columns, or None for no /behavior.
        decoded: the contents of /decoded, or None for none.
        counts: (bin_width_s, t0_s) where the source is a stream of counts, or None for no /counts.
        events: whether there is /events.
    """

    n_channels: int
    attrs: Mapping[str, str] = field(default_factory=dict)
    behavior: tuple[Sequence[str], Sequence[str]] | None = None
    decoded: DecodedColumns | None = None
    counts: tuple[float, float] | None = None
    events: bool = False


class DecodedRows(NamedTuple):
    """T bins of /decoded, in the dtypes and shapes of `layout.Decoded`; `out` if the file has that column."""

    bin: ArrayLike
    t_bin: ArrayLike
    values: ArrayLike
    flags: ArrayLike
    model: ArrayLike
    late: ArrayLike
    lost: ArrayLike
    counts: ArrayLike
    out: ArrayLike | None = None
