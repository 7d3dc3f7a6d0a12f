"""The target on a ZeroMQ socket of its own, for `rtdecode monitor --task`.

with TargetSocket("tcp://127.0.0.1:5558") as socket:
    socket.publish(experiment.task, step.events, now_s)
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

#: Longest interval between messages, so that later subscribers get one soon.
EVERY_S = 0.1

#: Messages queued for a subscriber that does not read; later ones are dropped.
QUEUED = 100


class TargetSocket:
    """Publishes what the task shows, at each event and at least ten times a second.

    Args:
        endpoint: endpoint to bind.

    Raises:
        RtdecodeError: the endpoint cannot be bound.
    """

    def __init__(self, endpoint: str) -> None:
        self._published_s = -math.inf
        self._successes = self._timeouts = 0
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._socket = self._context.socket(zmq.PUB)
        self._socket.setsockopt(zmq.SNDHWM, QUEUED)
        self._socket.setsockopt(zmq.LINGER, 0)
        try:
            self._socket.bind(endpoint)
        except zmq.ZMQError as error:
            self.close()
            raise RtdecodeError(
                f"cannot publish on {endpoint} ({error})",
                where="--task-bind",
                fix="end the program that uses it, or give another endpoint",
            ) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Unbind."""
        self._socket.close()
        self._context.term()

    def publish(self, task: Task, events: Iterable[TaskEvent], now_s: float) -> None:
        """Publish if there are events, or if the last message is `EVERY_S` old.

        Args:
            task: the task now.
            events: events since the last call.
            now_s: time of the message, s.
        """
        kinds = [event.kind for event in events]
        self._successes += kinds.count("success")
        self._timeouts += kinds.count("timeout")
        if not kinds and now_s - self._published_s < EVERY_S:
            return
        self._published_s = now_s
        message = message_of(task, self._successes, self._timeouts, now_s)
        self._socket.send_multipart([TASK_TOPIC, msgspec.msgpack.encode(message)])


def message_of(task: Task, successes: int, timeouts: int, now_s: float) -> TaskMessage:
    """The message for a monitor: target in mm, state, trial, and success rate."""
    shown = task.shown(None)
    return TaskMessage(
        v=MESSAGE_VERSION,
        t=now_s,
        target=shown.target,
        radius=shown.radius if shown.target is not None else 0.0,
        state=task.state,
        trial=task.number if task.number >= 0 else None,
        success_rate=successes / (successes + timeouts) if successes + timeouts else None,
    )
