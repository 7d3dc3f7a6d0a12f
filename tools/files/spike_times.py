"""Spikes with a time each, from a source to the events of a session."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rtdecode.errors import RtdecodeError
from rtdecode.session.doctor.order import find_restarts
from rtdecode.session.layout import Events
from rtdecode.tools.files.channels import Channels
from rtdecode.tools.files.choice import Choice
from rtdecode.tools.files.recording import F8, SpikeTimes


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
    if len(time) and not inside.any():
        raise RtdecodeError(
            f"has no spikes{choice.cut}: they are from {time.min():.6g} to {time.max():.6g} s",
            where=where,
            fix="correct --from and --to",
        )
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
    """Refuse times that begin anew within a unit, over and over; name others that go back."""
    found = find_restarts(time, row)
    if found is None:
        return []
    what = (
        f"times of unit {source.units.ids[found.unit]} go back at its spike {found.spike} "
        f"({found.before_s:.6g} s, then {found.after_s:.6g} s); {found.n} of {len(time)} spikes in total"
    )
    if not found.are_trials:
        return [f"{what}: sorted"]
    raise RtdecodeError(
        f"{what}: these look like times since the start of a trial",
        where=where,
        fix="export times since the start of the recording, those of each unit in their order",
    )
