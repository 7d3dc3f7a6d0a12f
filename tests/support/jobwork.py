"""Jobs for the tests of the runner, in a module that worker processes can import."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass
from pathlib import Path

from rtdecode.errors import RtdecodeError


@dataclass(frozen=True)
class Numbered:
    """A job with a name, and the folder where it writes a file for each try."""

    number: int
    folder: str

    @property
    def name(self) -> str:
        """Description for messages."""
        return f"number {self.number}"


def square(number: int) -> int:
    """A job that fails for 13 only."""
    if number == 13:
        raise RtdecodeError("is unlucky", where="13", fix="take another one")
    return number * number


def killed_once(item: tuple[int, str]) -> int:
    """A job whose process is killed the first time that it tries number 2; it writes a file for each try."""
    number, folder = item
    tries = len(list(Path(folder).glob(f"{number}.*")))
    Path(folder, f"{number}.{tries}").touch()
    if number == 2 and tries == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def killed_always(number: int) -> int:
    """A job whose process is killed whenever it tries number 2."""
    if number == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def unlucky_or_killed_once(job: Numbered) -> int:
    """`killed_once`, but it fails for 13."""
    return killed_once((square(job.number) and job.number, job.folder))
