"""The demo on a terminal: what is told, above what a monitor of the daemon shows."""

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

#: Lines that were told last and still stand there, on a terminal of that height and on a lower one.
LINES, TALL = 3, 40

ENDING = "Ctrl-C ends the demo"


@dataclass(frozen=True)
class Page:
    """What is shown at `now_s`, fitted to the terminal when it is drawn."""

    told: tuple[str, ...]
    state: MonitorState
    now_s: float

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Segment]:
        width, height = options.max_width, options.size.height
        unicode = options.encoding.startswith("utf")
        told = self.told[-LINES if height >= TALL else -1 :]
        lines = [fitted([Part(line, "label", cut=True)], "", width) for line in told[:-1]]
        lines += [fitted([Part(line, "title", cut=True)], "", width) for line in told[-1:]]
        room = max(height - len(lines), 1)
        lines += screen(self.state, self.now_s, width, room, unicode=unicode, ending=ENDING)
        for i, line in enumerate(lines[:height]):
            if i:
                yield Segment.line()
            for part in line:
                yield Segment(clean(part.text, options.encoding), STYLES[part.style])


@dataclass
class DemoView:
    """Takes what is told, and draws while it is watched.

    Args:
        console: a terminal.
    """

    console: Console
    _told: list[str] = field(default_factory=list)
    _watched: bool = False

    def print_line(self, line: str) -> None:
        """Take a line; before and after the picture it is printed."""
        self._told.append(line)
        if not self._watched:
            self.console.print(line, markup=False, highlight=False)

    @contextmanager
    def watch(self, cursor: str, task: str) -> Iterator[None]:
        """Draw a daemon and its task until the context ends; then print what was told meanwhile."""
        stopping, n_before = threading.Event(), len(self._told)
        drawing = threading.Thread(target=self._draw, args=(cursor, task, stopping), daemon=True)
        self._watched = True
        drawing.start()
        try:
            yield
        finally:
            stopping.set()
            drawing.join()
            self._watched = False
            for line in self._told[n_before:]:
                self.console.print(line, markup=False, highlight=False)

    def _draw(self, cursor: str, task: str, stopping: threading.Event) -> None:
        state = MonitorState(cursor)
        with (
            Listener(cursor, task) as listener,
            Live(console=self.console, screen=True, auto_refresh=False) as live,
        ):
            while not stopping.wait(REDRAW_S):
                page = Page(tuple(self._told), state, listener.read_into(state))
                live.update(page, refresh=True)
