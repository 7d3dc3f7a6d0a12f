"""The time of a session in which its spikes were recorded: elsewhere behaviour is no label.

    missing = unrecorded(session, binned.t_bin)

The hand moves on while the acquisition is away. A model that learns from that time learns silence, and one
that is scored there is scored on what it never received.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from rtdecode.artifact import ElectrodeArray
from rtdecode.calibrate.data.splits import is_labelled
from rtdecode.session.arrays import session_arrays
from rtdecode.session.bins import BinnedSession
from rtdecode.session.layout import LogEntry, Session

F4 = NDArray[np.float32]
F8 = NDArray[np.float64]

#: A whole array is silent for this long, and for this many of its mean intervals between spikes, only if
#: nothing was recorded.
SILENT_S, SILENT_INTERVALS = 2.0, 50.0

#: Name of the only array of a session.
ONE = "the only one"

#: Entries of /log between which nothing is received, of one stream, or of one of several arrays.
BEGINS, ENDS = {"outage", "array_away"}, {"gap", "array_back"}


def unrecorded(session: Session, t_bin: F8, bin_width_s: float) -> NDArray[np.bool_]:
    """The bins without a recording of all spikes: in an outage of /log, or in a silence of a whole array.

    An outage begins with the last spike before it was noticed. A silence, also one before the first or after
    the last spike, is longer than 2 s and than 50 mean intervals between spikes.

    Args:
        session: with events or counts; one with neither has none of these bins.
        t_bin: f8[T], ends of bins, seconds.
        bin_width_s: of the bins, seconds.

    Returns:
        bool[T].
    """
    missing = np.zeros(len(t_bin), np.bool_)
    of_arrays = _spike_times(session)
    if not any(spikes.size for spikes in of_arrays.values()) or not t_bin.size:
        return missing
    found = _outages(session.log, of_arrays)
    for spikes in of_arrays.values():
        found += _silences(spikes, session)
    for start_s, stop_s in found:
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


def _spike_times(session: Session) -> dict[str, F8]:
    """Times at which there were spikes, rising: of each event, or the start of each row with a count.

    Of each array by its name; of the only one by `ONE`.
    """
    arrays = session_arrays(session) or (ElectrodeArray(ONE, max(session.n_channels, 1)),)
    stops = np.cumsum([array.n_channels for array in arrays])
    found = {}
    for array, stop in zip(arrays, stops, strict=True):
        first = stop - array.n_channels
        times = np.empty(0)
        if session.events is not None:
            channel = session.events.channel
            times = session.events.time[(channel >= first) & (channel < stop)]
        elif session.counts is not None:
            rows = np.flatnonzero(session.counts.values[:, first:stop].any(axis=1))
            times = np.asarray(session.counts.t0_s + rows * session.counts.bin_width_s)
        found[array.name] = times
    return found


def _outages(log: Sequence[LogEntry], of_arrays: Mapping[str, F8]) -> list[tuple[float, float]]:
    """From the last spike before each outage to the end of the next gap."""
    together = np.sort(np.concatenate(list(of_arrays.values())))
    found: list[tuple[float, float]] = []
    open_since_s: dict[str, float] = {}
    for entry in sorted((each for each in log if each.kind in BEGINS | ENDS), key=lambda each: each.time):
        whose = str(entry.data.get("stream", ""))
        spikes = of_arrays.get(whose, together)
        if entry.kind in BEGINS and whose not in open_since_s:
            before = int(np.searchsorted(spikes, entry.time, side="right")) - 1
            open_since_s[whose] = float(spikes[before]) if before >= 0 else -np.inf
        elif entry.kind in ENDS and whose in open_since_s:
            found.append((open_since_s.pop(whose), entry.time))
    return [*found, *((start_s, np.inf) for start_s in open_since_s.values())]


def _silences(spikes: F8, session: Session) -> list[tuple[float, float]]:
    if not spikes.size:
        return [(-np.inf, np.inf)]
    edges = np.concatenate([[min(session.start_s, spikes[0])], spikes, [max(session.end_s, spikes[-1])]])
    longest_s = max(SILENT_S, SILENT_INTERVALS * float(spikes[-1] - spikes[0]) / len(spikes))
    return [(edges[i], edges[i + 1]) for i in np.flatnonzero(np.diff(edges) > longest_s)]
