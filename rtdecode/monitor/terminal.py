"""`rtdecode monitor` on a terminal: a picture five times a second, or lines without a terminal."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from rich.console import Console, ConsoleOptions
from rich.live import Live
from rich.segment import Segment
from rich.style import Style

from rtdecode.console.status_lines import StatusLines
from rtdecode.console.styles import STYLES as STATUS_STYLES
from rtdecode.console.text_rows import clean
from rtdecode.monitor.listen import Listener
from rtdecode.monitor.screen import screen
from rtdecode.monitor.state import MonitorState

#: Smooth enough to follow, and little data for a slow ssh connection.
REDRAW_S = 0.2

STYLES = STATUS_STYLES | {
    "accent": Style.parse("bold cyan"),
    "trail": Style.parse("dim cyan"),
    "target": Style.parse("green"),
}


@dataclass(frozen=True)
class Picture:
    """The picture at `now_s`, fitted to the terminal when it is drawn."""

    state: MonitorState
    now_s: float

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Segment]:
        unicode = options.encoding.startswith("utf")
        lines = screen(self.state, self.now_s, options.max_width, options.size.height, unicode=unicode)
        for i, line in enumerate(lines):
            if i:
                yield Segment.line()
            for part in line:
                yield Segment(clean(part.text, options.encoding), STYLES[part.style])


def watch(listener: Listener, console: Console, stopping: threading.Event) -> None:
    """Draw until `stopping`."""
    state = MonitorState(listener.endpoint)
    with Live(console=console, screen=True, auto_refresh=False) as live:
        while not stopping.is_set():
            live.update(Picture(state, listener.read_into(state)), refresh=True)
            stopping.wait(REDRAW_S)


@dataclass
class Lines:
    """The monitor without a terminal: a line at each change, and every ten seconds.

    Args:
        print_line: prints a line.
    """

    print_line: Callable[[str], None]
    _alert: str = ""
    _alive: bool = False
    _status: StatusLines = field(init=False)

    def __post_init__(self) -> None:
        self._status = StatusLines(self.print_line)

    def report(self, state: MonitorState, now_s: float) -> None:
        """Print changes; called once a second."""
        alert, alive = state.alert(now_s), state.alive(now_s)
        kind = alert.partition(":")[0]
        if alert and kind != self._alert:
            self.print_line(alert)
        if alive and not self._alive:
            self.print_line("daemon connected")
        self._alert, self._alive = kind, alive
        if alive and state.status_map:
            self._status.report(state.status_map)


def follow(
    listener: Listener, report: Callable[[MonitorState, float], None], stopping: threading.Event
) -> None:
    """Call `report` once a second until `stopping`; the sockets are read ten times as often."""
    state, reads = MonitorState(listener.endpoint), 0
    while not stopping.wait(0.1):
        now_s = listener.read_into(state)
        reads += 1
        if reads % 10 == 0:
            report(state, now_s)
