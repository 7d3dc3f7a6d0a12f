"""Decode the frames of one message; an unreadable message gives a reason, not an exception."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from rtdecode.client.status import Status
from rtdecode.messages import CURSOR_TOPIC, MESSAGE_VERSION, STATUS_TOPIC, Cursor

CURSOR_DECODER = msgspec.msgpack.Decoder(Cursor)
STATUS_DECODER = msgspec.msgpack.Decoder(Status)


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A message that no daemon of this version sends, and the reason on one line."""

    reason: str


class _Versioned(msgspec.Struct):
    v: int


VERSION_DECODER = msgspec.msgpack.Decoder(_Versioned)


def read_frames(frames: Sequence[bytes]) -> Cursor | Status | Unreadable:
    """Read one message of the cursor socket.

    Args:
        frames: topic and msgpack map, as ZeroMQ delivers them.

    Returns:
        The message, or why it is unreadable: the number of frames, an unknown topic, another map, a later
        version, or NaN or infinite values.
    """
    if len(frames) != 2:
        return Unreadable(f"a message has two frames, this one {len(frames)}")
    topic, payload = frames
    message: Cursor | Status
    try:
        if topic == CURSOR_TOPIC:
            message = CURSOR_DECODER.decode(payload)
        elif topic == STATUS_TOPIC:
            message = STATUS_DECODER.decode(payload)
        else:
            return Unreadable(f"unknown topic {topic[:40]!r}")
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        return Unreadable(_newer(payload) or f"not a {topic.decode()} message: {error}")
    if message.v > MESSAGE_VERSION:
        return Unreadable(_newer_version(message.v))
    if isinstance(message, Cursor):
        out = [] if isinstance(message.out, msgspec.UnsetType) else message.out
        if not all(map(math.isfinite, (message.t_pub, *message.value, *out))):
            return Unreadable("a cursor has NaN or infinite values")
    return message


def _newer(payload: bytes) -> str:
    """The reason, if an unreadable message is of a later version; else empty."""
    try:
        version = VERSION_DECODER.decode(payload).v
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return ""
    return _newer_version(version) if version > MESSAGE_VERSION else ""


def _newer_version(version: int) -> str:
    return f"its version is {version}, and this client reads {MESSAGE_VERSION}: upgrade rtdecode here"
