"""The terminal view of `serve`: the status map on a few lines that change in place.

    with StatusView(Console(stderr=True)) as view:
        Daemon(settings, print_line=view.print_line, report=view.report).run()

A frame is drawn once per status map and once per printed line, on the calling thread. Nothing
runs in between: the hot loop shares this interpreter.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

from rich.cells import cell_len
from rich.console import Console
from rich.control import Control
from rich.live import Live
from rich.segment import ControlType
from rich.text import Text

from rtdecode.console.drawing import Drawing
from rtdecode.console.history import History, Recent
from rtdecode.console.status_rows import status_rows
from rtdecode.console.text_rows import ECHO_WIDTH, Line, clean, line_of


class StatusView:
    """Draws the status map in place with printed lines above it.

    The last frame stays on the screen. If the terminal is closed, only the view ends.

    Args:
        console: a terminal, on stderr; its size and abilities are read whenever a frame is drawn.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        # Held while drawing: a line printed by another thread would move the frame.
        self._lock = threading.RLock()
        self._history = History()
        self._live = Live(
            Drawing(self._frame),
            console=console,
            auto_refresh=False,
            redirect_stdout=sys.stdout.isatty(),
        )
        self._status: dict[str, Any] | None = None
        self._recent = Recent()
        self._width, self._drawn = 0, [0]
        self._ended = self._gone = False

    def __enter__(self) -> StatusView:
        return self

    def __exit__(self, *_: object) -> None:
        """Mark the last frame as ended, and show the cursor again."""
        with self._lock:
            self._ended = True
            if self._status is None or self._gone:
                return
            try:
                self._draw(self._live.stop)
            finally:
                self._status = None
                # The cursor is shown even if the above was interrupted, such as by a second Ctrl-C.
                if not self._gone:
                    self._console.show_cursor(True)

    def print_line(self, line: str) -> None:
        """Print a line above the frame, if there is one."""
        text = "\n".join(clean(each, self._console.encoding) for each in line.splitlines())
        self._draw(partial(self._console.print, Text(text), soft_wrap=True))

    def report(self, status: dict[str, Any]) -> None:
        """Draw the status map (docs/messages.md), once a second; its parts may be missing or None."""
        with self._lock:
            if not self._ended:
                self._status, self._recent = status, self._history.add(status)
                self._draw(self._live.start)
                self._draw(self._live.refresh)

    def _frame(self, width: int, height: int, unicode: bool) -> list[Line]:
        """The lines of a frame; their widths are kept until the next."""
        status = self._status or {}
        rows = status_rows(status, self._recent, ended=self._ended, width=width, height=height)
        lines = [line_of(row, width) for row in rows[:-1]] + [line_of(rows[-1], width - ECHO_WIDTH)]
        self._drawn = [sum(cell_len(part.text) for part in line) for line in lines]
        return lines

    def _draw(self, step: Callable[[], object]) -> None:
        """Take one step alone; a closed terminal must not end the other reports of the daemon."""
        with self._lock:
            if self._gone:
                return
            try:
                self._make_room()
                step()
            except OSError:
                self._gone = True
                with suppress(OSError):
                    self._live.stop()

    def _make_room(self) -> None:
        """Erase lines of the frame that were wrapped when the terminal became narrower."""
        before, self._width = self._width, self._console.width
        if self._status is None or self._width >= before:
            return
        wrapped = sum((cells - 1) // self._width for cells in self._drawn if cells)
        erase = (ControlType.ERASE_IN_LINE, 2)
        up = ((ControlType.CURSOR_UP, 1), erase) * wrapped
        self._console.control(Control(ControlType.CARRIAGE_RETURN, erase, *up))
