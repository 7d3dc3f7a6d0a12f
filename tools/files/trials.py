"""A table of trials, or markers, from a source to the trials of a session."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtdecode.errors import RtdecodeError
from rtdecode.session.layout import Markers, Trials
from rtdecode.session.trials import find_trials
from rtdecode.tools.files.choice import Choice
from rtdecode.tools.files.recording import F8, Recording, TrialTable

#: Columns that are a trial's target, success and block in files of others, by their names in lower case.
TARGETS = ("target", "target_pos", "target_position", "target_positions", "targetpos", "goal")
SUCCESSES = ("success", "is_successful", "rewarded", "correct", "result", "outcome")
BLOCKS = ("block", "condition", "split", "task")

#: Results of a trial that are a success, in lower case.
SUCCEEDED = frozenset(
    {"r", "reward", "rewarded", "success", "succeeded", "hit", "correct", "true", "1", "1.0"}
)


def read_markers(recording: Recording, choice: Choice) -> Markers | None:
    """All markers of a recording, sorted by time; None without any."""
    times: list[F8] = []
    texts: list[str] = []
    for markers in recording.markers:
        times.append(markers.time * choice.behavior_time_unit_s + choice.shift_s)
        texts += markers.text
    if not texts:
        return None
    time = np.concatenate(times)
    keep = np.isfinite(time) & (time >= choice.from_s) & (time <= choice.to_s)
    order = np.flatnonzero(keep)[np.argsort(time[keep], kind="stable")]
    return Markers(time[order], tuple(texts[i] for i in order))


def read_trials(
    recording: Recording, markers: Markers | None, choice: Choice
) -> tuple[Trials | None, tuple[str, ...]]:
    """The trials of the chosen table, or of the markers.

    Args:
        recording: with tables of trials.
        markers: of the session.
        choice: `trials`, `rules`, `target`, `success`, `block`, `from_s`, `to_s` and `shift_s` are used.

    Returns:
        The trials, None without any, and what was left out, a sentence each.

    Raises:
        RtdecodeError: no table or column has that name, or markers begin no trial.
    """
    if choice.rules is not None:
        if markers is None:
            raise RtdecodeError(
                "has no markers, which trials are made of",
                where=str(recording.path),
                fix="omit the rules of --trials",
            )
        found, summary = find_trials(markers, choice.rules)
        if not len(found.start):
            raise RtdecodeError(
                f"there are {summary}",
                where=str(recording.path),
                fix="name its markers with --trials start=…,stop=…",
            )
        return found, ()
    if choice.trials == "none":
        return None, ()
    table = _chosen(recording, choice.trials)
    return (None, ()) if table is None else _trials(recording, table, choice)


def _chosen(recording: Recording, name: str | None) -> TrialTable | None:
    tables, where = recording.trials, str(recording.path)
    listed = ", ".join(table.name for table in tables) or "none"
    if name is None:
        # Beside epochs and other intervals.
        named_so = [table for table in tables if table.name.rsplit("/", 1)[-1] == "trials"]
        tables = tuple(named_so) if len(named_so) == 1 else tables
        if len(tables) > 1:
            raise RtdecodeError(
                f"holds {len(tables)} tables of trials: {listed}",
                where=where,
                fix="choose one with --trials NAME (none for none)",
            )
        return tables[0] if tables else None
    for table in tables:
        if name in (table.name, table.name.rsplit("/", 1)[-1]):
            return table
    raise RtdecodeError(
        f"has no table of trials called {name!r}; it has {listed}",
        where=where,
        fix="name one of these, or none",
    )


def _trials(recording: Recording, table: TrialTable, choice: Choice) -> tuple[Trials | None, tuple[str, ...]]:
    start, stop = (each * choice.behavior_time_unit_s + choice.shift_s for each in (table.start, table.stop))
    with np.errstate(invalid="ignore"):
        kept = (stop >= start) & (start >= choice.from_s) & (stop <= choice.to_s)
        unknown = int((~(np.isfinite(start) & np.isfinite(stop)) | (stop < start)).sum())
    notes = []
    if unknown:
        notes.append(f"left out {unknown} of {len(start)} trials without a start and a later stop")
    kept &= np.isfinite(start) & np.isfinite(stop)
    columns: dict[str, NDArray[Any]] = {}
    place = f"{recording.path} ({table.name})"
    for ours, asked, usual in (
        ("target", choice.target, TARGETS),
        ("success", choice.success, SUCCESSES),
        ("block", choice.block, BLOCKS),
    ):
        name = _column(table, asked, usual, place)
        if name is None:
            continue
        column = _MEANINGS[ours](table.columns[name])
        if column is not None:
            columns[ours] = column[kept]
        elif asked is not None:
            raise RtdecodeError(
                f"the column {name!r} holds no {ours} for each trial", where=place, fix="name another column"
            )
    for name, column in table.columns.items():
        # A column that has another meaning to commands keeps it.
        ours = (
            name if name not in ("start", "stop", "target", "radius", "success", "block") else f"{name}_raw"
        )
        if ours not in columns and len(column) == len(kept) and column.dtype.kind in "iufbUS":
            columns.setdefault(ours, column[kept])
    if not kept.any():
        return None, (*notes, "no trial is left")
    return Trials(start[kept], stop[kept], columns), tuple(notes)


def _column(table: TrialTable, asked: str | None, usual: tuple[str, ...], where: str) -> str | None:
    if asked is not None:
        if asked not in table.columns:
            raise RtdecodeError(
                f"has no column {asked!r}; it has {', '.join(table.columns) or 'none'}",
                where=where,
                fix="name one of these",
            )
        return asked
    by_name = {name.lower(): name for name in table.columns}
    return next((by_name[name] for name in usual if name in by_name), None)


def _target(column: NDArray[Any]) -> NDArray[Any] | None:
    if column.dtype.kind not in "iuf" or column.ndim != 2 or column.shape[1] < 2:
        return None
    return column[:, :2].astype(np.float32)


def _success(column: NDArray[Any]) -> NDArray[Any] | None:
    if column.ndim != 1:
        return None
    if column.dtype.kind in "iufb":
        return (np.nan_to_num(column.astype(np.float64)) > 0).astype(np.uint8)
    texts = [_text(each).strip().lower() for each in column.tolist()]
    return np.array([text in SUCCEEDED for text in texts], np.uint8)


def _block(column: NDArray[Any]) -> NDArray[Any] | None:
    return np.array([_text(each) for each in column.tolist()], np.str_) if column.ndim == 1 else None


_MEANINGS = {"target": _target, "success": _success, "block": _block}


def _text(value: object) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
