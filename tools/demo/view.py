"""The demo on a terminal: its lines, above the monitor of the daemon."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.console import Console, ConsoleOptions
from rich.live import Live
from rich.segment import Segment

from rtdecode.console.text_rows import Part, clean, fitted
from rtdecode.monitor.listen import Listener
from rtdecode.monitor.screen import screen
from rtdecode.monitor.state import MonitorState
from rtdecode.monitor.terminal import REDRAW_S, STYLES

#: Number of last lines on a terminal of at least that height; a lower one shows one line.
LINES, TALL = 3, 40

ENDING = "Ctrl-C ends the demo"


@dataclass(frozen=True)
class Page:
    """The screen at `now_s`, fitted to the terminal when it is drawn."""

    lines: tuple[str, ...]
    state: MonitorState
    now_s: float

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Segment]:
        width, height = options.max_width, options.size.height
        unicode = options.encoding.startswith("utf")
        last = self.lines[-LINES if height >= TALL else -1 :]
        lines = [fitted([Part(line, "label", cut=True)], "", width) for line in last[:-1]]
        lines += [fitted([Part(line, "title", cut=True)], "", width) for line in last[-1:]]
        room = max(height - len(lines), 1)
        lines += screen(self.state, self.now_s, width, room, unicode=unicode, ending=ENDING)
        for i, line in enumerate(lines[:height]):
            if i:
                yield Segment.line()
            for part in line:
                yield Segment(clean(part.text, options.encoding), STYLES[part.style])


@dataclass
class DemoView:
    """Prints lines, or draws them with the monitor while the demo is watched.

    Args:
        console: a terminal.
    """

    console: Console
    _lines: list[str] = field(default_factory=list)
    _watched: bool = False

    def print_line(self, line: str) -> None:
        """Print a line, or show it on the screen while it is drawn."""
        self._lines.append(line)
        if not self._watched:
            self.console.print(line, markup=False, highlight=False)

    @contextmanager
    def watch(self, cursor: str, task: str) -> Iterator[None]:
        """Draw a daemon and its task until the context ends; then print the lines since its start."""
        stopping, n_before = threading.Event(), len(self._lines)
        drawing = threading.Thread(target=self._draw, args=(cursor, task, stopping), daemon=True)
        self._watched = True
        drawing.start()
        try:
            yield
        finally:
            stopping.set()
            drawing.join()
            self._watched = False
            for line in self._lines[n_before:]:
                self.console.print(line, markup=False, highlight=False)

    def _draw(self, cursor: str, task: str, stopping: threading.Event) -> None:
        state = MonitorState(cursor)
        with (
            Listener(cursor, task) as listener,
            Live(console=self.console, screen=True, auto_refresh=False) as live,
        ):
            while not stopping.wait(REDRAW_S):
                page = Page(tuple(self._lines), state, listener.read_into(state))
                live.update(page, refresh=True)
