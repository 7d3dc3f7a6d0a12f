"""A device's datagrams as spikes and ticks, what was lost counted by its own monitors."""

from __future__ import annotations

from collections.abc import Sequence

from rtdecode.tools.bridge.blackrock.losses import PacketLosses
from rtdecode.tools.bridge.blackrock.packets import (
    HEADERS,
    HEARTBEAT,
    SYSTEM,
    UNITS,
    read_identity,
    read_packets,
)
from rtdecode.tools.bridge.items import Spike, Tally, Tick

#: Units of time in a second: of a Gemini, and of the devices before it.
GEMINI_HZ, NSP_HZ = 1e9, 30_000.0

#: Largest difference of times in a datagram.
SPREAD_S = 1.0


class BlackrockStream:
    """Turns datagrams into items.

    Args:
        channels: numbers of the array's channels at the device, in their order.
        tally: where losses are counted.
        protocol: of `HEADERS`.

    Attributes:
        rate_hz: units of the device's time in a second, None until it has said what it is.
    """

    def __init__(self, channels: Sequence[int], tally: Tally, protocol: str = "4.1") -> None:
        self.rate_hz: float | None = None
        self._channels = {channel: i for i, channel in enumerate(channels)}
        self._tally, self._losses = tally, PacketLosses(tally)
        self._header = HEADERS[protocol]
        self._near: int | None = None

    def feed(self, datagram: bytes) -> list[Spike | Tick]:
        """The items of a datagram."""
        spread = SPREAD_S * (self.rate_hz or GEMINI_HZ)
        packets, reasons = read_packets(datagram, self._header, spread, self._near)
        items: list[Spike | Tick] = []
        for packet in packets:
            channel = self._channels.get(packet.channel)
            if channel is not None and packet.type not in UNITS:
                reasons.append("unit is impossible")
                continue
            # What cannot be believed has not come: the next monitor counts it.
            self._losses.add(packet)
            if channel is not None:
                items.append(Spike(packet.time, channel, packet.type))
            elif packet.channel == 0 or (packet.channel, packet.type) == (SYSTEM, HEARTBEAT):
                items.append(Tick(packet.time))
            elif identity := read_identity(packet):
                self.rate_hz = GEMINI_HZ if "gemini" in identity.lower() else NSP_HZ
            if packet.channel < SYSTEM:
                self._near = packet.time
        self._tally.garbled.update(reasons)
        return items
