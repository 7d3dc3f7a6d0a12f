"""Folders and files that a command writes."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from rtdecode.errors import RtdecodeError


def make_folder(path: Path) -> None:
    """A folder for what a command writes, and those above it.

    Raises:
        RtdecodeError: it cannot be made.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RtdecodeError(
            f"cannot be made ({error.strerror or error})",
            where=str(path),
            mend="name a folder you may write to",
        ) from error


def replace_file(path: Path | str, data: bytes) -> None:
    """Write `data` to `path`, atomically: a new file in the same folder takes the name when it is on disk.

    Raises:
        RtdecodeError: the folder is missing or cannot be written.
    """
    path = Path(path)
    part = path.with_name(f".{path.name[:100]}.{secrets.token_hex(4)}.part")
    try:
        try:
            with part.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise RtdecodeError(
            f"cannot be written ({error.strerror or error})",
            where=str(path),
            mend="check that the folder exists, that you may write there, and that the disk has room",
        ) from error
