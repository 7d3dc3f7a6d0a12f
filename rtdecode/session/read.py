"""Read a session file, or say in one line what is wrong with it.

session = read_session("indy_20161005_06.h5")
session.counts.values.shape    # (5843, 96)
"""

from __future__ import annotations

from pathlib import Path

from rtdecode.errors import RtdecodeError
from rtdecode.session.check import (
    check_behavior,
    check_counts,
    check_decoded,
    check_events,
    check_log,
    check_trials,
)
from rtdecode.session.layout import Session
from rtdecode.session.raw import RawSession, read_raw
from rtdecode.session.schema import DOCS


def read_session(path: Path | str) -> Session:
    """Read and check the session in `path`.

    Whole numbers may be stored in any integer or float type; unsorted events are sorted, equal times keep
    their order. A file that a recorder could not close (`complete` is 0) is read up to its last whole row.

    Raises:
        RtdecodeError: the file cannot be read, is no session, or breaks a rule of the format; one line with
            the file, the path inside it and the mend.
    """
    return checked(read_raw(Path(path)))


def checked(raw: RawSession) -> Session:
    """The session in `raw`, if it keeps every rule of the format.

    Raises:
        RtdecodeError: as `read_session`.
    """
    groups = raw.groups
    if not groups.keys() & {"events", "counts", "decoded"}:
        raise RtdecodeError(
            "holds no spikes: neither /events nor /counts",
            where=f"{raw.path}:/",
            mend=f"write at least one of them as in {DOCS}",
        )
    events, counts, behavior = groups.get("events"), groups.get("counts"), groups.get("behavior")
    trials, decoded, log = groups.get("trials"), groups.get("decoded"), groups.get("log")
    return Session(
        n_channels=raw.n_channels,
        events=check_events(events.columns, raw.n_channels, events.place) if events else None,
        counts=check_counts(counts.columns["values"], counts.attrs, raw.n_channels, counts.place)
        if counts
        else None,
        behavior=check_behavior(behavior.columns, behavior.attrs, behavior.place) if behavior else None,
        trials=check_trials(trials.columns, trials.place) if trials else None,
        decoded=check_decoded(decoded.columns, decoded.attrs, raw.n_channels, decoded.place)
        if decoded
        else None,
        log=check_log(log.columns, log.place) if log else (),
        attrs=raw.attrs,
        path=raw.path,
        complete=raw.complete,
    )
