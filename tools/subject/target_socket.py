"""The target on a ZeroMQ socket of its own, for `rtdecode monitor --task`.

with TaskSocket("tcp://127.0.0.1:5558") as socket:
    socket.tell(experiment.task, step.events, now_s)
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Self

import msgspec
import zmq

from rtdecode.errors import RtdecodeError
from rtdecode.messages import MESSAGE_VERSION
from rtdecode.monitor.task import TASK_TOPIC
from rtdecode.monitor.task import Task as TaskMessage
from rtdecode.tools.simulator.task import Task, TaskEvent

#: Told at least so often, for those who come later.
EVERY_S = 0.1

#: Messages kept for a subscriber that does not read; the newest are left out then.
KEPT = 100


class TaskSocket:
    """Publishes what the task shows: when something happens, and ten times a second.

    Args:
        endpoint: to bind.

    Raises:
        RtdecodeError: it cannot be bound.
    """

    def __init__(self, endpoint: str) -> None:
        self._told_s = -math.inf
        self._won = self._lost = 0
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._socket = self._context.socket(zmq.PUB)
        self._socket.setsockopt(zmq.SNDHWM, KEPT)
        self._socket.setsockopt(zmq.LINGER, 0)
        try:
            self._socket.bind(endpoint)
        except zmq.ZMQError as error:
            self.close()
            raise RtdecodeError(
                f"cannot publish on {endpoint} ({error})",
                where="--task-bind",
                fix="end what uses it, or give another",
            ) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Unbind."""
        self._socket.close()
        self._context.term()

    def tell(self, task: Task, events: Iterable[TaskEvent], now_s: float) -> None:
        """Publish if there is something new, or nothing was said for a while.

        Args:
            task: as it stands.
            events: what happened since the last call.
            now_s: on the clock that stamps the messages.
        """
        kinds = [event.kind for event in events]
        self._won += kinds.count("success")
        self._lost += kinds.count("timeout")
        if not kinds and now_s - self._told_s < EVERY_S:
            return
        self._told_s = now_s
        message = message_of(task, self._won, self._lost, now_s)
        self._socket.send_multipart([TASK_TOPIC, msgspec.msgpack.encode(message)])


def message_of(task: Task, won: int, lost: int, now_s: float) -> TaskMessage:
    """What a monitor is told: target in mm, state, trial, and the part of the trials that succeeded."""
    shown = task.shown(None)
    return TaskMessage(
        v=MESSAGE_VERSION,
        t=now_s,
        target=shown.target,
        radius=shown.radius if shown.target is not None else 0.0,
        state=task.state,
        trial=task.number if task.number >= 0 else None,
        success_rate=won / (won + lost) if won + lost else None,
    )
