"""From a recorded session to bins of any width, and behaviour at any time.

    binned = bin_session(session, bin_width_s=0.020)
    targets = behavior_at(session.behavior, binned.t_bin)

Counts coarser than the requested bins become events first: each count of n becomes n events placed uniformly
at random inside its bin, with a seed. Nothing finer than the recorded bin width is real in such data;
`synthetic_times` marks it.
"""

from rtdecode.session.bins.behavior import behavior_at
from rtdecode.session.bins.features import WHOLE_BIN, features_alone, features_at
from rtdecode.session.bins.spikes import (
    SAME_WIDTH,
    BinnedSession,
    bin_session,
    events_of,
    spread_counts,
)
from rtdecode.session.bins.stretches import starts_in, stretches

__all__ = [
    "SAME_WIDTH",
    "WHOLE_BIN",
    "BinnedSession",
    "behavior_at",
    "bin_session",
    "events_of",
    "features_alone",
    "features_at",
    "spread_counts",
    "starts_in",
    "stretches",
]
