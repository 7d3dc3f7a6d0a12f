"""Spikes with a time each, from a source to the events of a session."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rtdecode.errors import RtdecodeError
from rtdecode.session.layout import Events
from rtdecode.tools.files.channels import Channels
from rtdecode.tools.files.choice import Choice
from rtdecode.tools.files.recording import F8, SpikeTimes

#: Stretches of one unit that are only in the wrong order share less than this part of its time; those that
#: begin anew, as in each trial, share most of it.
SHARED_PART = 0.05


def read_events(
    source: SpikeTimes, channels: Channels, choice: Choice, where: str
) -> tuple[Events, tuple[str, ...]]:
    """The chosen spikes, sorted by time.

    Args:
        source: of spikes.
        channels: of its units.
        choice: `time_unit_s`, `from_s` and `to_s` are used.
        where: the file, for errors.

    Returns:
        The events, and what was left out or is odd, a sentence each.

    Raises:
        RtdecodeError: times go back within a unit as times since the start of a trial do, or no spike is
            left.
    """
    where = f"{where} ({source.name})"
    time, row = source.read(channels.rows)
    notes = []
    known = np.isfinite(time)
    if n_unknown := int(len(time) - known.sum()):
        notes.append(f"left out {n_unknown} of {len(time)} spikes whose time is NaN or infinite")
        time, row = time[known], row[known]
    time = time * choice.time_unit_s if choice.time_unit_s != 1.0 else time
    notes += _check_order(time, row, source, where)
    inside = (time >= choice.from_s) & (time <= choice.to_s)
    if n_outside := int(len(time) - inside.sum()):
        notes.append(f"left out {n_outside} of {len(time)} spikes outside --from and --to")
        time, row = time[inside], row[inside]
    if not len(time):
        raise RtdecodeError("has no spikes", where=where, fix="choose others with --spikes; see --list")
    order = np.argsort(time, kind="stable")
    time, row = time[order], row[order]
    place = np.zeros(len(source.units.ids), np.intp)
    place[channels.rows] = np.arange(len(channels.rows))
    at = place[row]
    unit = None if channels.unit is None else channels.unit[at]
    return Events(time, channels.channel[at].astype(np.uint16), unit), tuple(notes)


def _check_order(time: F8, row: NDArray[np.uint32], source: SpikeTimes, where: str) -> list[str]:
    """Refuse times that begin anew within a unit; name single ones that go back.

    Stretches that follow one another in the wrong order are sorted: they share no time.
    """
    by_row = np.argsort(row, kind="stable")
    rows, times = row[by_row], time[by_row]
    back = np.flatnonzero((rows[1:] == rows[:-1]) & (times[1:] < times[:-1])) + 1
    if not back.size:
        return []
    first = int(back[0])
    unit = source.units.ids[int(rows[first])]
    number = first - int(np.searchsorted(rows, rows[first]))
    what = (
        f"times of unit {unit} go back at its spike {number} ({times[first - 1]:.6g} s, then "
        f"{times[first]:.6g} s); {len(back)} of {len(time)} spikes in total"
    )
    if _shared_part(rows, times, back) < SHARED_PART:
        return [f"{what}: sorted"]
    raise RtdecodeError(
        f"{what}: these look like times since the start of a trial",
        where=where,
        fix="export times since the start of the recording: add the start of its trial to each",
    )


def _shared_part(rows: NDArray[np.uint32], times: F8, back: NDArray[np.intp]) -> float:
    """How much time a unit's stretches of rising time share, as a part of all its time: the worst unit's."""
    edges = np.concatenate(([0], np.union1d(back, np.flatnonzero(np.diff(rows)) + 1), [len(times)]))
    first, last, of = times[edges[:-1]], times[edges[1:] - 1], rows[edges[:-1]]
    order = np.lexsort((first, of))
    first, last, of = first[order], last[order], of[order].astype(np.intp)
    shared_s, n = np.zeros(int(of[-1]) + 1), int(of[-1]) + 1
    same = of[1:] == of[:-1]
    np.add.at(shared_s, of[1:][same], np.maximum(last[:-1] - first[1:], 0.0)[same])
    start_s, stop_s = np.full(n, np.inf), np.full(n, -np.inf)
    np.minimum.at(start_s, of, first)
    np.maximum.at(stop_s, of, last)
    with np.errstate(invalid="ignore"):
        return float(np.max(np.where(shared_s > 0, shared_s / np.maximum(stop_s - start_s, 1e-12), 0.0)))
