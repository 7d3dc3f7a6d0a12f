"""The command line. Nothing heavy is imported before Ctrl-C is taken care of."""

from __future__ import annotations

import errno
import io
import os
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from threading import current_thread, main_thread
from typing import TYPE_CHECKING

from rtdecode.errors import RtdecodeError

if TYPE_CHECKING:
    from rtdecode.ingest import OpenSource

#: Errors of a disk that takes no more.
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)

#: Exit status after Ctrl-C, as of a shell.
INTERRUPTED = 130


def main(sources: Mapping[str, OpenSource] | None = None) -> None:
    """Run the command line; exit status 0: done, 1: failed, 2: bad usage, 130: interrupted by Ctrl-C.

    Args:
        sources: of one's own, by the name of their stream: `serve` and `record` open them, where they would
            look for a stream of LSL (docs/own-source.md).
    """
    _open_missing()
    if os.environ.get("HOME") == "":
        # Else the home folder would be "/".
        del os.environ["HOME"]
    # A fit beside a live daemon must not spin on every core; OpenBLAS reads this when NumPy is imported.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    # Under an ASCII locale "R²" must not end the command.
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    debug = "--debug" in sys.argv
    arguments = [argument for argument in sys.argv[1:] if argument != "--debug"]
    try:
        with _ended_by_interrupt():
            from rtdecode.cli.commands import app
        try:
            app(arguments, obj=sources)
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


@contextmanager
def _ended_by_interrupt() -> Iterator[None]:
    """Context of imports: Ctrl-C ends the process in it at once, without a traceback.

    As an exception it could be swallowed, by a callback of the import system for one.
    """
    before = signal.getsignal(signal.SIGINT)
    if before is not signal.default_int_handler or current_thread() is not main_thread():
        yield
        return
    signal.signal(signal.SIGINT, lambda *_: os._exit(INTERRUPTED))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


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
