"""Messages sent and received over ZeroMQ (docs/messages.md).

A subscriber needs only pyzmq and msgpack:

    topic, payload = socket.recv_multipart()
    message = msgpack.unpackb(payload)
"""

from __future__ import annotations

from enum import IntFlag
from typing import Any

import msgspec

CURSOR_TOPIC = b"cursor"
STATUS_TOPIC = b"status"
SPIKES_TOPIC = b"spikes"

#: Where a daemon listens by default.
CURSOR_ENDPOINT = "tcp://127.0.0.1:5556"
CONTROL_ENDPOINT = "tcp://127.0.0.1:5557"

MESSAGE_VERSION = 1


class Flag(IntFlag):
    """Bits of `flags` in a cursor message and in /decoded/flags."""

    STALE = 1
    CATCH_UP = 2
    GAP = 4
    SWAPPED = 8
    FAILSAFE = 16
    PAUSED = 32
    PARTIAL = 64


def flag_names(flags: int) -> list[str]:
    """The names of the bits set in `flags`, lowest first."""
    return [flag.name for flag in Flag if flags & flag and flag.name]


class Cursor(msgspec.Struct):
    """One decoded bin. Times are seconds on the LSL clock of the daemon's machine.

    `t_bin` is the end of the bin, `t_close` the time of its completion, `t_pub` that of the publication;
    `n`, `late` and `lost` count this bin's spikes, the events that arrived after their bin had closed, and
    those that never arrived. `out` is the output stage's cursor, left out without such a stage.
    """

    v: int
    seq: int
    bin: int
    t_bin: float
    t_close: float
    t_pub: float
    value: list[float]
    n: int
    late: int
    lost: int
    flags: int
    model: str
    out: list[float] | msgspec.UnsetType = msgspec.UNSET


class Spikes(msgspec.Struct):
    """The spikes of `n_bins` closed bins, `bin` the first; zero counts are left out.

    Spike count i is `count[i]` in bin `bin + offset[i]` and channel `channel[i]`.

    Attributes:
        n_channels: of the model.
        offset, count: u1[k].
        channel: u2[k], little-endian.
    """

    v: int
    bin: int
    n_bins: int
    n_channels: int
    offset: bytes
    channel: bytes
    count: bytes


class RequestError(ValueError):
    """An invalid control request; the text is returned to the sender."""


def decode_request(frames: list[bytes]) -> tuple[dict[str, Any], bool]:
    """Read one control request.

    Args:
        frames: the message's frames; a request has one.

    Returns:
        The map, and whether it is JSON (the reply has the same encoding).

    Raises:
        RequestError: with the reason, to be sent in JSON.
    """
    if len(frames) != 1:
        raise RequestError(f"a request has one frame, this one {len(frames)}")
    data = frames[0]
    is_json = data.lstrip()[:1] in (b"{", b"[", b'"')
    try:
        # Both decoders raise DecodeError; a msgpack map key or nested text may also be bad UTF-8.
        request = msgspec.json.decode(data) if is_json else msgspec.msgpack.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, ValueError, RecursionError) as error:
        raise RequestError(f"the request is neither a msgpack nor a JSON map: {error}") from None
    if not isinstance(request, dict) or not isinstance(request.get("cmd"), str):
        raise RequestError('a request is a map with a text "cmd", such as {"cmd": "status"}')
    return request, is_json


def encode_reply(reply: dict[str, Any], *, as_json: bool) -> bytes:
    """The reply in the request's own encoding."""
    return msgspec.json.encode(reply) if as_json else msgspec.msgpack.encode(reply)
