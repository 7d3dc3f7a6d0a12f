"""Make folders, name and write files.

A file to write that a person names passes `output_file`, then, before any work, `check_writable`.
"""

from __future__ import annotations

import errno
import os
import secrets
import tempfile
from collections.abc import Container, Iterable, Iterator
from contextlib import contextmanager, suppress
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


def output_file(text: str) -> Path:
    """The path of a file to write, as a person names it.

    Raises:
        RtdecodeError: it names a folder or nothing, or begins with `~` and there is no home folder.
    """
    if "\0" in text or os.path.basename(text) in ("", ".", ".."):
        what = "holds a character that no name of a file has" if "\0" in text else "is not the name of a file"
        where = text.replace("\0", r"\0") or "''"
        raise RtdecodeError(what, where=where, fix="give the name of a file, such as today.h5")
    return user_path(text)


def check_writable(path: Path, *, overwrite: bool, inputs: Iterable[Path] = ()) -> None:
    """Refuse a file that may not or cannot be written, before the work starts.

    Args:
        path: of the new file.
        overwrite: whether an existing file may be replaced.
        inputs: other files of the same command, which are never replaced.

    Raises:
        RtdecodeError: it exists and may not be replaced, its folder is missing, or no file of that name can
            be created there.
    """
    try:
        if os.path.isdir(path):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        with suppress(FileNotFoundError):
            os.lstat(path)  # raises for a name that is too long
        # Permissions mean little on network drives and for root; creating a file is conclusive.
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except (OSError, ValueError) as error:
        raise cannot_write(path, error) from error
    what, used = None, set(map(os.path.realpath, inputs))
    if os.path.realpath(path) in used:
        what = "is read or written by this command already"
    elif os.path.lexists(path) and not overwrite:
        what = "exists already"
    elif os.path.exists(path) and not os.path.isfile(path):
        what = "is a device or a pipe, so it cannot be replaced by a file"
    if what is not None:
        other = unused(path, used).name
        raise RtdecodeError(what, where=str(path), fix=f"choose another name, such as {other}")


def cannot_write(path: Path, error: Exception) -> RtdecodeError:
    """The error for a file that cannot be created or written."""
    folder, number = path.parent, getattr(error, "errno", None)
    if os.path.isdir(path):
        what, fix = "it is a folder", "give the name of a file"
    elif number == errno.ENAMETOOLONG:
        what, fix = "its name is too long for the disk", "give a shorter name"
    elif os.path.exists(folder) and not os.path.isdir(folder):
        what, fix = f"{folder} is not a folder", "name a file in a folder"
    elif not os.path.isdir(folder):
        what, fix = "its folder does not exist", f"create {folder}"
    else:
        what, fix = getattr(error, "strerror", None) or str(error), f"check space and permissions in {folder}"
    return RtdecodeError(f"cannot be written: {what}", where=str(path), fix=fix)


def make_folder(path: Path) -> None:
    """Make a folder and those above it.

    Raises:
        RtdecodeError: it cannot be made, or no file can be created in it.
    """
    with file_errors(path, "made", "name a folder you may write to"):
        path.mkdir(parents=True, exist_ok=True)
    with file_errors(path, "written to", "name a folder you may write to"), tempfile.TemporaryFile(dir=path):
        pass


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


def unused(path: Path, used: Container[str] = ()) -> Path:
    """`path`, or the first of its numbered names that does not exist and is none of `used`, real paths."""
    names = numbered(path.with_suffix(""), path.suffix)
    return next(each for each in names if not os.path.lexists(each) and os.path.realpath(each) not in used)


def part_of(path: Path) -> Path:
    """A new name in the folder of `path` for a file that is renamed to it once it is complete."""
    # Shorter than the longest that the disk allows, as `path` may be one.
    return path.with_name(f".{path.name[:50]}.{secrets.token_hex(4)}.part")


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
    part = part_of(path)
    try:
        with part.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        yield part
    except OSError as error:
        raise cannot_write(path, error) from error
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


@contextmanager
def file_errors(path: Path, action: str, fix: str) -> Iterator[None]:
    """Raise an OSError as an RtdecodeError; `action` is a participle such as "written"."""
    try:
        yield
    except OSError as error:
        what = error.strerror or error
        raise RtdecodeError(f"cannot be {action} ({what})", where=str(path), fix=fix) from error
