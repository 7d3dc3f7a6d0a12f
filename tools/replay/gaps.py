"""What a replay does about the gaps of a session: nothing is sent in them, or they are cut out."""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum

import numpy as np

from rtdecode.kernels.arrays import F8
from rtdecode.session.layout import Events, Session
from rtdecode.session.observed import is_observed, joined, observed_before

#: Part of its interval by which a sample may reach into a gap.
TOUCHING = 1e-6


class Gaps(StrEnum):
    """The time between observed intervals: as it was, or closed."""

    KEEP = "keep"
    CLOSE = "close"


def replayed_session(session: Session, events: Events | None, gaps: Gaps) -> tuple[Session, Events | None]:
    """What is replayed of a session: nothing of the array from its gaps.

    Args:
        session: as read.
        events: its spikes, also where it holds counts; None of features alone.
        gaps: to close, then times continue after a gap from where they were before it, also those of
            behaviour and the task; or to keep.

    Returns:
        The session and its events, with their times; both as they are, if all of it was observed.
    """
    observed = session.observed
    if observed is None:
        return session, events
    observed = joined(observed)
    if events is not None:
        rows = is_observed(observed, events.time)
        unit = None if events.unit is None else events.unit[rows]
        events = Events(events.time[rows], events.channel[rows], unit)
    features = session.features
    if features is not None:
        slack_s = TOUCHING * features.period_s
        before = observed_before(observed, features.time - features.period_s)
        whole = observed_before(observed, features.time) - before > features.period_s - slack_s
        features = replace(features, time=features.time[whole], values=features.values[whole])
    session = replace(session, events=events, counts=None, features=features, observed=observed)
    if gaps is Gaps.CLOSE:
        session = _closed(session, observed)
    return session, session.events


def _closed(session: Session, observed: F8) -> Session:
    """The session without the time between its observed intervals."""
    origin_s = float(observed[0, 0])

    def moved(time: F8) -> F8:
        return origin_s + observed_before(observed, time)

    events, features, behavior = session.events, session.features, session.behavior
    markers, trials = session.markers, session.trials
    if events is not None:
        events = replace(events, time=moved(events.time))
    if features is not None:
        features = replace(features, time=moved(features.time))
    if behavior is not None:
        # A sample at the start of an interval would have the time of one at the end of that before.
        kept = is_observed(observed, behavior.time)
        time = moved(behavior.time[kept])
        rising = np.diff(time, prepend=-np.inf) > 0
        behavior = replace(behavior, time=time[rising], values=behavior.values[kept][rising])
    if markers is not None:
        markers = replace(markers, time=moved(markers.time))
    if trials is not None:
        trials = replace(trials, start=moved(trials.start), stop=moved(trials.stop))
    whole = np.array([[origin_s, origin_s + float(np.diff(observed).sum())]])
    return replace(
        session, events=events, features=features, behavior=behavior, markers=markers, trials=trials,
        observed=whole,
    )  # fmt: skip
