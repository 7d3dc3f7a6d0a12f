"""Continuous series, from a source to the behaviour or the features of a session."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from rtdecode.errors import RtdecodeError
from rtdecode.session.bins import behavior_at
from rtdecode.session.diagnosis.clocks import rounded
from rtdecode.session.diagnosis.order import is_few, rising_rows
from rtdecode.session.layout import Behavior, Features
from rtdecode.tools.files.choice import Choice
from rtdecode.tools.files.recording import F8, Recording, Series

#: Parts of a file that are not read and that a note names.
MOST_NAMED = 8


@dataclass(frozen=True, eq=False)
class Sampled:
    """Samples of some columns, with the name and unit of each."""

    time: F8
    values: NDArray[np.float32]
    names: tuple[str, ...]
    units: tuple[str, ...]


def read_behavior(recording: Recording, choice: Choice) -> tuple[Behavior | None, tuple[str, ...]]:
    """The chosen behaviour, on the clock of the first of its series.

    Columns that are constant or NaN throughout are left out, and samples in which all are NaN.

    Args:
        recording: with series.
        choice: `behavior`, `behavior_time_unit_s`, `shift_s`, `from_s` and `to_s` are used.

    Returns:
        The behaviour, None without any, and what was left out, a sentence each.

    Raises:
        RtdecodeError: a name is of no series, several series could be meant, or times do not rise.
    """
    chosen = _chosen(recording, choice.behavior)
    if not chosen:
        if choice.behavior is not None:
            return None, ()
        unread = "; ".join(f"{name}: {why}" for name, why in recording.others[:MOST_NAMED])
        none = "the file has no behaviour: nothing can be trained on it"
        return None, (f"{none} ({unread})" if unread else none,)
    sampled, notes = _read(recording, chosen, choice)
    if not len(sampled.time):
        return None, (*notes, "the behaviour has no samples" + choice.cut)
    kept, left = _varying(sampled)
    notes += left
    if not kept:
        return None, (*notes, "no column of the behaviour is left")
    known = np.asarray(np.isfinite(sampled.values[:, kept]).any(axis=1))
    if n := int(len(known) - known.sum()):
        notes.append(f"left out {n} of {len(known)} samples of behaviour that are NaN")
    columns = [[texts[i] for i in kept] for texts in (sampled.names, sampled.units)]
    return (
        Behavior(sampled.time[known], sampled.values[known][:, kept], *map(tuple, columns)),
        tuple(notes),
    )


def read_features(recording: Recording, choice: Choice) -> tuple[Features | None, tuple[str, ...]]:
    """The chosen features; arguments, returns and errors as of `read_behavior`."""
    if not choice.features:
        return None, ()
    chosen = _chosen(recording, choice.features)
    # Signals of electrodes are on the clock of the spikes, not of the behaviour.
    sampled, notes = _read(
        recording, chosen, replace(choice, behavior_time_unit_s=choice.time_unit_s, shift_s=0.0)
    )
    period_s = float(np.median(np.diff(sampled.time))) if len(sampled.time) > 1 else 1.0
    described = [series.kinds[i] if series.kinds else "" for series, columns in chosen for i in columns]
    kinds = tuple(kind or _kind(unit) for kind, unit in zip(described, sampled.units, strict=True))
    # A bin takes the samples whose intervals have their middle in it: where a stamp is of a moment, its own.
    time = sampled.time if chosen[0][0].stamps == "end" else sampled.time + 0.5 * period_s
    return Features(time, sampled.values, sampled.names, kinds, sampled.units, period_s), tuple(notes)


def _kind(unit: str) -> str:
    return "rate" if unit.strip().lower() in ("hz", "spikes/s", "1/s") else "other"


def _chosen(recording: Recording, names: tuple[str, ...] | None) -> list[tuple[Series, list[int]]]:
    """Series of behaviour and the columns that are taken of each."""
    if names is not None:
        return [part for name in names for part in _named(recording, name)]
    of_role = [series for series in recording.series if series.role == "behavior"]
    if len(of_role) > 1:
        listed = ", ".join(series.name for series in of_role)
        raise RtdecodeError(
            f"holds {len(of_role)} series of behaviour: {listed}",
            where=str(recording.path),
            fix="choose one or more with --behavior NAME,NAME (none for none); see --list",
        )
    return [(series, list(range(len(series.columns)))) for series in of_role]


def _named(recording: Recording, name: str) -> list[tuple[Series, list[int]]]:
    for series in recording.series:
        if series.name == name:
            return [(series, list(range(len(series.columns))))]
    for series in recording.series:
        start = f"{series.name}/"
        if name.startswith(start) and name[len(start) :] in series.columns:
            return [(series, [series.columns.index(name[len(start) :])])]
    within = [series for series in recording.series if series.name.startswith(f"{name}/")]
    if within:
        return [(series, list(range(len(series.columns)))) for series in within]
    endings = [series for series in recording.series if series.name.rsplit("/", 1)[-1] == name]
    if len(endings) == 1:
        return [(endings[0], list(range(len(endings[0].columns))))]
    listed = ", ".join(series.name for series in recording.series) or "none"
    raise RtdecodeError(
        f"has no series called {name!r}; it has {listed}",
        where=str(recording.path),
        fix="name some of these, or SERIES/COLUMN for one column; see --list",
    )


def _read(
    recording: Recording, chosen: Sequence[tuple[Series, list[int]]], choice: Choice
) -> tuple[Sampled, list[str]]:
    notes: list[str] = []
    parts: list[Sampled] = []
    for series, columns in chosen:
        sampled, of_series = _one(recording, series, columns, choice)
        notes += of_series
        parts.append(sampled)
    first = parts[0]
    values = [first.values]
    for (series, _), other in zip(chosen[1:], parts[1:], strict=True):
        if np.array_equal(other.time, first.time):
            values.append(other.values)
        else:
            own = Behavior(other.time, other.values, other.names, other.units)
            values.append(behavior_at(own, first.time))
            notes.append(f"{series.name} was interpolated at the samples of {chosen[0][0].name}")
    names = [name for part in parts for name in part.names]
    if len(set(names)) < len(names):
        # Such as x and y of a cursor and of a hand.
        names = [
            f"{series.name.rsplit('/', 1)[-1]}_{name}"
            for (series, _), part in zip(chosen, parts, strict=True)
            for name in part.names
        ]
    units = tuple(unit for part in parts for unit in part.units)
    return Sampled(first.time, np.concatenate(values, axis=1), tuple(names), units), notes


def _one(
    recording: Recording, series: Series, columns: list[int], choice: Choice
) -> tuple[Sampled, list[str]]:
    notes = [f"{series.name}: {series.note}"] if series.note else []
    time, values = series.read()
    with np.errstate(over="ignore"):
        taken = values[:, columns].astype(np.float32)
    taken[np.isinf(taken)] = np.nan
    time = time * choice.behavior_time_unit_s + choice.shift_s
    known = np.isfinite(time)
    if n := int(len(time) - known.sum()):
        notes.append(f"{series.name}: left out {n} of {len(time)} samples whose time is NaN or infinite")
        time, taken = time[known], taken[known]
    if (np.diff(time) <= 0).any():
        time, taken, note = _rising(recording, series, time, taken)
        notes.append(note)
    inside = (time >= choice.from_s) & (time <= choice.to_s)
    names = tuple(series.columns[i] for i in columns)
    return Sampled(time[inside], taken[inside], names, tuple(series.units[i] for i in columns)), notes


def _rising(
    recording: Recording, series: Series, time: F8, values: NDArray[np.float32]
) -> tuple[F8, NDArray[np.float32], str]:
    back = np.flatnonzero(np.diff(time) <= 0) + 1
    row = int(back[0])
    at = f"at row {row} ({time[row - 1]:.6g} s, then {time[row]:.6g} s); {len(back)} rows in total"
    rows = rising_rows(time, values.astype(np.float64))
    if rows is None or not (is_few(len(time) - len(rows), len(time)) or len(rows) == len(time)):
        looks = "these look like times since the start of a trial"
        fix = "export times since the start of the recording"
        if (coarse := rounded(time)) is not None:
            looks, fix = f"it {coarse}", "export times in float64"
        elif not (np.diff(time) < 0).any():
            looks, fix = (
                "these were repeated or rounded",
                "export each sample once, with all digits of its time",
            )
        raise RtdecodeError(
            f"time does not increase {at}: {looks}",
            where=f"{recording.path} ({series.name})",
            fix=f"{fix}, or choose other behaviour",
        )
    return (
        time[rows],
        values[rows],
        f"{series.name}: time does not increase {at}; sorted, {len(time) - len(rows)} left out",
    )


def _varying(sampled: Sampled) -> tuple[list[int], list[str]]:
    kept, notes = [], []
    for i, (name, column) in enumerate(zip(sampled.names, sampled.values.T, strict=True)):
        known = column[~np.isnan(column)]
        if not len(known):
            notes.append(f"left out {name}: it is NaN in every sample")
        elif known.min() == known.max() and len(known) > 1:
            notes.append(f"left out {name}: it is {known[0]:g} in every sample")
        else:
            kept.append(i)
    return kept, notes
