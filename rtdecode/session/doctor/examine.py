"""All that a session looks like that it cannot mean."""

from __future__ import annotations

from rtdecode.session.doctor.behavior import examine_behavior
from rtdecode.session.doctor.finding import Finding
from rtdecode.session.doctor.spikes import examine_spikes
from rtdecode.session.doctor.times import examine_times, extents_of
from rtdecode.session.layout import Session


def examine(session: Session) -> tuple[Finding, ...]:
    """What a session looks like that it cannot mean, and what makes it worth less.

    Args:
        session: as read or imported, of any part.
    """
    extents = extents_of(session)
    found = examine_times(extents)
    # Implausible rates follow from wrong times; those are named once.
    if not found or found[0].kind == "clock":
        found += examine_spikes(session, extents)
    if session.behavior is not None:
        found += examine_behavior(session.behavior)
    return tuple(found)
