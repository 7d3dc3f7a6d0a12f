"""The time of a session in which its spikes were recorded: elsewhere behaviour is no label.

    missing = unrecorded(session, binned.t_bin)

The hand moves on while the acquisition is away. A model that learns from that time learns silence, and one
that is scored there is scored on what it never received.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rtdecode.calibrate.data.splits import is_labelled
from rtdecode.session.bins import BinnedSession
from rtdecode.session.layout import Session
from rtdecode.session.observed import is_observed, outages, spike_times

F4 = NDArray[np.float32]
F8 = NDArray[np.float64]

#: A whole array is silent for this long, and for this many of its mean intervals between spikes, only if
#: nothing was recorded.
SILENT_S, SILENT_INTERVALS = 2.0, 50.0


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
    of_arrays = spike_times(session)
    if not any(spikes.size for spikes in of_arrays.values()) or not t_bin.size:
        return missing
    found = outages(session.log, of_arrays)
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


def _silences(spikes: F8, session: Session) -> list[tuple[float, float]]:
    """Long silences of an array inside the time that was observed."""
    observed = session.observed
    if observed is None and spikes.size:
        observed = np.array([[min(session.start_s, spikes[0]), max(session.end_s, spikes[-1])]])
    if observed is None or not (spikes := spikes[is_observed(observed, spikes)]).size:
        return [(-np.inf, np.inf)]
    edges = np.sort(np.concatenate([spikes, observed.ravel()]))
    gaps_s = float((observed[1:, 0] - observed[:-1, 1]).sum())
    longest_s = max(SILENT_S, SILENT_INTERVALS * (float(spikes[-1] - spikes[0]) - gaps_s) / len(spikes))
    silent = (np.diff(edges) > longest_s) & is_observed(observed, (edges[:-1] + edges[1:]) / 2)
    return [(edges[i], edges[i + 1]) for i in np.flatnonzero(silent)]
