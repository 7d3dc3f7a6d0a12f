"""Importable files where a command wants a session: converted once, into a session file beside them.

path = session_of(Path("today.nwb"), print_line)    # today.nwb.session.h5
"""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path

import h5py
import platformdirs

from rtdecode.errors import RtdecodeError
from rtdecode.session.raw import as_text
from rtdecode.session.write import write_session
from rtdecode.tools.files.choice import Choice
from rtdecode.tools.files.convert import convert
from rtdecode.tools.files.open import is_importable, open_recording

#: Added to the name of a file.
ENDING = ".session.h5"

#: Root attribute of a converted file: size and time of change of what it was made of, and of which version.
MADE_OF = "imported_state"

#: Counts up when a conversion gives something else than before.
VERSION = 1


def session_of(path: Path, print_line: Callable[[str], None]) -> Path:
    """The session that a file is converted to; the file itself, if no reader knows it.

    Args:
        path: of a file that is no session.
        print_line: prints a line for the person at the rig.

    Raises:
        RtdecodeError: the file holds several candidates, so that it has to be imported with options, or is
            damaged.
    """
    if not is_importable(path):
        return path
    state = _state(path)
    places = (path.with_name(path.name + ENDING), _elsewhere(path))
    for place in places:
        if _made_of(place) == state:
            return place
    recording = open_recording(path)
    try:
        imported = convert(recording, Choice())
    except RtdecodeError as error:
        fix = f"rtdecode import {shlex.quote(str(path))}, with what it asks for: {error.fix}"
        raise RtdecodeError(error.what, where=error.where, fix=fix) from error
    session = imported.session
    session.attrs[MADE_OF] = state
    failure: RtdecodeError | None = None
    for place in places:
        if place.exists() and _made_of(place) is None:
            # A file of somebody else's.
            continue
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            write_session(place, session)
        except (RtdecodeError, OSError) as error:
            failure = error if isinstance(error, RtdecodeError) else None
            continue
        for note in imported.notes:
            print_line(f"note: {note}")
        for finding in imported.findings:
            print_line(f"warning: {finding}")
        print_line(f"{path}: imported into {place}")
        return place
    raise failure or RtdecodeError(
        "cannot be converted: no folder can be written",
        where=str(path),
        fix="rtdecode import it with --output",
    )


def _state(path: Path) -> str:
    at = path.stat()
    return f"{at.st_size} {at.st_mtime_ns} {VERSION}"


def _made_of(path: Path) -> str | None:
    """What a converted file was made of; None for any other file, and for none."""
    try:
        with h5py.File(path, "r") as file:
            found = file.attrs.get(MADE_OF)
    except (OSError, RuntimeError):
        return None
    return None if found is None else as_text(found)


def _elsewhere(path: Path) -> Path:
    """Beside files that cannot be written, such as on a server: in the user's cache."""
    name = str(path.resolve()).strip("/").replace("/", "%")
    return Path(platformdirs.user_cache_dir("rtdecode")) / "imported" / (name[-200:] + ENDING)
