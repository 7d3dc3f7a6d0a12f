"""Save what can be saved of a session file that breaks a rule of the format.

The damaged file is never changed: the repaired one is written beside it, and each repair is reported.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtdecode.errors import RtdecodeError
from rtdecode.files import unused
from rtdecode.session.diagnosis.arrays import check_dimensions, check_numeric
from rtdecode.session.diagnosis.by_hand import counts_from_one, refuse_unrepairable
from rtdecode.session.diagnosis.order import rising_rows
from rtdecode.session.diagnosis.shapes import turned
from rtdecode.session.diagnosis.strays import leave_out
from rtdecode.session.log_text import json_object
from rtdecode.session.observed import merged
from rtdecode.session.raw import RawGroup, RawSession, as_texts, read_raw
from rtdecode.session.read import check_session, read_session
from rtdecode.session.rules.part import check_part
from rtdecode.session.schema import DOCS
from rtdecode.session.write import write_session

Report = Callable[[str], None]


def repair_session(path: Path | str) -> tuple[Path, list[str]]:
    """Repair the session in `path` into `<stem>.repaired.h5` beside it, and read that file again.

    Arrays that are transposed are turned; channels that count from 1 are counted from 0; stray stamps and
    events on a channel that does not exist are dropped, if they are few; unsorted rows are sorted; repeated
    behaviour samples are dropped, and the few that are not after the ones before; so are trials that stop
    before they start and log entries that are not JSON; observed intervals that overlap are joined. Datasets
    whose lengths differ by a few rows are cut to the shortest. A group that cannot be read is left out.

    Returns:
        The repaired file and what was done, one line each. A file without an error is not copied: then it is
        `path` itself and an empty list.

    Raises:
        RtdecodeError: nothing can be saved, a fault has no repair that keeps all good data, or the repaired
            file cannot be written.
    """
    path = Path(path)
    done: list[str] = []
    raw, left, _ = leave_out(read_raw(path, on_unreadable=lambda error: done.append(_left_out(error))))
    done += left
    if not raw.complete:
        done.append("the recording was not closed: kept every complete row and marked it complete")
    repaired = {name: _repair(name, group, raw, done.append) for name, group in raw.groups.items()}
    groups = {name: group for name, group in repaired.items() if group is not None}
    if not groups.keys() & {"events", "counts", "features", "decoded"}:
        reasons = "; ".join(done) or "it holds no spikes"
        raise RtdecodeError(
            f"nothing can be saved: {reasons}", where=str(path), fix=f"export it again as in {DOCS}"
        )
    session = check_session(replace(raw, groups=groups, complete=True))
    if not done:
        return path, done
    if raw.others:
        done.append(f"not in the copy, as the format does not have them: {', '.join(raw.others)}")
    copy = unused(path.with_name(f"{path.stem}.repaired.h5"))
    write_session(copy, session)
    read_session(copy)
    return copy, done


def _repair(name: str, group: RawGroup, raw: RawSession, report: Report) -> RawGroup | None:
    inside = f"/{name}"
    repaired, wrong = turned(name, group, raw.n_channels)
    for column, what in wrong.items():
        report(f"{inside}/{column}: {what}; turned")
    refuse_unrepairable(name, repaired, raw.n_channels)
    try:
        repaired = _cut(repaired, inside, report)
        if name in _REPAIRERS:
            repaired = _REPAIRERS[name](repaired, raw, lambda line: report(f"{inside}: {line}"))
        check_part(name, repaired, raw.n_channels)
    except RtdecodeError as error:
        report(_left_out(error))
        return None
    return repaired


def _cut(group: RawGroup, inside: str, report: Report) -> RawGroup:
    rows = min(len(column) for column in group.columns.values())
    cut = {name: len(column) - rows for name, column in group.columns.items() if len(column) > rows}
    if not cut:
        return group
    report(
        f"{inside}: cut to {rows} rows (" + ", ".join(f"{name} had {n} more" for name, n in cut.items()) + ")"
    )
    return _rows(group, slice(rows))


def _repair_events(group: RawGroup, raw: RawSession, report: Report) -> RawGroup:
    time, channel = _numbers(group, "time"), _numbers(group, "channel")
    timed = np.isfinite(time)
    group = _keep(group, timed, "events without a finite time", report)
    channel = channel[timed]
    if counts_from_one(channel, raw.n_channels):
        report(f"channels counted from 1: now 0 to {raw.n_channels - 1}")
        channel = channel - 1
        group = replace(group, columns=group.columns | {"channel": channel})
    exists = (channel >= 0) & (channel < raw.n_channels)
    group = _keep(group, exists, f"events on channels outside 0 to {raw.n_channels - 1}", report)
    times = group.columns["time"]
    backward = int(np.count_nonzero(times[1:] < times[:-1]))
    if backward:
        group = _rows(group, np.argsort(times, kind="stable"))
        report(f"sorted by time ({backward} events were earlier than the one before)")
    return group


def _repair_sampled(group: RawGroup, raw: RawSession, report: Report) -> RawGroup:
    time, values = _numbers(group, "time"), _numbers(group, "values", dimensions=2)
    timed = np.isfinite(time)
    group = _keep(group, timed, "samples without a finite time", report)
    rows = rising_rows(time[timed], values[timed].astype(np.float64))
    # Without a right order `refuse_unrepairable` has refused it.
    if rows is not None and not np.array_equal(rows, np.arange(timed.sum())):
        kept = np.zeros(int(timed.sum()), np.bool_)
        kept[rows] = True
        _keep(group, kept, "samples that repeat others or are not after the one before", report)
        if (np.diff(rows) < 0).any():
            report("sorted by time")
        group = _rows(group, rows)
    n_columns = values.shape[1]
    attrs = dict(group.attrs)
    for name, unnamed in (("names", "value"), ("units", "")):
        labels = as_texts(attrs.get(name))
        if labels is None or len(labels) != n_columns:
            attrs[name] = np.array([f"{unnamed}{i}" if unnamed else "" for i in range(n_columns)])
            listed = ", ".join(map(repr, attrs[name].tolist()))
            report(f"the {name} did not fit {n_columns} columns: now {listed}")
    return replace(group, attrs=attrs)


def _repair_trials(group: RawGroup, raw: RawSession, report: Report) -> RawGroup:
    start, stop = _numbers(group, "start"), _numbers(group, "stop")
    sound = np.isfinite(start) & np.isfinite(stop) & (stop >= start)
    return _keep(group, sound, "trials that stop before they start", report)


def _repair_observed(group: RawGroup, raw: RawSession, report: Report) -> RawGroup:
    start, stop = _numbers(group, "start"), _numbers(group, "stop")
    sound = np.isfinite(start) & np.isfinite(stop) & (stop > start)
    group = _keep(group, sound, "intervals that do not stop after they start", report)
    start, stop = (group.columns[name] for name in ("start", "stop"))
    if (start[1:] >= stop[:-1]).all():
        return group
    joined = merged(np.stack([start, stop], axis=1))
    report(f"sorted, and joined where they overlap: {len(joined)} of {len(start)} intervals")
    return replace(group, columns={"start": joined[:, 0], "stop": joined[:, 1]})


def _repair_log(group: RawGroup, raw: RawSession, report: Report) -> RawGroup:
    sound = np.array([json_object(str(text)) is not None for text in group.columns["data"]], dtype=np.bool_)
    return _keep(group, sound, "entries without JSON data", report)


_REPAIRERS: dict[str, Callable[[RawGroup, RawSession, Report], RawGroup]] = {
    "events": _repair_events,
    "behavior": _repair_sampled,
    "features": _repair_sampled,
    "trials": _repair_trials,
    "log": _repair_log,
    "observed": _repair_observed,
}


def _numbers(group: RawGroup, name: str, dimensions: int = 1) -> NDArray[Any]:
    column, where = group.columns[name], f"{group.place}/{name}"
    check_numeric(column, where)
    check_dimensions(column, dimensions, where)
    return column


def _keep(group: RawGroup, rows: NDArray[np.bool_], what: str, report: Report) -> RawGroup:
    dropped = int(rows.size - np.count_nonzero(rows))
    if not dropped:
        return group
    report(f"dropped {dropped} of {rows.size} {what}")
    return _rows(group, rows)


def _rows(group: RawGroup, rows: slice | NDArray[Any]) -> RawGroup:
    return replace(group, columns={name: column[rows] for name, column in group.columns.items()})


def _left_out(error: RtdecodeError) -> str:
    place = (error.where or "").rsplit(":/", 1)[-1]
    return f"/{place} left out: {error.what}"
