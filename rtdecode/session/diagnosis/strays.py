"""What is left out when a file is read, so that one bad stamp, value or column spoils nothing else.

Each is named in a note; what is more than a few single accidents stays, for the strict check to refuse.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtdecode.session.diagnosis.clocks import rounded
from rtdecode.session.diagnosis.order import is_few
from rtdecode.session.doctor.order import find_restarts
from rtdecode.session.raw import RawGroup, RawSession, as_texts
from rtdecode.session.schema import OWN_BEFORE_2, SAMPLED

#: A stamp is stray if it is this far from all others, and further than these are from each other.
APART_S = 600.0

#: Columns of /trials that commands read; a bad one is an error.
TRIAL_COLUMNS = frozenset({"start", "stop", "target", "radius", "success", "block"})

#: More than a channel has.
UNITS = 65_536

Report = Callable[[str], None]


def leave_out(raw: RawSession) -> tuple[RawSession, list[str], list[str]]:
    """Leave out stray stamps and trial columns that do not fit; infinite values of behaviour become NaN.

    Returns:
        The session, what was left out, and what else is odd, a sentence each.
    """
    left: list[str] = []
    odd: list[str] = []
    odd += [
        f"/{name} is not read, as format_version is 1; set it to 2"
        for name in sorted(OWN_BEFORE_2)
        if f"/{name}" in raw.others
    ]
    groups = dict(raw.groups)
    for name, group in raw.groups.items():
        if name in ("events", "markers", *SAMPLED):
            group = _without_stray_rows(name, group, raw.groups.get("observed"), left.append)
            what = rounded(group.columns["time"])
            if what is not None:
                odd.append(f"/{name}/time {what}")
        if name == "events":
            _note_channels(group, raw.n_channels, odd.append)
            _note_restarts(group, odd.append)
        if name in SAMPLED:
            group = _with_known_values(name, group, odd.append)
        if name == "trials":
            group = _without_odd_columns(group, left.append)
        groups[name] = group
    return replace(raw, groups=groups), left, odd


def stray(time: NDArray[np.float64]) -> NDArray[np.bool_]:
    """bool[n], the few times that are NaN, infinite, or far from all others; none if they are many."""
    finite = np.isfinite(time)
    none = np.zeros(len(time), np.bool_)
    if not finite.any() or (finite.all() and np.ptp(time) <= APART_S):
        return none
    ordered = np.sort(time[finite])
    edges = np.concatenate([[0], np.flatnonzero(np.diff(ordered) > APART_S) + 1, [len(ordered)]])
    largest = int(np.diff(edges).argmax())
    low, high = ordered[edges[largest]], ordered[edges[largest + 1] - 1]
    apart_s = max(APART_S, float(high - low))
    wrong = ~(finite & (time >= low - apart_s) & (time <= high + apart_s))
    return wrong if is_few(int(wrong.sum()), len(time)) and 10 * wrong.sum() <= len(time) else none


def _without_stray_rows(name: str, group: RawGroup, observed: RawGroup | None, report: Report) -> RawGroup:
    time = group.columns["time"]
    if time.ndim != 1 or time.dtype.kind not in "iuf" or len({len(c) for c in group.columns.values()}) > 1:
        return group
    wrong = stray(time.astype(np.float64))
    edges = () if observed is None else tuple(observed.columns.values())
    if wrong.any() and edges and all(each.ndim == 1 and each.dtype.kind in "iuf" for each in edges):
        # Intervals may be hours apart.
        for start_s, stop_s in zip(*edges, strict=False):
            wrong &= ~((time >= start_s) & (time <= stop_s))
    if not wrong.any():
        return group
    row = int(wrong.argmax())
    report(
        f"/{name}: {int(wrong.sum())} of {len(time)} rows left out, whose time is NaN, infinite or far from "
        f"all others (row {row}: {time[row]:.9g} s)"
    )
    return replace(group, columns={column: values[~wrong] for column, values in group.columns.items()})


def _note_channels(group: RawGroup, n_channels: int, report: Report) -> None:
    """Channels that count from 1 in a file whose n_channels is one too large."""
    channel = group.columns["channel"]
    if channel.ndim != 1 or channel.dtype.kind not in "iu" or n_channels < 3:
        return
    if np.array_equal(np.unique(channel), np.arange(1, n_channels)):
        report(
            f"/events: channel 0 never fires and 1 to {n_channels - 1} all do; if they count from 1, "
            f"subtract 1 and set n_channels to {n_channels - 1}"
        )


def _note_restarts(group: RawGroup, report: Report) -> None:
    """Times that begin anew on a channel, which sorting would lay over one another."""
    time, channel = group.columns["time"], group.columns["channel"]
    unit = group.columns.get("unit", np.zeros(len(channel), np.uint8))
    columns = (time, channel, unit)
    if len({column.shape for column in columns}) > 1 or time.ndim != 1 or time.dtype.kind not in "iuf":
        return
    if any(column.dtype.kind not in "iu" or (column < 0).any() for column in columns[1:]):
        return
    # What is no time at all is refused by the check.
    if not np.isfinite(time).all() or not (time[1:] < time[:-1]).any():
        return
    found = find_restarts(time.astype(np.float64), channel.astype(np.int64) * UNITS + unit.astype(np.int64))
    if found is not None and found.are_trials:
        report(
            f"/events: times of channel {found.unit // UNITS} go back at its spike {found.spike} "
            f"({found.before_s:.6g} s, then {found.after_s:.6g} s), {found.n} times in all: these look like "
            "times since the start of a trial. Fix: add the start of its trial to each"
        )


def _with_known_values(name: str, group: RawGroup, report: Report) -> RawGroup:
    """Infinite values become NaN; columns with NaN are named."""
    values = group.columns["values"]
    if values.ndim != 2 or values.dtype.kind != "f":
        return group
    known = np.abs(values) <= np.finfo(np.float32).max
    if known.all():
        return group
    names = as_texts(group.attrs.get("names")) or ()
    columns = names if len(names) == values.shape[1] else [f"column {i}" for i in range(values.shape[1])]
    missing = [
        f"{column} in {'all' if n == len(values) else int(n)} of {len(values)} samples"
        for column, n in zip(columns, (~known).sum(axis=0), strict=True)
        if n
    ]
    report(f"/{name} is NaN or infinite, so unknown: {', '.join(missing)}")
    nan: Any = np.where(known, values, np.nan)
    return replace(group, columns=group.columns | {"values": nan})


def _without_odd_columns(group: RawGroup, report: Report) -> RawGroup:
    rows = len(group.columns["start"])
    odd = [
        name for name, column in group.columns.items() if name not in TRIAL_COLUMNS and len(column) != rows
    ]
    for name in odd:
        report(f"/trials/{name} left out: it has {len(group.columns[name])} rows for {rows} trials")
    kept = {name: column for name, column in group.columns.items() if name not in odd}
    return replace(group, columns=kept) if odd else group
