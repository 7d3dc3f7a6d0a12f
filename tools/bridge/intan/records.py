"""The spike port of RHX: records of 14 bytes, of which any cut gives the same spikes.

A record is a magic number, the channel's name (five characters, such as A-017), the sample's number (uint32)
and the unit (one bit each; or 0x40 for unsorted, 0x80 for a likely artifact), little-endian.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from types import MappingProxyType

from rtdecode.tools.bridge.intan.counter import Counter32
from rtdecode.tools.bridge.items import Spike, Tally

MAGIC = struct.pack("<I", 0x3AE2710F)
RECORD = struct.Struct("<4s5sIB")

#: Units of RHX: four of its spike scope, unsorted, and what it takes for an artifact.
UNITS: Mapping[int, int] = MappingProxyType({0x01: 1, 0x02: 2, 0x04: 3, 0x08: 4, 0x40: 0, 0x80: 255})


class SpikeRecords:
    """Reads records; what is none is skipped up to the next one.

    Args:
        channels: numbers of the channels, by name.
        counter: of sample numbers.
        tally: where what is skipped is counted, and as lost spikes as many records as had room in it.
    """

    def __init__(self, channels: Mapping[bytes, int], counter: Counter32, tally: Tally) -> None:
        self._channels, self._counter, self._tally = channels, counter, tally
        self._waiting = b""
        self._skipped = 0

    def feed(self, received: bytes) -> list[Spike]:
        """The spikes of all records that are complete with these bytes."""
        data, at, spikes = self._waiting + received, 0, []
        while len(data) - at >= RECORD.size:
            magic, name, sample, bits = RECORD.unpack_from(data, at)
            channel, unit = self._channels.get(name), UNITS.get(bits)
            if magic == MAGIC and channel is not None and unit is not None:
                self._end_skip()
                spikes.append(Spike(self._counter.extend(sample), channel, unit))
                at += RECORD.size
                continue
            if not self._skipped:
                self._count(magic, channel)
            found = data.find(MAGIC, at + 1)
            # A magic number may begin in the last three bytes.
            next_at = found if found >= 0 else len(data) - len(MAGIC) + 1
            self._skipped += next_at - at
            at = next_at
        self._waiting = data[at:]
        return spikes

    def end(self) -> None:
        """The connection has ended: what waits for the rest of its record is counted."""
        if self._waiting:
            self._tally.garbled["connection ended within a record"] += 1
            self._skipped += RECORD.size
            self._waiting = b""
        self._end_skip()

    def _count(self, magic: bytes, channel: int | None) -> None:
        what = "record" if magic != MAGIC else "channel" if channel is None else "unit"
        reason = {"record": "no spike record", "channel": "channel is unknown", "unit": "unit is unknown"}
        self._tally.garbled[reason[what]] += 1

    def _end_skip(self) -> None:
        self._tally.lost_spikes += round(self._skipped / RECORD.size)
        self._skipped = 0
