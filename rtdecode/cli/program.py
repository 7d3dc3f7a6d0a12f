"""Runs a command line; its errors are one line."""

from __future__ import annotations

import errno
import io
import os
import sys
from collections.abc import Mapping

from typer.main import get_command

from rtdecode.cli.commands import app
from rtdecode.errors import RtdecodeError
from rtdecode.ingest import OpenSource

#: Errors of a disk that takes no more.
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)


def run(sources: Mapping[str, OpenSource] | None) -> None:
    """Run the command of `sys.argv`.

    Args:
        sources: as of `rtdecode.cli.main`.
    """
    _open_missing()
    if os.environ.get("HOME") == "":
        # Else the home folder would be "/".
        del os.environ["HOME"]
    # Under an ASCII locale "R²" must not end the command.
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    debug = "--debug" in sys.argv
    arguments = [argument for argument in sys.argv[1:] if argument != "--debug"]
    try:
        command = get_command(app)
        try:
            command(arguments, obj=sources)
        finally:
            # Not first when the interpreter ends: it would not say it in one line.
            sys.stdout.flush()
    except RtdecodeError as error:
        if debug:
            raise
        _fail(str(error))
    except BrokenPipeError:
        # The reader of our output has ended, as in `rtdecode … | head`; nothing more can be printed.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except Exception as error:
        if debug:
            raise
        if isinstance(error, OSError) and error.errno in FULL and error.filename is None:
            # What is left of it must not be written when the interpreter ends.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            _fail(
                f"the output cannot be written ({error.strerror}). Fix: free space on its disk, or redirect "
                "it to another one"
            )
        if isinstance(error, ModuleNotFoundError) and (error.name or "").startswith("rtdecode."):
            _fail(
                f"Python has imported an rtdecode folder that lacks {error.name}. Fix: start it outside "
                "the project's folder, or set PYTHONSAFEPATH=1"
            )
        if isinstance(error, RuntimeError) and "home directory" in str(error):
            _fail("this user has no home folder. Fix: set HOME to a folder, such as HOME=/tmp")
        _fail(f"internal error, {type(error).__name__}: {error}. Fix: run again with --debug and report it")


def _open_missing() -> None:
    """Where standard output or error is closed (`2>&-`), write to nowhere; no socket may get its number."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_WRONLY), "w"))


def _fail(line: str) -> None:
    print(f"rtdecode: {' '.join(line.split())}", file=sys.stderr)
    sys.exit(1)
