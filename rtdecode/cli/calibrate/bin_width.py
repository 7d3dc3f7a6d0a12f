"""The bins of commands that take any session."""

from __future__ import annotations

from pathlib import Path

DEFAULT_BIN_WIDTH_S = 0.02


def width_of_counts(session: Path) -> float:
    """Width of a session's counts, seconds, or the default where single spikes were recorded.

    Raises:
        RtdecodeError: it cannot be read.
    """
    from rtdecode.session.read import read_session

    counts = read_session(session).counts
    return DEFAULT_BIN_WIDTH_S if counts is None else counts.nominal_width_s
