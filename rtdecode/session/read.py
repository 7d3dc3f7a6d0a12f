"""Read a session file, or report in one line what is wrong with it.

session = read_session("indy_20161005_06.h5")
session.counts.values.shape    # (5843, 96)
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from rtdecode.errors import RtdecodeError
from rtdecode.session.arrays import session_arrays, session_labels
from rtdecode.session.diagnosis.clocks import check_seconds, unobserved
from rtdecode.session.diagnosis.strays import leave_out
from rtdecode.session.layout import Session
from rtdecode.session.raw import RawSession, read_raw
from rtdecode.session.rules.part import check_part
from rtdecode.session.schema import DOCS


def read_session(path: Path | str) -> Session:
    """Read and check the session in `path`.

    Integers may be stored in any integer or float type; unsorted events are sorted, equal times keep their
    order. A file that was not closed (`complete` is 0) is read up to its last complete row. A few stray
    stamps, and columns of /trials that do not fit, are left out; `Session.notes` names them.

    Raises:
        RtdecodeError: the file cannot be read, is not a session, or breaks a rule of the format.
    """
    raw, left, odd = leave_out(read_raw(Path(path)))
    session = check_session(raw)
    return replace(session, notes=(*left, *odd, *unobserved(session)))


def check_session(raw: RawSession) -> Session:
    """The session in `raw`, checked.

    Raises:
        RtdecodeError: as `read_session`.
    """
    if not raw.groups.keys() & {"events", "counts", "features", "decoded"}:
        raise RtdecodeError(
            "holds no spikes: neither /events nor /counts nor /features",
            where=f"{raw.path}:/",
            fix=f"store at least one of them as in {DOCS}",
        )
    parts = {name: check_part(name, group, raw.n_channels) for name, group in raw.groups.items()}
    session = Session(
        n_channels=raw.n_channels, attrs=raw.attrs, path=raw.path, complete=raw.complete, **parts
    )
    check_seconds(session)
    session_arrays(session)
    session_labels(session)
    return session
