"""Can a file be written here? Asked before the work starts, not when it is done."""

from __future__ import annotations

import tempfile
from pathlib import Path

from rtdecode.errors import RtdecodeError
from rtdecode.session.write import cannot_write


def check_writable(path: Path, *, overwrite: bool = True) -> None:
    """Refuse a file that cannot be written.

    Args:
        path: of the file to be.
        overwrite: whether a file that is there may be replaced.

    Raises:
        RtdecodeError: it exists and may not be replaced, its folder is missing, or no file can be
            made there.
    """
    if path.is_dir():
        raise cannot_write(path, IsADirectoryError())
    if path.exists() and not overwrite:
        raise RtdecodeError("exists already", where=str(path), fix="choose another name, or add --overwrite")
    try:
        # Permissions say little on network drives and to root; a file that is made says it all.
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise cannot_write(path, error) from error
