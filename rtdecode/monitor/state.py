"""The state of a monitor, from received messages. No sockets, no clock, no screen."""

from __future__ import annotations

import math
from typing import Any

import msgspec

from rtdecode.client.status import Status
from rtdecode.client.tracker import Link
from rtdecode.console.history import History, Recent
from rtdecode.messages import Cursor, Flag, flag_names
from rtdecode.monitor.latency import Latencies
from rtdecode.monitor.plane import Axis, Plane, axes_of, point_of
from rtdecode.monitor.raster import SPAN_S, Counts, Raster
from rtdecode.monitor.task import Task

#: The bin width before the first status.
ASSUMED_WIDTH_S = 0.02

#: How long a flag of a single bin stays on the screen.
FLAG_SHOWN_S = 2.0

#: A task is shown for this long after its last message.
TASK_SHOWN_S = 2.0

#: A status is published once a second; after this long without one, and without cursors, the daemon is gone.
STATUS_OLD_S = 3.0


class MonitorState:
    """Everything that is shown; updated by `Listener`, drawn by `screen` and `frame`.

        state = MonitorState()
        state.update_status(status, now_s)
        state.add_cursor(cursor, now_s)
        state.add_spikes(counts)
        state.update_link(Link.LIVE, age_s=0.01, restarts=0)

    Args:
        endpoint: of the daemon's cursors, named until one is received.

    Attributes:
        link, age_s: the state of the newest cursor, and the seconds since it was published.
        cursor, status: the newest; None before the first.
        status_map: the status as a map, empty before the first.
        recent: recent increases of the counters.
        axes: the drawn axes, None before the first status or for a model with one output.
        plane: positions of the cursor.
        raster: spikes of the last 2 s.
        latencies: of the last bins.
        missed, malformed, problem: as the client counts them.
    """

    def __init__(self, endpoint: str = "") -> None:
        self.endpoint = endpoint
        self.link, self.age_s, self.restarts = Link.WAITING, math.inf, 0
        self.missed = self.malformed = 0
        self.problem = ""
        self._task: Task | None = None
        self._task_at_s = 0.0
        self._forget(ASSUMED_WIDTH_S)

    def _forget(self, bin_width_s: float) -> None:
        self.cursor: Cursor | None = None
        self.status: Status | None = None
        self.status_map: dict[str, Any] = {}
        self.recent = Recent()
        self.axes: tuple[Axis, Axis] | None = None
        self.bin_width_s = bin_width_s
        self.plane = Plane(max(1, round(SPAN_S / bin_width_s)))
        self.raster = Raster(bin_width_s)
        self.latencies = Latencies()
        self._history: History | None = None
        self._flag_at_s: dict[Flag, float] = {}
        self._status_at_s = -math.inf

    def update_link(
        self,
        link: Link,
        *,
        age_s: float,
        restarts: int,
        missed: int = 0,
        malformed: int = 0,
        problem: str = "",
    ) -> None:
        """Set the client's state of the connection; another daemon at the endpoint clears the rest."""
        # A new daemon's status may arrive before its first cursor, and has cleared everything then.
        if restarts != self.restarts and self.cursor is not None:
            self._forget(self.bin_width_s)
        self.link, self.age_s, self.restarts = link, age_s, restarts
        self.missed, self.malformed, self.problem = missed, malformed, problem

    def update_status(self, status: Status, now_s: float) -> None:
        """Set the next status, read at `now_s`; one of another daemon clears everything before."""
        width_s = status.bin_width_s or ASSUMED_WIDTH_S
        restarted = self.status is not None and status.uptime_s < self.status.uptime_s
        if restarted or width_s != self.bin_width_s:
            self._forget(width_s)
        self._status_at_s = now_s
        axes = axes_of(status)
        if axes != self.axes:
            self.axes, self.plane = axes, Plane(max(1, round(SPAN_S / width_s)))
        self.status, self.status_map = status, msgspec.to_builtins(status)
        if self._history is None:
            self._history = History(self.status_map)
        self.recent = self._history.add(self.status_map)

    def add_cursor(self, cursor: Cursor, now_s: float) -> None:
        """Add the next cursor, read at `now_s`."""
        self.cursor = cursor
        self.latencies.add(cursor.t_bin, cursor.t_close, cursor.t_pub)
        for flag in Flag:
            if cursor.flags & flag:
                self._flag_at_s[flag] = now_s
        if self.axes is not None and (point := point_of(cursor, self.axes)) is not None:
            self.plane.add(point)

    def add_spikes(self, counts: Counts) -> None:
        """Add the spikes of some bins."""
        self.raster.add(counts)

    def update_task(self, task: Task, now_s: float) -> None:
        """Set the state of the task."""
        self._task, self._task_at_s = task, now_s
        if task.target is not None:
            self.plane.aim(*task.target, task.radius)

    def task(self, now_s: float) -> Task | None:
        """The task, if its last message is recent."""
        return self._task if now_s - self._task_at_s <= TASK_SHOWN_S else None

    def flags(self, now_s: float) -> list[str]:
        """Names of the flags that are set now or were set recently."""
        present = set(flag_names(self.cursor.flags)) if self.cursor is not None else set()
        recent = {flag for flag, at_s in self._flag_at_s.items() if now_s - at_s < FLAG_SHOWN_S}
        return [flag.name for flag in Flag if flag.name and (flag.name in present or flag in recent)]

    def alive(self, now_s: float) -> bool:
        """Whether the daemon runs: its cursors arrive, or at least its status."""
        return self.link in (Link.LIVE, Link.HELD) or now_s - self._status_at_s <= STATUS_OLD_S

    def alert(self, now_s: float) -> str:
        """The alert about the connection; empty without one."""
        if self.link in (Link.LIVE, Link.HELD):
            return ""
        if self.alive(now_s):
            waiting = self.status is not None and self.status.state == "waiting"
            return "" if waiting else "the daemon answers, but publishes no cursor"
        if self.cursor is not None or self.status is not None:
            since_s = min(self.age_s, now_s - self._status_at_s)
            return f"daemon lost: silent for {since_s:.0f} s. The display is old. Waiting for its return"
        problem = f"; its messages cannot be read: {self.problem}" if self.malformed else ""
        where = f" at {self.endpoint}" if self.endpoint else ""
        return f"no message from a daemon yet{where}{problem}"
