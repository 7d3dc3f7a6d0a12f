"""Make folders and write files."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rtdecode.errors import RtdecodeError


def user_path(text: str) -> Path:
    """A path as a person writes it in a settings file: `~` is the home folder, in any locale.

    Raises:
        RtdecodeError: it begins with `~`, and that user has no home folder.
    """
    # Under an ASCII locale Python opens only names in its own spelling of their bytes.
    named = Path(os.fsdecode(text.encode("utf-8", "surrogateescape")))
    try:
        return named.expanduser()
    except RuntimeError:
        raise RtdecodeError(
            "cannot be expanded: this user has no home folder",
            where=text,
            fix="set HOME, or write the whole path",
        ) from None


def make_folder(path: Path) -> None:
    """Make a folder and those above it.

    Raises:
        RtdecodeError: it cannot be made.
    """
    with file_errors(path, "made", "name a folder you may write to"):
        path.mkdir(parents=True, exist_ok=True)


def replace_file(path: Path | str, data: bytes) -> None:
    """Write `data` to `path`, atomically: a new file in the same folder is renamed once it is on disk.

    Raises:
        RtdecodeError: the folder is missing or cannot be written.
    """
    path = Path(path)
    part = path.with_name(f".{path.name[:100]}.{secrets.token_hex(4)}.part")
    fix = "check that the folder exists, that you may write there, and that the disk has room"
    with file_errors(path, "written", fix):
        try:
            with part.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)


@contextmanager
def file_errors(path: Path, action: str, fix: str) -> Iterator[None]:
    """Raise an OSError as an RtdecodeError; `action` is a participle such as "written"."""
    try:
        yield
    except OSError as error:
        what = error.strerror or error
        raise RtdecodeError(f"cannot be {action} ({what})", where=str(path), fix=fix) from error
