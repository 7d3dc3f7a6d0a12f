"""The demo on a terminal: its lines, above the monitor of the daemon."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

from rich.console import Console
from rich.live import Live

from rtdecode.console.drawing import Drawing
from rtdecode.console.text_rows import Line, Part, fitted
from rtdecode.monitor.listen import Listener
from rtdecode.monitor.screen import screen
from rtdecode.monitor.state import MonitorState
from rtdecode.monitor.terminal import REDRAW_S

#: Number of last lines on a terminal of at least that height; a lower one shows one line.
LINES, TALL = 3, 40

ENDING = "Ctrl-C ends the demo"


def page(
    printed: tuple[str, ...], state: MonitorState, now_s: float, width: int, height: int, unicode: bool
) -> list[Line]:
    """The last printed lines above the monitor's screen at `now_s`."""
    last = printed[-LINES if height >= TALL else -1 :]
    lines = [
        fitted([Part(line, "label" if n else "title", cut=True)], "", width)
        for n, line in zip(range(len(last) - 1, -1, -1), last, strict=True)
    ]
    room = max(height - len(lines), 1)
    return (lines + screen(state, now_s, width, room, unicode, ending=ENDING))[:height]


@dataclass
class DemoView:
    """Prints lines on a terminal, or draws them with the monitor while the demo is watched."""

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
                now_s = listener.read_into(state)
                live.update(Drawing(partial(page, tuple(self._lines), state, now_s)), refresh=True)
