"""Folders that a command writes to."""

from __future__ import annotations

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
