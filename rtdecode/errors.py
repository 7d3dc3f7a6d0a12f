"""Errors for the experimenter: one line with what is wrong, where, and how to fix it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class RtdecodeError(Exception):
    """The work cannot be done; the command line prints this as one line and exits 1.

    Example: `RtdecodeError("does not exist", where="today.h5", fix="check the path")`
    reads `today.h5: does not exist. Fix: check the path`.

    Args:
        what: what is wrong, a sentence without a full stop; with `where` its subject may be left out.
        where: the file, stream, flag or endpoint it is about.
        fix: what to do, in the imperative.
    """

    def __init__(self, what: str, *, where: str | None = None, fix: str | None = None) -> None:
        self.what, self.where, self.fix = what, where, fix
        line = f"{where}: {what}" if where else what
        if fix:
            line += f". Fix: {fix}"
        super().__init__(" ".join(line.split()))


@contextmanager
def located(where: object) -> Iterator[None]:
    """Give errors that name no place this one, such as the file that what is wrong was read from."""
    try:
        yield
    except RtdecodeError as error:
        raise RtdecodeError(error.what, where=error.where or str(where), fix=error.fix) from error
