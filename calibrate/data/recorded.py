"""The time of a session in which its spikes were recorded: elsewhere behaviour is no label.

    missing = unrecorded(session, binned.t_bin)

The hand moves on while the acquisition is away. A model that learns from that time learns silence, and one
that is scored there is scored on what it never received.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rtdecode.calibrate.data.splits import is_labelled
from rtdecode.session.bins import BinnedSession
from rtdecode.session.layout import LogEntry, Session

F4 = NDArray[np.float32]
F8 = NDArray[np.float64]

#: A whole array is silent for this long, and for this many of its mean intervals between spikes, only if
#: nothing was recorded.
SILENT_S, SILENT_INTERVALS = 2.0, 50.0


def unrecorded(session: Session, t_bin: F8, bin_width_s: float) -> NDArray[np.bool_]:
    """The bins without a recording of spikes: in an outage of /log, or in a silence of the whole array.

    An outage begins with the last spike before it was noticed. A silence, also one before the first or after
    the last spike, is longer than 2 s and than 50 mean intervals between spikes.

    Args:
        session: with events or counts; one with neither has none of these bins.
        t_bin: f8[T], ends of bins, seconds.
        bin_width_s: of the bins, seconds.

    Returns:
        bool[T].
    """
    spikes = _spike_times(session)
    missing = np.zeros(len(t_bin), np.bool_)
    if not spikes.size or not t_bin.size:
        return missing
    for start_s, stop_s in [*_outages(session.log, spikes), *_silences(spikes, session)]:
        missing |= (t_bin - bin_width_s >= start_s) & (t_bin - bin_width_s < stop_s)
    return missing


def without_unrecorded(session: Session, binned: BinnedSession, targets: F4) -> tuple[F4, tuple[str, ...]]:
    """Take the labels from the bins without a recording.

    Args:
        session: with its log.
        binned: T bins of it.
        targets: f4[T, D], NaN where unknown.

    Returns:
        The targets, and one sentence about bins that had labels, if there were any.
    """
    missing = unrecorded(session, binned.t_bin, binned.bin_width_s)
    if binned.features is not None and session.features_alone is not None:
        missing |= np.isnan(binned.features).all(axis=1)
    labelled = is_labelled(targets)
    n = int((labelled & missing).sum())
    if not n:
        return targets, ()
    note = (
        f"{n} of {int(labelled.sum())} bins with behaviour ({n * binned.bin_width_s:.1f} s) lie in an outage "
        f"or a silence of the whole array: neither trained on nor scored ({session.name})"
    )
    return np.where(missing[:, np.newaxis], np.float32(np.nan), targets), (note,)


def _spike_times(session: Session) -> F8:
    """Times at which there were spikes, rising: of each event, or the start of each row with a count."""
    if session.events is not None:
        return session.events.time
    if session.counts is None:
        return np.empty(0)
    counts = session.counts
    rows = np.flatnonzero(counts.values.any(axis=1))
    return np.asarray(counts.t0_s + rows * counts.bin_width_s)


def _outages(log: Sequence[LogEntry], spikes: F8) -> list[tuple[float, float]]:
    """From the last spike before each outage to the end of the next gap."""
    found: list[tuple[float, float]] = []
    start_s: float | None = None
    for entry in sorted((each for each in log if each.kind in ("outage", "gap")), key=lambda each: each.time):
        if entry.kind == "outage" and start_s is None:
            before = int(np.searchsorted(spikes, entry.time, side="right")) - 1
            start_s = float(spikes[before]) if before >= 0 else -np.inf
        elif entry.kind == "gap" and start_s is not None:
            found.append((start_s, entry.time))
            start_s = None
    if start_s is not None:
        found.append((start_s, np.inf))
    return found


def _silences(spikes: F8, session: Session) -> list[tuple[float, float]]:
    edges = np.concatenate([[min(session.start_s, spikes[0])], spikes, [max(session.end_s, spikes[-1])]])
    longest_s = max(SILENT_S, SILENT_INTERVALS * float(spikes[-1] - spikes[0]) / len(spikes))
    return [(edges[i], edges[i + 1]) for i in np.flatnonzero(np.diff(edges) > longest_s)]
