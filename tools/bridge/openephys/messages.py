"""One message of the ZMQ Interface plugin (0.3 and later, of the GUI 0.6 and later): three frames.

The first is a word for subscribers, the second a JSON header with a running number, the third binary: float32
samples of one channel, the waveform of a spike, or the bytes of an event.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgspec
import numpy as np

from rtdecode.kernels.arrays import F4

#: Largest sample number that is believed: 9,000 years at 30 kHz; and the largest unit, an int32.
MOST_SAMPLES, MOST_UNITS = 2**53, 2**31


class GarbledError(Exception):
    """A message that cannot be read; its text is the reason."""


class SpikeMessage(NamedTuple):
    """A spike of a named electrode; `sample` is that of its peak."""

    number: int
    sample: int
    electrode: str
    unit: int


class DataMessage(NamedTuple):
    """Samples of one channel, `sample` being the number of the first."""

    number: int
    sample: int
    channel: int
    rate_hz: float
    values: F4


class OtherMessage(NamedTuple):
    """A message that is neither, such as a TTL event."""

    number: int


Message = SpikeMessage | DataMessage | OtherMessage


class _Spike(msgspec.Struct):
    sample_num: int
    electrode: str
    sorted_id: int = 0


class _Content(msgspec.Struct):
    sample_num: int = -1
    channel_num: int = -1
    num_samples: int = -1
    sample_rate: float = 0.0


class _Header(msgspec.Struct):
    message_num: int
    type: str
    content: _Content | None = None
    spike: _Spike | None = None


_DECODE = msgspec.json.Decoder(_Header).decode


def read_message(frames: Sequence[bytes]) -> Message:
    """The message in the frames of one ZeroMQ message.

    Raises:
        GarbledError: it is none; the text is the reason.
    """
    if len(frames) < 2:
        raise GarbledError("frames are missing")
    try:
        header = _DECODE(frames[1])
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise GarbledError("header cannot be read") from None
    if header.message_num < 1:
        raise GarbledError("message number is impossible")
    if header.type == "spike":
        return _read_spike(header)
    if header.type == "data":
        return _read_data(header, frames)
    return OtherMessage(header.message_num)


def _read_spike(header: _Header) -> SpikeMessage | OtherMessage:
    spike = header.spike
    if spike is None or not (0 <= spike.sample_num < MOST_SAMPLES and 0 <= spike.sorted_id < MOST_UNITS):
        raise GarbledError("spike cannot be read")
    return SpikeMessage(header.message_num, spike.sample_num, spike.electrode, spike.sorted_id)


def _read_data(header: _Header, frames: Sequence[bytes]) -> DataMessage:
    content = header.content
    if content is None or not (0 <= content.sample_num < MOST_SAMPLES and content.channel_num >= 0):
        raise GarbledError("data cannot be read")
    if len(frames) < 3 or content.num_samples < 1 or len(frames[2]) != 4 * content.num_samples:
        raise GarbledError("data are of another length")
    values = np.frombuffer(frames[2], "<f4")
    return DataMessage(
        header.message_num, content.sample_num, content.channel_num, content.sample_rate, values
    )
