"""Make folders and write files."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
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
    with _on_disk(path, data) as part:
        part.replace(path)


def write_new_file(paths: Iterator[Path], data: bytes) -> Path:
    """Write `data` to the first path that does not exist, atomically. Nothing is replaced, even if another
    process creates a file of that name at the same time.

    Args:
        paths: names without end in one folder, such as those of `numbered`.
        data: contents of the file.

    Returns:
        the path that was written.

    Raises:
        RtdecodeError: the folder is missing or cannot be written.
    """
    path = next(paths)
    with _on_disk(path, data) as part:
        while True:
            try:
                _link(part, path)
                return path
            except FileExistsError:
                path = next(paths)


def numbered(stem: Path, suffix: str) -> Iterator[Path]:
    """`stem` with the suffix, then with .2, .3 … before the suffix, without end."""
    yield stem.with_name(f"{stem.name}{suffix}")
    for number in count(2):
        yield stem.with_name(f"{stem.name}.{number}{suffix}")


def _link(part: Path, path: Path) -> None:
    """Give a file a second name.

    Raises:
        FileExistsError: there is a file of that name.
    """
    try:
        os.link(part, path)
    except FileExistsError:
        raise
    except OSError:
        # Memory sticks and some network drives have no links. The name is taken first, then replaced.
        path.open("xb").close()
        part.replace(path)


@contextmanager
def _on_disk(path: Path, data: bytes) -> Iterator[Path]:
    """A temporary file with `data` in the folder of `path`; gone at the end if it was not renamed.

    Raises:
        RtdecodeError: it, or what is done with it, fails with an OSError.
    """
    part = path.with_name(f".{path.name[:50]}.{secrets.token_hex(4)}.part")
    fix = "check that the folder exists, that you may write there, and that the disk has room"
    with file_errors(path, "written", fix):
        try:
            with part.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            yield part
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
