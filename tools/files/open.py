"""Open a file of another program, by its first bytes and never by its name alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from rtdecode.errors import RtdecodeError
from rtdecode.tools.files.neurosuite.open import is_neurosuite, open_neurosuite
from rtdecode.tools.files.recording import Recording
from rtdecode.tools.files.tables.open import is_csv, is_npz, open_csv, open_npz
from rtdecode.tools.files.vendor.blackrock.open import is_blackrock, open_blackrock
from rtdecode.tools.files.vendor.neo.open import is_neo, open_neo
from rtdecode.tools.files.vendor.nex import is_nex, open_nex
from rtdecode.tools.files.vendor.plexon import is_plexon, open_plexon

#: A reader: whether it knows the file by its bytes or structure, and the file opened.
Knows = Callable[[Path], bool]
Opens = Callable[[Path], Recording]


def open_recording(path: Path) -> Recording:
    """What `path` holds.

    Raises:
        RtdecodeError: it does not exist, is of no format that is read here, or is damaged.
    """
    for knows, opens in _READERS:
        if knows(path):
            return opens(path)
    raise RtdecodeError("is of no format that is imported", where=str(path), fix="see docs/import.md")


#: Text comes last: any may be a table.
_READERS: tuple[tuple[Knows, Opens], ...] = (
    (is_blackrock, open_blackrock),
    (is_plexon, open_plexon),
    (is_nex, open_nex),
    (is_neo, open_neo),
    (is_neurosuite, open_neurosuite),
    (is_npz, open_npz),
    (is_csv, open_csv),
)
