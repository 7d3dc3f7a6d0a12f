"""The terminal view of `serve`: the status map on a few lines that change in place.

    with StatusView(Console(stderr=True)) as view:
        Daemon(settings, print_line=view.print_line, report=view.report).run()

A frame is drawn once per status map and once per printed line, on the calling thread. Nothing
runs in between: the hot loop shares this interpreter.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Any

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions
from rich.control import Control
from rich.live import Live
from rich.segment import ControlType, Segment
from rich.text import Text

from rtdecode.console.history import History, Recent
from rtdecode.console.status_lines import StatusLines
from rtdecode.console.status_rows import status_rows
from rtdecode.console.styles import STYLES
from rtdecode.console.text_rows import ECHO_WIDTH, body_width, clean, fitted


@dataclass(frozen=True)
class Frame:
    """One status map, fitted to the terminal when it is drawn.

    Attributes:
        status: the status map.
        recent: changes of its counters.
        ended: whether the daemon has stopped.
        drawn: widths of the lines drawn last, cells.
    """

    status: dict[str, Any]
    recent: Recent
    ended: bool = False
    drawn: list[int] = field(default_factory=list)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Segment]:
        width, height = options.max_width, options.size.height
        lines = status_rows(self.status, self.recent, ended=self.ended, width=width, height=height)
        self.drawn.clear()
        for i, row in enumerate(lines):
            indent = 0 if row.label is None else width - body_width(width)
            room = width - indent - (ECHO_WIDTH if i == len(lines) - 1 else 0)
            cleaned = [part._replace(text=clean(part.text, options.encoding)) for part in row.parts]
            line = [Segment((row.label or "").ljust(indent)[:indent], STYLES["label"])]
            for n, part in enumerate(fitted(cleaned, row.gap, room)):
                line += [Segment(row.gap if n else ""), Segment(part.text, STYLES[part.style])]
            self.drawn.append(sum(cell_len(segment.text) for segment in line))
            yield from line
            yield Segment.line()


class StatusView:
    """Draws the status map in place with printed lines above it; prints only lines if it cannot draw.

    The last frame stays on the screen. If the terminal is closed, only the view ends.

    Args:
        console: on stderr; its size and abilities are read whenever a frame is drawn.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        # Held while drawing: a line printed by another thread would move the frame.
        self._lock = threading.RLock()
        self._history = History()
        self._lines = None if console.is_interactive else StatusLines(self.print_line)
        self._live = Live(console=console, auto_refresh=False, redirect_stdout=sys.stdout.isatty())
        self._frame: Frame | None = None
        self._width = 0
        self._closed = self._gone = False

    def __enter__(self) -> StatusView:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Mark the last frame as ended, and show the cursor again."""
        with self._lock:
            self._closed = True
            if self._frame is None or self._gone:
                return
            try:
                self._make_room()
                self._live.update(replace(self._frame, ended=True))
                self._live.stop()
            except OSError:
                self._lose_terminal()
            finally:
                self._frame = None
                # The cursor is shown even if the above was interrupted, such as by a second Ctrl-C.
                if not self._gone:
                    self._console.show_cursor(True)

    def print_line(self, line: str) -> None:
        """Print a line above the frame, if there is one."""
        with self._lock:
            if self._gone:
                return
            try:
                self._make_room()
                for text in line.splitlines() or [""]:
                    self._console.print(Text(clean(text, self._console.encoding)), soft_wrap=True)
            except OSError:
                self._lose_terminal()

    def report(self, status: dict[str, Any]) -> None:
        """Draw the status map (rtdecode.serve.status), once a second; its parts may be missing or None."""
        with self._lock:
            if self._closed or self._gone:
                return
            if self._lines is not None:
                self._lines.report(status)
                return
            try:
                self._make_room()
                self._frame = Frame(status, self._history.add(status))
                self._live.start()
                self._live.update(self._frame, refresh=True)
            except OSError:
                self._lose_terminal()

    def _lose_terminal(self) -> None:
        """Stop drawing: a closed terminal must not end the other reports of the daemon."""
        self._gone = True
        with suppress(OSError):
            self._live.stop()

    def _make_room(self) -> None:
        """Erase lines of the frame that were wrapped when the terminal became narrower."""
        before, self._width = self._width, self._console.width
        if self._frame is None or self._width >= before:
            return
        wrapped = sum((cells - 1) // self._width for cells in self._frame.drawn if cells)
        erase = (ControlType.ERASE_IN_LINE, 2)
        up = ((ControlType.CURSOR_UP, 1), erase) * wrapped
        self._console.control(Control(ControlType.CARRIAGE_RETURN, erase, *up))
