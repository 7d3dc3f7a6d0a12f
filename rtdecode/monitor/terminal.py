"""`rtdecode monitor` on a terminal: a picture five times a second, or lines without a terminal."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from itertools import count

from rich.console import Console
from rich.live import Live

from rtdecode.console.drawing import Drawing
from rtdecode.console.status_lines import StatusLines
from rtdecode.monitor.listen import Listener
from rtdecode.monitor.screen import screen
from rtdecode.monitor.state import MonitorState

#: Smooth enough to follow, and little data for a slow ssh connection.
REDRAW_S = 0.2


def watch(listener: Listener, console: Console, stopping: Callable[[], bool]) -> None:
    """Draw until `stopping`."""
    state = MonitorState(listener.endpoint)
    with Live(console=console, screen=True, auto_refresh=False) as live:
        while not stopping():
            live.update(Drawing(partial(screen, state, listener.read_into(state))), refresh=True)
            time.sleep(REDRAW_S)


class Lines:
    """The monitor without a terminal: prints a line at each change, and every ten seconds."""

    def __init__(self, print_line: Callable[[str], None]) -> None:
        self._print_line, self._status = print_line, StatusLines(print_line)
        self._alert, self._alive = "", False

    def report(self, state: MonitorState, now_s: float) -> None:
        """Print changes; called once a second."""
        alert, alive = state.alert(now_s), state.alive(now_s)
        kind = alert.partition(":")[0]
        if alert and kind != self._alert:
            self._print_line(alert)
        if alive and not self._alive:
            self._print_line("daemon connected")
        self._alert, self._alive = kind, alive
        if alive and state.status_map:
            self._status.report(state.status_map)


def follow(
    listener: Listener, report: Callable[[MonitorState, float], None], stopping: Callable[[], bool]
) -> None:
    """Call `report` once a second until `stopping`; the sockets are read ten times as often."""
    state = MonitorState(listener.endpoint)
    for read in count(1):
        time.sleep(0.1)
        if stopping():
            return
        now_s = listener.read_into(state)
        if read % 10 == 0:
            report(state, now_s)
