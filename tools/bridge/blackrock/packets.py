"""Packets of Blackrock's protocols 3.11, 4.0, and 4.1 and later, several to a datagram.

A packet is a header, little-endian, and `dlen` words of 4 bytes. Channels from 1 are inputs and
outputs, whose `type` is the unit of a spike; channel 0 has continuous data, whose `type` is a sample group;
from 0x8000 on it is the system that speaks.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from statistics import median_low
from types import MappingProxyType
from typing import NamedTuple

#: Headers: time, channel, type, `dlen`, and of the later ones the instrument and what is reserved.
HEADERS: Mapping[str, struct.Struct] = MappingProxyType(
    {"3.11": struct.Struct("<IHBB"), "4.0": struct.Struct("<QHBHBH"), "4.1": struct.Struct("<QHHHBB")}
)

#: Times of 32 bits wrap around, after 40 hours.
HALF, WHOLE = 2**31, 2**32

#: Largest packet, and the largest channel and type that are believed.
MOST_BYTES, MOST_CHANNELS, MOST_TYPES = 1024, 768, 0xFF

SYSTEM, MOST_SYSTEM = 0x8000, 0x8FFF

#: Types of the system's packets, and units of a spike: 0 unclassified, 255 noise.
HEARTBEAT, MONITOR, PROCESSOR, REQUEST = 0x00, 0x01, 0x21, 0x88
UNITS = frozenset((0, 1, 2, 3, 4, 5, 255))

#: Types of channel 0.
GROUPS = range(1, 9)

#: What a monitor says, with its number since 4.1, and what a processor says of itself.
MONITOR_BODY, NUMBERED_BODY, IDENTITY_BODY = (
    struct.Struct("<I"),
    struct.Struct("<II"),
    struct.Struct("<8x64s"),
)


class Packet(NamedTuple):
    """A packet: its time in the device's units, channel, type, and what follows the header."""

    time: int
    channel: int
    type: int
    body: bytes


def read_packets(
    datagram: bytes, header: struct.Struct, spread: float, near: int | None = None
) -> tuple[list[Packet], list[str]]:
    """The packets of a datagram that can be believed.

    Args:
        datagram: as it was received.
        header: of the protocol.
        spread: largest difference of times in it, in the device's units.
        near: a time shortly before, which times of 32 bits continue, and by which all are judged if one is
            near it.

    Returns:
        The packets, and why others cannot be believed. What follows a header that is none is not read.
    """
    packets, reasons, at = [], [], 0
    while at < len(datagram):
        if len(datagram) - at < header.size:
            reasons.append("datagram ends within a packet")
            break
        time, channel, kind, n_words, *_ = header.unpack_from(datagram, at)
        end = at + header.size + 4 * n_words
        if end - at > MOST_BYTES:
            reasons.append("packet is too long")
            break
        if end > len(datagram):
            reasons.append("datagram ends within a packet")
            break
        if near is not None and header is HEADERS["3.11"]:
            time = near + (time - near + HALF) % WHOLE - HALF
        if _is_possible(channel, kind):
            packets.append(Packet(time, channel, kind, datagram[at + header.size : end]))
        else:
            reasons.append("channel or type is impossible")
        at = end
    times = [packet.time for packet in packets if packet.channel < SYSTEM]
    if not times:
        return packets, reasons
    if near is None or all(abs(time - near) > spread for time in times):
        near = median_low(times)
    kept = [each for each in packets if each.channel >= SYSTEM or abs(each.time - near) <= spread]
    return kept, reasons + ["time is unlike those beside it"] * (len(packets) - len(kept))


def _is_possible(channel: int, kind: int) -> bool:
    if channel == 0:
        return kind in GROUPS
    return kind <= MOST_TYPES and (channel <= MOST_CHANNELS or SYSTEM <= channel <= MOST_SYSTEM)


def request_settings(header: struct.Struct) -> bytes:
    """The datagram that asks a device for all its settings; it changes none."""
    begin = struct.Struct(header.format[:5])
    return begin.pack(1, SYSTEM, REQUEST, 0).ljust(header.size, b"\0")


def read_monitor(packet: Packet) -> tuple[int, int | None] | None:
    """How many packets were sent since the monitor before, with itself, and its number if it has one."""
    if packet.channel != SYSTEM or packet.type != MONITOR or len(packet.body) < MONITOR_BODY.size:
        return None
    if len(packet.body) >= NUMBERED_BODY.size:
        sent, number = NUMBERED_BODY.unpack_from(packet.body)
        return sent, number
    return MONITOR_BODY.unpack_from(packet.body)[0], None


def read_identity(packet: Packet) -> str | None:
    """What a processor is called."""
    if packet.channel != SYSTEM or packet.type != PROCESSOR or len(packet.body) < IDENTITY_BODY.size:
        return None
    name: bytes = IDENTITY_BODY.unpack_from(packet.body)[0]
    return name.partition(b"\0")[0].decode("latin-1")
