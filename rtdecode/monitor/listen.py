"""The sockets of a monitor: read without waiting, into its state."""

from __future__ import annotations

import time
from contextlib import ExitStack, closing

from rtdecode.client.cursors import CursorClient
from rtdecode.client.feed import arrived, subscribe
from rtdecode.client.status import Status
from rtdecode.messages import SPIKES_TOPIC
from rtdecode.monitor.raster import read_spikes
from rtdecode.monitor.state import MonitorState
from rtdecode.monitor.task import TASK_TOPIC, read_task

#: Without a cursor for this long the daemon counts as lost; several bins of the widest models.
LOST_AFTER_S = 1.0


class Listener:
    """Receives from a daemon, and from a task if there is one. For one thread.

        with Listener("tcp://127.0.0.1:5556") as listener:
            listener.read_into(state)

    Args:
        cursor: the daemon's `--bind`.
        task: a task's PUB endpoint, None for none.

    Raises:
        RtdecodeError: an invalid endpoint.
    """

    def __init__(self, cursor: str, task: str | None = None) -> None:
        self.endpoint = cursor
        self._status: Status | None = None
        with ExitStack() as opened:
            self._client = opened.enter_context(CursorClient(cursor, stale_after_s=LOST_AFTER_S))
            self._spikes = opened.enter_context(closing(Topic(cursor, SPIKES_TOPIC)))
            self._task = None if task is None else opened.enter_context(closing(Topic(task, TASK_TOPIC)))
            self._opened = opened.pop_all()

    def __enter__(self) -> Listener:
        return self

    def __exit__(self, *_: object) -> None:
        self._opened.close()

    def read_into(self, state: MonitorState) -> float:
        """Read everything that has arrived; returns the time (`time.monotonic`)."""
        client, cursors = self._client, []
        while (cursor := client.receive(timeout_s=0.0)) is not None:
            cursors.append(cursor)
        now_s = time.monotonic()
        state.update_link(
            client.link,
            age_s=client.age_s,
            restarts=client.restarts,
            missed=client.missed,
            malformed=client.malformed,
            problem=client.problem,
        )
        if client.status is not None and client.status is not self._status:
            self._status = client.status
            state.update_status(client.status, now_s)
        for cursor in cursors:
            state.add_cursor(cursor, now_s)
        for payload in self._spikes.payloads():
            if (counts := read_spikes(payload)) is not None:
                state.add_spikes(counts)
        for payload in self._task.payloads() if self._task is not None else ():
            if (task := read_task(payload)) is not None:
                state.update_task(task, now_s)
        state.plane.fit()
        return now_s


class Topic:
    """A subscription to one topic.

    Args:
        endpoint: of a PUB socket.
        topic: the first frame of its messages.

    Raises:
        RtdecodeError: an invalid endpoint.
    """

    def __init__(self, endpoint: str, topic: bytes) -> None:
        self._topic = topic
        self._socket, self.close = subscribe(self, endpoint, topic)

    def payloads(self) -> list[bytes]:
        """The payloads received since the last call."""
        frames = arrived(self._socket)
        return [each[1] for each in frames if len(each) == 2 and each[0] == self._topic]
