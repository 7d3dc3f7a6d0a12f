"""The state of a cursor task, from its own PUB socket, topic `task`; optional."""

from __future__ import annotations

import math

import msgspec

from rtdecode.messages import MESSAGE_VERSION

TASK_TOPIC = b"task"


class Task(msgspec.Struct, frozen=True):
    """A task's state, at each bin or whenever it changes.

    Attributes:
        v: 1.
        t: time on the task's clock; for other programs.
        target: [x, y] in the cursor's units; None for none.
        radius: of the target, in the same units; 0 for none.
        state: one word, such as "move" or "hold".
        trial: its number.
        success_rate: of the trials so far, 0 to 1.
    """

    v: int
    t: float = 0.0
    target: tuple[float, float] | None = None
    radius: float = 0.0
    state: str = ""
    trial: int | None = None
    success_rate: float | None = None


_DECODER = msgspec.msgpack.Decoder(Task)


def read_task(payload: bytes) -> Task | None:
    """The message, or None for a message of another version or program."""
    try:
        task = _DECODER.decode(payload)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    numbers = (*(task.target or ()), task.radius, task.success_rate or 0.0)
    valid = task.v == MESSAGE_VERSION and task.radius >= 0 and all(map(math.isfinite, numbers))
    return task if valid else None
