"""Write a session as a folder of tables."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtdecode.files import cannot_write
from rtdecode.session.layout import Counts, Decoded, Electrodes, Events, Session, Trials

PIECE_ROWS = 50_000
#: Header and values of each column; rows of a 2-D array are spread over as many columns as it has.
Table = list[tuple[Sequence[str], NDArray[Any]]]


def write_csv(folder: Path, session: Session) -> list[Path]:
    """Write spikes, counts, features, behaviour, trials, markers, electrodes and so on, a file each.

    The first line of each is a comment with what it is and the session's attributes; the second names the
    columns, with the unit in brackets. Numbers are written with all their digits, so that they read back as
    they are; NaN is `nan`. The decoder's own input of each bin (`/decoded/counts`) is left out.

    Args:
        folder: made if it is not there; files of these names in it are replaced.
        session: what is written.

    Returns:
        The files that were written.

    Raises:
        RtdecodeError: one cannot be written.
    """
    path = folder
    written = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for kind, stated, table in _tables(session):
            path = folder / f"{kind}.csv"
            _write(path, {"kind": kind, **stated, "attrs": session.attrs}, table)
            written.append(path)
    except OSError as error:
        raise cannot_write(path, error) from error
    return written


def _tables(session: Session) -> Iterator[tuple[str, dict[str, Any], Table]]:
    """Kind, further statements of the comment and columns of each table."""
    if session.events is not None:
        yield "spikes", {"n_channels": session.n_channels}, _spikes(session.events)
    if session.counts is not None:
        yield "counts", {"bin_width_s": session.counts.bin_width_s}, _counts(session.counts)
    for kind, samples in (("features", session.features), ("behavior", session.behavior)):
        if samples is not None:
            stated = {} if session.features is not samples else {"kinds": session.features.kinds}
            headers = _headers(samples.names, samples.units)
            yield kind, stated, [(["time [s]"], samples.time), (headers, samples.values)]
    if session.trials is not None:
        yield "trials", {}, _trials(session.trials)
    if (markers := session.markers) is not None:
        yield "markers", {}, [(["time [s]"], markers.time), (["text"], np.array(markers.text, np.str_))]
    if session.decoded is not None:
        yield "decoded", {}, _decoded(session.decoded)
    if (observed := session.observed) is not None:
        yield "observed", {}, [(["start [s]"], observed[:, 0]), (["stop [s]"], observed[:, 1])]
    if session.electrodes is not None:
        yield "electrodes", {}, _electrodes(session.electrodes)


def _spikes(events: Events) -> Table:
    table: Table = [(["time [s]"], events.time), (["channel"], events.channel)]
    return table if events.unit is None else [*table, (["unit"], events.unit)]


def _counts(counts: Counts) -> Table:
    name, stamps = ("bin_start", counts.t0_s + np.arange(len(counts.values)) * counts.bin_width_s)
    if counts.end is not None:
        name, stamps = "bin_end", counts.end
    channels = [f"channel_{channel}" for channel in range(counts.values.shape[1])]
    return [([f"{name} [s]"], stamps), (channels, counts.values)]


def _trials(trials: Trials) -> Table:
    table: Table = [(["start [s]"], trials.start), (["stop [s]"], trials.stop)]
    for name, values in trials.columns.items():
        if values.ndim == 1:
            table.append(([name], values))
        else:
            values = values.reshape(len(values), -1)
            n = values.shape[1]
            table.append(([f"{name}_{'xy'[i] if n == 2 else i}" for i in range(n)], values))
    return table


def _decoded(decoded: Decoded) -> Table:
    names = decoded.names or [f"value_{i}" for i in range(decoded.values.shape[1])]
    models = np.array([*decoded.models, *("" for _ in range(256 - len(decoded.models)))], np.str_)
    table: Table = [(["time [s]"], decoded.t_bin), (["bin"], decoded.bin), (names, decoded.values)]
    if decoded.out is not None:
        headers = _headers([f"out_{name}" for name in decoded.out.names], decoded.out.units)
        table.append((headers, decoded.out.values))
    table += [(["flags"], decoded.flags), (["late"], decoded.late), (["lost"], decoded.lost)]
    return [*table, (["model"], models[decoded.model])]


def _electrodes(electrodes: Electrodes) -> Table:
    named = {"label": electrodes.label, "unit_id": electrodes.unit_id, "x": electrodes.x, "y": electrodes.y}
    named["array"] = electrodes.array
    known = {name: np.asarray(values) for name, values in named.items() if values is not None and len(values)}
    return [
        (["channel"], np.arange(len(electrodes.label))),
        *(([name], each) for name, each in known.items()),
    ]


def _headers(names: Sequence[str], units: Sequence[str]) -> list[str]:
    """Names with their units; a name that ends in brackets gets empty ones, which are no part of it."""
    return [
        f"{name} [{unit}]" if unit or name.endswith(("]", ")")) else name
        for name, unit in zip(names, units, strict=True)
    ]


def _write(path: Path, stated: dict[str, Any], table: Table) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write(f"# rtdecode {json.dumps(stated)}\n")
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([header for headers, _ in table for header in headers])
        for first in range(0, len(table[0][1]), PIECE_ROWS):
            pieces = [values[first : first + PIECE_ROWS] for _, values in table]
            columns = [column.tolist() for piece in pieces for column in piece.reshape(len(piece), -1).T]
            # A float64 is written by its repr, the shortest text that reads back as the same number.
            writer.writerows(zip(*columns, strict=True))
