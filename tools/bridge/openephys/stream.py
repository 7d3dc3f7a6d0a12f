"""The ZMQ Interface plugin's messages as spikes and blocks, its losses counted by its own numbers."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from rtdecode.tools.bridge.items import Item, Restart, Spike, Tally, Tick
from rtdecode.tools.bridge.openephys.blocks import BlockAssembler
from rtdecode.tools.bridge.openephys.messages import (
    DataMessage,
    GarbledError,
    Message,
    SpikeMessage,
    read_message,
)
from rtdecode.tools.bridge.openephys.numbers import MessageNumbers, Turn

#: Spikes by which it is decided how electrodes are named.
NAMING_SPIKES = 100

#: Messages in a row that state one sampling rate before it is believed.
AGREED_RATES = 8


class Electrodes:
    """Channels of electrodes by their names.

    Args:
        n_channels: of the array.
        names: of the electrodes in the order of the channels; None to take the number that a name ends with,
            from 1, as the Spike Detector names them. All must have the same text before it then.
    """

    def __init__(self, n_channels: int, names: Sequence[str] | None = None) -> None:
        self._n_channels = n_channels
        self._named = names is not None
        self._channels = {name: i for i, name in enumerate(names or ())}
        self._prefixes: Counter[str] = Counter()
        self._n_seen = 0

    def channel_of(self, name: str) -> int:
        """The channel of an electrode.

        Raises:
            GarbledError: it has none, or perhaps that of another electrode.
        """
        channel = self._channels.get(name)
        if channel is None:
            channel = self._channel_of_number(name)
        if not 0 <= channel < self._n_channels:
            raise GarbledError("electrode is not among the channels")
        return channel

    def _channel_of_number(self, name: str) -> int:
        """The channel by the number of a name, -1 if it has none."""
        ending = None if self._named else re.search(r"[0-9]+\s*$", name)
        if ending is None:
            return -1
        prefix, channel = name[: ending.start()], int(ending[0]) - 1
        if self._n_seen < NAMING_SPIKES:
            self._n_seen += 1
            self._prefixes[prefix] += 1
        if prefix != self._prefixes.most_common(1)[0][0]:
            raise GarbledError("electrode is named unlike most")
        if self._n_seen == NAMING_SPIKES and 0 <= channel < self._n_channels:
            self._channels[name] = channel
        return channel


class OpenEphysStream:
    """Turns messages into items.

    Args:
        electrodes: channels by name.
        tally: where losses are counted.
        wants_blocks: whether continuous data are passed on; they tell the time in any case.

    Attributes:
        rate_hz: sampling rate that the messages of continuous data state, None without any.
        assembler: of continuous data.
    """

    def __init__(self, electrodes: Electrodes, tally: Tally, *, wants_blocks: bool = False) -> None:
        self.rate_hz: float | None = None
        self.assembler = BlockAssembler(tally)
        self._electrodes, self._tally, self._wants_blocks = electrodes, tally, wants_blocks
        self._numbers = MessageNumbers()
        self._unsure: list[Item] = []
        self._lost_spikes = self._n_agreed = 0
        self._stated_hz = 0.0

    def feed(self, frames: Sequence[bytes]) -> list[Item]:
        """The items of a ZeroMQ message; those of a number out of turn come with the next message."""
        try:
            message = read_message(frames)
        except GarbledError as error:
            self._tally.garbled[str(error)] += 1
            return []
        lost = self._numbers.lost
        turn = self._numbers.add(message.number)
        before, self._unsure = self._unsure, []
        if turn is Turn.ANEW_BEFORE:
            before.insert(0, Restart())
        elif turn is Turn.ANEW:
            before.append(Restart())
        if turn in (Turn.ANEW, Turn.ANEW_BEFORE):
            # With data among them it cannot be known how many of those before the first were spikes.
            self.assembler.restart(self._numbers.lost - lost)
        elif turn is Turn.GARBLED_BEFORE:
            self._tally.garbled["message number is impossible"] += 1
        items = self._items(message)
        if turn is Turn.UNSURE:
            self._unsure = items
            return []
        self._count_lost(isinstance(message, DataMessage))
        return before + items

    def _items(self, message: Message) -> list[Item]:
        if isinstance(message, SpikeMessage):
            try:
                channel = self._electrodes.channel_of(message.electrode)
            except GarbledError as error:
                self._tally.garbled[str(error)] += 1
                self._tally.lost_spikes += 1
                return []
            return [Spike(message.sample, channel, message.unit)]
        if isinstance(message, DataMessage):
            self._n_agreed = self._n_agreed + 1 if message.rate_hz == self._stated_hz else 0
            self._stated_hz = message.rate_hz
            if self._n_agreed >= AGREED_RATES:
                self.rate_hz = message.rate_hz
            block = self.assembler.add(message)
            if block is not None and self._wants_blocks:
                return [block]
            return [Tick(message.sample + len(message.values) - 1)]
        return []

    def _count_lost(self, of_data: bool) -> None:
        """Lost messages that were none of continuous data, as far as its blocks tell, were spikes."""
        if self.assembler.channels is None or of_data:
            lost = self._numbers.lost - self.assembler.missing
            self._tally.lost_spikes += max(lost - self._lost_spikes, 0)
            self._lost_spikes = max(lost, self._lost_spikes)
