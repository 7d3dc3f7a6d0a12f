"""When a session was recorded: its observed intervals, and what lies between them.

    observed_intervals(session)      # f8[k, 2], start and stop of each, seconds

A gap is not a silence: nothing is learnt from it, decoded in it or scored, and decoders are reset after it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

F8 = NDArray[np.float64]

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
