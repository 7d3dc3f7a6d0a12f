"""Check that a file can be written, before the work starts."""

from __future__ import annotations

import tempfile
from itertools import count
from pathlib import Path

from rtdecode.errors import RtdecodeError
from rtdecode.session.write import cannot_write


def numbered(path: Path) -> Path:
    """`path`, or the first of `<stem>.2<suffix>`, `<stem>.3<suffix>` … that does not exist."""
    others = (path.with_name(f"{path.stem}.{n}{path.suffix}") for n in count(2))
    return path if not path.exists() else next(other for other in others if not other.exists())


def check_writable(path: Path, *, overwrite: bool = True) -> None:
    """Refuse a file that cannot be written.

    Args:
        path: of the new file.
        overwrite: whether an existing file may be replaced.

    Raises:
        RtdecodeError: it exists and may not be replaced, its folder is missing, or no file can be
            created there.
    """
    if path.is_dir():
        raise cannot_write(path, IsADirectoryError())
    if path.exists() and not overwrite:
        fix = f"choose another name, such as {numbered(path).name}"
        raise RtdecodeError("exists already", where=str(path), fix=fix)
    try:
        # Permissions mean little on network drives and for root; creating a file is conclusive.
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise cannot_write(path, error) from error
