"""Continuous data of all channels from messages of one channel each."""

from __future__ import annotations

import numpy as np

from rtdecode.tools.bridge.items import Block, Tally
from rtdecode.tools.bridge.openephys.messages import DataMessage


class BlockAssembler:
    """Joins the messages of one block, in which each channel has one, in the order of their numbers.

    The channels are those of two whole blocks in a row that have the same.

    Args:
        tally: where lost samples are counted.

    Attributes:
        channels: numbers of the channels, None until they are known.
        missing: messages of known channels that never came.
    """

    def __init__(self, tally: Tally) -> None:
        self.channels: tuple[int, ...] | None = None
        self.missing = 0
        self._tally = tally
        self._before: tuple[int, ...] = ()
        self._parts: dict[int, DataMessage] = {}
        self._first, self._length = -1, 0
        self._next_place = 0

    def restart(self, n_before: int) -> None:
        """Begin with another block, that has nothing to do with those before.

        Args:
            n_before: messages that were sent before it, and never came.
        """
        if self.channels is not None:
            self.missing += n_before
        self._parts, self._first, self._next_place = {}, -1, 0

    def add(self, part: DataMessage) -> Block | None:
        """Take a message; returns the block that it completes, if it does."""
        if part.sample != self._first or part.channel in self._parts:
            self._begin(part)
        self._parts[part.channel] = part
        if self.channels is None:
            return None
        if part.channel not in self.channels or len(part.values) != self._length:
            self._tally.garbled["block of other channels"] += 1
            return None
        place = self.channels.index(part.channel)
        self.missing += max(place - self._next_place, 0)
        self._next_place = place + 1
        if len(self._parts) < len(self.channels):
            return None
        values = np.stack([self._parts[channel].values for channel in self.channels], axis=1)
        return Block(part.sample + self._length - 1, np.ascontiguousarray(values))

    def _begin(self, part: DataMessage) -> None:
        """Close the block before, and count what is missing of it and between the two."""
        between = part.sample - (self._first + self._length)
        came = tuple(self._parts)
        if self.channels is None:
            if came and came == self._before and list(came) == sorted(came):
                self.channels = came
            self._before = came
            self._next_place = 0
        elif self._first >= 0:
            n = len(self.channels)
            whole = 0 if between <= 0 else max(round(between / self._length), 1)
            self.missing += n - self._next_place + n * whole
            self._next_place = 0
            self._tally.lost_samples += max(between, 0) + (self._length if len(came) < n else 0)
        self._parts, self._first, self._length = {}, part.sample, len(part.values)
