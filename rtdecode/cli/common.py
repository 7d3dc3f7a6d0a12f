"""Shared by the commands: JSON on stdout, lines on stderr, progress, tables."""

from __future__ import annotations

import json
import math
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import typer

from rtdecode.errors import RtdecodeError

LINE_EVERY_S = 15.0


def print_json(document: Any) -> None:
    """Print a JSON document on one line; NaN and infinity, which JSON lacks, become null."""
    print(json.dumps(_plain(document), ensure_ascii=not prints_unicode()), flush=True)


def prints_unicode() -> bool:
    """Whether stdout takes any character; under an ASCII locale JSON has to escape some."""
    return (sys.stdout.encoding or "utf-8").lower().replace("-", "").startswith("utf")


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
    """Print a line for the person at the rig, on stderr, with no control characters but line breaks."""
    print("\n".join(map(one_line, line.split("\n"))) + "\n", end="", file=sys.stderr, flush=True)


def split_names(text: str | None) -> tuple[str, ...] | None:
    """`x,y` as ("x", "y"); None for None."""
    if text is None:
        return None
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    if not names:
        raise typer.BadParameter(f"{text!r} has no names; give some such as x,y")
    return names


def split_features(text: str | None) -> tuple[str, ...] | None:
    """`a,b` as ("a", "b"), `none` as (); None for None."""
    return () if text == "none" else split_names(text)


def on_signal(stop: Callable[[], None]) -> None:
    """Call `stop` on SIGINT and SIGTERM, so that the work ends in order.

    It must take no lock, as `Event.set` does: what it interrupts may hold that lock, and wait for ever.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop())


def signalled() -> Callable[[], bool]:
    """Hold back SIGINT and SIGTERM; returns a function of whether one has arrived.

    Nothing is interrupted then: neither a wait that holds a lock, nor the write of a long line to a full
    pipe, the rest of which CPython 3.11 drops.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM))
    return lambda: bool(signal.sigpending())


@contextmanager
def needs_packages(what: str, command: str, extra: str = "train") -> Iterator[None]:
    """Context of the imports of a command whose packages come with an extra.

    Args:
        what: subject of the error.
        command: place of the error.
        extra: to install, such as "train".

    Raises:
        RtdecodeError: a package is not installed.
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
    """Show progress: a bar on a terminal, lines elsewhere.

    Yields:
        A function of the current step, a text, and the fraction done, 0 to 1. A change of the text after a
        comma, such as of the time left, gives a line at most every 15 s.
    """
    if sys.stderr.isatty():
        from rich.console import Console
        from rich.progress import Progress

        with Progress(console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task("", total=1.0)
            yield lambda what, done: bar.update(task, description=what, completed=done)
        return
    last, last_s = "", 0.0

    def report(what: str, done: float) -> None:
        nonlocal last, last_s
        stem, now_s = what.partition(",")[0], time.monotonic()
        if stem != last or (what != stem and now_s - last_s >= LINE_EVERY_S):
            last, last_s = stem, now_s
            try:
                print_line(f"{done:4.0%} {what}")
            except OSError:
                # The work goes on if nobody can read how far it is.
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())

    yield report


def refuse_missing(missing: Sequence[str], n_jobs: int, folder: Path) -> None:
    """Report jobs without a result, after all other results are written.

    Args:
        missing: job and reason, one text each.
        n_jobs: number of all jobs.
        folder: of the results.

    Raises:
        RtdecodeError: there are missing jobs.
    """
    for reason in missing:
        print_line(f"missing: {reason}")
    if missing:
        raise RtdecodeError(
            f"{len(missing)} of {n_jobs} jobs gave no result; each is listed above",
            where=str(folder),
            fix="correct the causes and run the same command again; finished jobs are kept",
        )


def table(headings: list[str], rows: list[list[str]]) -> str:
    """A plain text table, first column left, the rest right; each row is one line, whatever is in it."""
    rows = [list(map(one_line, row)) for row in rows]
    widths = [max(len(row[i]) for row in [headings, *rows]) for i in range(len(headings))]
    lines = []
    for row in [headings, *rows]:
        cells = [row[0].ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def one_line(text: str) -> str:
    """A text such as a name, in which what would move the cursor or colour the terminal is escaped."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def number(value: float | None, digits: int = 3) -> str:
    """A number for a table; a dash for None, NaN and infinity."""
    if value is None or not math.isfinite(value):
        return "–"
    return f"{value:.{digits}f}"
