"""Copy events into the ring that the recorder thread empties."""

from __future__ import annotations

from rtdecode.kernels.arrays import F8, I4, U1, U2
from rtdecode.kernels.jit import kernel


@kernel
def copy_events(
    time: F8,
    channel: I4,
    unit: U1,
    accepted: U1,
    n: int,
    not_after: float,
    head: int,
    tail: int,
    out_time: F8,
    out_channel: U2,
    out_unit: U1,
    first_channel: int,
) -> int:
    """Append the accepted events stamped up to `not_after` to the ring; returns the new head.

    `first_channel` is added to channels. It stops when the ring is full; the caller compares the head with
    what it asked for.
    """
    size = len(out_time)
    for i in range(n):
        if accepted[i] and time[i] <= not_after:
            if head - tail >= size:
                return head
            slot = head % size
            out_time[slot] = time[i]
            out_channel[slot] = first_channel + channel[i]
            out_unit[slot] = unit[i]
            head += 1
    return head


@kernel
def count_recordable(time: F8, accepted: U1, n: int, not_after: float) -> int:
    """Number of events that `copy_events` would append to an empty ring."""
    total = 0
    for i in range(n):
        if accepted[i] and time[i] <= not_after:
            total += 1
    return total
