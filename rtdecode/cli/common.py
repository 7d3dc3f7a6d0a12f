"""What the commands share: JSON on stdout, lines on stderr, values in the units people type."""

from __future__ import annotations

import json
import math
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import typer

from rtdecode.errors import RtdecodeError

LINE_EVERY_S = 15.0

JSON_HELP = "Print one JSON document on stdout and nothing else there."


def print_json(document: Any) -> None:
    """One JSON document on one line; NaN and infinities, which JSON lacks, become null."""
    print(json.dumps(_plain(document), ensure_ascii=False), flush=True)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if hasattr(value, "tolist"):
        return _plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def print_line(line: str) -> None:
    """A line for the person at the rig, on stderr."""
    print(line, file=sys.stderr, flush=True)


def split_names(text: str | None) -> tuple[str, ...] | None:
    """`x,y` as ("x", "y"); None for None."""
    if text is None:
        return None
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    if not names:
        raise typer.BadParameter("give names such as x,y")
    return names


def on_signal(stop: Callable[[], None]) -> None:
    """Let SIGINT and SIGTERM end the work in order instead of in the middle."""

    def handler(number: int, frame: FrameType | None) -> None:
        stop()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, handler)


@contextmanager
def whole_lines() -> Iterator[None]:
    """Around a print after `on_signal`: a signal waits until the line is out.

    One that comes while a pipe is full and its reader slow would end the write half done, and CPython 3.11
    then drops the rest of a long line.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM))
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def needs_training_packages(what: str, command: str, extra: str = "train") -> Iterator[None]:
    """Around the imports of a command that trains: what the extra `train` brings may not be there.

    Raises:
        RtdecodeError: `what` needs a package that is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("rtdecode"):
            raise
        raise RtdecodeError(
            f"{what} needs {error.name}, which is not installed",
            where=command,
            fix=f"pip install 'rtdecode[{extra}]'",
        ) from None


@contextmanager
def progress_bar() -> Iterator[Callable[[str, float], None]]:
    """Gives a function of (what is being done, how much of it all): a bar on a terminal, lines elsewhere.

    What stands behind a comma, such as the time left, makes no line of its own more often than every 15 s.
    """
    if sys.stderr.isatty():
        from rich.console import Console
        from rich.progress import Progress

        with Progress(console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task("", total=1.0)
            yield lambda what, done: bar.update(task, description=what, completed=done)
        return
    told, when_s = "", 0.0

    def tell(what: str, done: float) -> None:
        nonlocal told, when_s
        stem, now_s = what.partition(",")[0], time.monotonic()
        if stem != told or (what != stem and now_s - when_s >= LINE_EVERY_S):
            told, when_s = stem, now_s
            print_line(f"{done:4.0%} {what}")

    yield tell


def refuse_missing(missing: Sequence[str], n_jobs: int, folder: Path) -> None:
    """After a command has written what it could: name the jobs that gave no result.

    Args:
        missing: what each was and why it is missing.
        n_jobs: of all.
        folder: where the others are kept.

    Raises:
        RtdecodeError: there are some.
    """
    for reason in missing:
        print_line(f"missing: {reason}")
    if missing:
        raise RtdecodeError(
            f"{len(missing)} of {n_jobs} jobs gave no result, each is named above",
            where=str(folder),
            fix="fix what it says and run the same command again; what is done is kept",
        )


def table(headings: list[str], rows: list[list[str]]) -> str:
    """A plain text table, first column left, the rest right."""
    widths = [max(len(row[i]) for row in [headings, *rows]) for i in range(len(headings))]
    lines = []
    for row in [headings, *rows]:
        cells = [row[0].ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def number(value: float | None, digits: int = 3) -> str:
    """A figure for a table; a dash where there is none."""
    if value is None or not math.isfinite(value):
        return "–"
    return f"{value:.{digits}f}"
