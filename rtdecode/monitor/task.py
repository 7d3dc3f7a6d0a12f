"""What a cursor task says about itself: its own PUB socket, topic `task`. Nothing here needs one."""

from __future__ import annotations

import math

import msgspec

from rtdecode.messages import MESSAGE_VERSION

TASK_TOPIC = b"task"


class Task(msgspec.Struct, frozen=True):
    """A task's state, at each bin or whenever it changes.

    Attributes:
        v: 1.
        t: when, by the task's clock; for other programs.
        target: [x, y] where the cursor should be, in the cursor's units; None for none.
        radius: of the target, in the same units; 0 if it has none.
        state: one word, "move" or "hold" say.
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
    """The message, or None for one that no task of this version sends."""
    try:
        task = _DECODER.decode(payload)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    numbers = (*(task.target or ()), task.radius, task.success_rate or 0.0)
    sound = task.v == MESSAGE_VERSION and task.radius >= 0 and all(map(math.isfinite, numbers))
    return task if sound else None
