"""When a session was recorded: its observed intervals, and what lies between them.

    observed_intervals(session)      # f8[k, 2], start and stop of each, seconds

A gap is not a silence: nothing is learnt from it, decoded in it or scored, and decoders are reset after it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from rtdecode.artifact import ElectrodeArray
from rtdecode.session.arrays import session_arrays
from rtdecode.session.layout import LogEntry, Session

F8 = NDArray[np.float64]

#: Name of the only array of a session.
ONE = "the only one"

#: Entries of /log between which nothing is received, of one stream, or of one of several arrays.
BEGINS, ENDS = {"outage", "array_away"}, {"gap", "array_back"}

#: Part of its width by which a bin may reach into a gap, and by which a gap is none.
TOUCHING = 1e-6


def observed_bins(observed: F8 | None, edges: F8) -> NDArray[np.int64]:
    """Numbers of the bins that lie wholly inside observed intervals.

    Args:
        observed: f8[k, 2], as of `Session`; None for all the time.
        edges: f8[T + 1], start of the first bin and end of each, seconds, increasing.
    """
    if observed is None:
        return np.arange(len(edges) - 1)
    slack_s = TOUCHING * np.diff(edges)
    start, stop = joined(observed, float(slack_s.max(initial=0.0))).T
    within = np.searchsorted(start, edges[:-1] + slack_s, side="right") - 1
    return np.flatnonzero((within >= 0) & (edges[1:] <= stop[within] + slack_s))


def joined(observed: F8, gap_s: float = 0.0) -> F8:
    """Intervals f8[k, 2] of which those are one that are no more than `gap_s` apart."""
    apart = observed[1:, 0] - observed[:-1, 1] > gap_s
    return np.stack(
        [observed[np.append(True, apart), 0], observed[np.append(apart, True), 1]],
        axis=1,
    )


def merged(intervals: F8) -> F8:
    """Intervals f8[k, 2] in any order, sorted, and as one where they overlap or touch."""
    ordered = intervals[np.argsort(intervals[:, 0], kind="stable")]
    stop = np.maximum.accumulate(ordered[:, 1])
    first = np.flatnonzero(np.append(True, ordered[1:, 0] > stop[:-1])[: len(ordered)])
    last = np.append(first[1:], len(ordered)) - 1 if len(first) else first
    return np.stack([ordered[first, 0], stop[last]], axis=1)


def intersected(one: F8, other: F8) -> F8:
    """The time f8[k, 2] that is in both of two lists of intervals, each sorted and without overlap."""
    begin = np.searchsorted(other[:, 1], one[:, 0], side="right")
    n = np.maximum(np.searchsorted(other[:, 0], one[:, 1], side="left") - begin, 0)
    own = np.repeat(np.arange(len(one)), n)
    its = np.arange(n.sum()) - np.repeat(np.cumsum(n) - n, n) + np.repeat(begin, n)
    start = np.maximum(one[own, 0], other[its, 0])
    stop = np.minimum(one[own, 1], other[its, 1])
    both: F8 = np.stack([start, stop], axis=1)[start < stop]
    return both


def is_observed(observed: F8, t: F8) -> NDArray[np.bool_]:
    """bool[n], whether times f8[n] lie inside intervals f8[k, 2], their ends included."""
    within = np.searchsorted(observed[:, 0], t, side="right") - 1
    return np.asarray((within >= 0) & (t <= observed[within, 1]))


def observed_before(observed: F8, t: F8) -> F8:
    """Seconds f8[n] that were observed before each of the times f8[n]."""
    start, stop = observed.T
    before = np.append(0.0, np.cumsum(stop - start))
    within = np.searchsorted(start, t, side="right") - 1
    at = np.maximum(within, 0)
    return np.where(within < 0, 0.0, before[at] + np.minimum(t, stop[at]) - start[at])


def observed_intervals(session: Session) -> F8:
    """When a session was recorded: its observed intervals, or all of it, without the outages in its /log.

    Returns:
        f8[k, 2], start and stop of each, seconds, sorted and apart from each other; k is 0 of an empty one.
    """
    observed = session.observed
    if observed is None:
        observed = np.array([[session.start_s, session.end_s]])
    for start_s, stop_s in outages(session.log, spike_times(session)):
        before, after = observed.copy(), observed.copy()
        before[:, 1] = np.minimum(before[:, 1], start_s)
        after[:, 0] = np.maximum(after[:, 0], stop_s)
        observed = np.concatenate([before, after])
        observed = observed[observed[:, 1] > observed[:, 0]]
        observed = observed[np.argsort(observed[:, 0])]
    return joined(observed) if len(observed) else observed


def spike_times(session: Session) -> dict[str, F8]:
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


def outages(log: Sequence[LogEntry], of_arrays: Mapping[str, F8]) -> list[tuple[float, float]]:
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
