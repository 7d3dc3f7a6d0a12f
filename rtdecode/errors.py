"""Errors for the person at the rig: one line that says what, where, and how to fix it."""

from __future__ import annotations


class RtdecodeError(Exception):
    """The work cannot be done; the command line prints this as one line and exits 1.

    Example: `RtdecodeError("no such file", where="today.h5", fix="check the path")`
    reads `today.h5: no such file. Fix: check the path.`

    Args:
        what: what is wrong, without a full stop.
        where: the file, stream, flag or endpoint it is about.
        fix: what the person can do.
    """

    def __init__(self, what: str, *, where: str | None = None, fix: str | None = None) -> None:
        self.what, self.where, self.fix = what, where, fix
        line = f"{where}: {what}" if where else what
        if fix:
            line += f". Fix: {fix}"
        super().__init__(" ".join(line.split()))
