"""Open a file of another program, by its first bytes and never by its name alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from rtdecode.errors import RtdecodeError
from rtdecode.session.diagnosis.containers import container_by_ending, container_of, is_session
from rtdecode.tools.files.matlab.open import is_matlab, open_matlab
from rtdecode.tools.files.neurosuite.open import is_neurosuite, open_neurosuite
from rtdecode.tools.files.nwb.open import is_nwb, open_nwb
from rtdecode.tools.files.recording import Recording
from rtdecode.tools.files.tables.open import is_csv, is_npz, open_csv, open_npz
from rtdecode.tools.files.trodes.open import is_trodes, open_trodes
from rtdecode.tools.files.vendor.blackrock.open import is_blackrock, open_blackrock
from rtdecode.tools.files.vendor.neo.open import is_neo, open_neo
from rtdecode.tools.files.vendor.nex import is_nex, open_nex
from rtdecode.tools.files.vendor.plexon import is_plexon, open_plexon
from rtdecode.tools.files.xdf.open import is_xdf, open_xdf

#: A reader: whether it knows the file by its bytes or structure, and the file opened.
Knows = Callable[[Path], bool]
Opens = Callable[[Path], Recording]


def is_importable(path: Path) -> bool:
    """Whether a reader knows the file."""
    return any(knows(path) for knows, _ in _READERS)


def open_recording(path: Path) -> Recording:
    """What a file holds.

    Raises:
        RtdecodeError: it does not exist, is of no format that is read here, or is damaged.
    """
    if not path.exists():
        raise RtdecodeError("does not exist", where=str(path), fix="check the path")
    if not (path.is_file() or path.is_dir()):
        raise RtdecodeError("is a device or a pipe", where=str(path), fix="name a file or a folder")
    for knows, opens in _READERS:
        if knows(path):
            return opens(path)
    if is_session(path):
        fix = "use it as it is; rtdecode info shows what it holds"
        raise RtdecodeError("is a session already", where=str(path), fix=fix)
    found, named = container_of(path), container_by_ending(path)
    if path.is_file() and (not path.stat().st_size or (named and (found is None or found[0] == named))):
        what = (
            f"is named like {named} but damaged, or of another format" if path.stat().st_size else "is empty"
        )
        raise RtdecodeError(what, where=str(path), fix="copy it again from where it was recorded")
    what = "is of no format that is imported" if found is None else f"is {found[0]}, which is not imported"
    raise RtdecodeError(what, where=str(path), fix="convert it to one of the formats in docs/import.md")


#: Text comes last: any may be a table.
_READERS: tuple[tuple[Knows, Opens], ...] = (
    (is_nwb, open_nwb),
    (is_xdf, open_xdf),
    (is_matlab, open_matlab),
    (is_trodes, open_trodes),
    (is_blackrock, open_blackrock),
    (is_plexon, open_plexon),
    (is_nex, open_nex),
    (is_neo, open_neo),
    (is_neurosuite, open_neurosuite),
    (is_npz, open_npz),
    (is_csv, open_csv),
)
