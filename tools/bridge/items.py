"""What a vendor's protocol says, in the terms that all bridges share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import numpy.typing as npt


class Spike(NamedTuple):
    """A spike: number of its sample, channel from 0, unit (0: unsorted)."""

    sample: int
    channel: int
    unit: int


class Block(NamedTuple):
    """Continuous data [n, channels], in the format's dtype; `sample` is the number of its last row."""

    sample: int
    values: npt.NDArray[Any]


class Tick(NamedTuple):
    """A sample of which only the number is known."""

    sample: int


class Restart(NamedTuple):
    """The system counts anew: sample numbers before and after it have nothing in common."""


Item = Spike | Block | Tick | Restart


class Stamped(NamedTuple):
    """An item, the LSL time at which it was acquired, and the spikes that were lost by the time it came."""

    item: Spike | Block
    stamp: float
    lost: int


@dataclass
class Tally:
    """What was lost on the way here.

    Attributes:
        lost_spikes: that were sent, by the system's own counters, or were in what could not be read.
        lost_samples: samples of continuous data that never came.
        garbled: frames and records that could not be read, by reason.
    """

    lost_spikes: int = 0
    lost_samples: int = 0
    garbled: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True)
class ContinuousFormat:
    """Format of continuous data.

    Attributes:
        rate_hz: sampling rate.
        dtype: pylsl's name of the values' format.
        labels: of the channels.
        unit: of the values.
    """

    rate_hz: float
    dtype: str
    labels: tuple[str, ...]
    unit: str


class Source(Protocol):
    """A connection to an acquisition system, which it makes again when it is lost.

    Attributes:
        n_channels: of spikes, None until they are known and where there are none, then the same for good.
        rate_hz: sampling rate, likewise.
        continuous: format of the continuous data, None until it is known or where none are asked for.
        tally: what was lost.
    """

    n_channels: int | None
    rate_hz: float | None
    continuous: ContinuousFormat | None
    tally: Tally

    @property
    def state(self) -> str:
        """What the connection is doing, for the status line."""

    def poll(self, timeout_s: float) -> Sequence[tuple[float, Sequence[Item]]]:
        """Wait for data, or to connect, at most `timeout_s`; returns what arrived, with its LSL time."""

    def close(self) -> None:
        """End the connection."""
