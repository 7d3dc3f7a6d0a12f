"""What the core of the loop wants done, to be carried out in the order given."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from rtdecode.binning import ClosedBin
from rtdecode.ingest.signals.feed import Feed


@dataclass(frozen=True, slots=True)
class Warm:
    """Step the decoder with a bin of backlog, and publish nothing."""

    closed: ClosedBin


class Publish(NamedTuple):
    """Publish a bin.

    Attributes:
        closed: valid until the next instruction.
        t_bin: its end, s.
        now: when it was closed, s.
        flags: of the bin, without those of the decoder.
        decoded: whether the decoder steps it; else the last value is held.
    """

    closed: ClosedBin
    t_bin: float
    now: float
    flags: int
    decoded: bool


@dataclass(frozen=True, slots=True)
class Started:
    """The first bin that is published is `bin`; bin 0 begins at `origin_s`."""

    bin: int
    origin_s: float


@dataclass(frozen=True, slots=True)
class BrokeOff:
    """From `bin` on nothing is decoded."""

    bin: int
    reason: str


@dataclass(frozen=True, slots=True)
class Resumed:
    """From `bin` on, which begins at `origin_s`, the decoder, reset, decodes again."""

    bin: int
    origin_s: float


@dataclass(frozen=True, slots=True)
class Held:
    """From `bin` on values are held on request, or no longer."""

    bin: int
    paused: bool


@dataclass(frozen=True, slots=True)
class Shifted:
    """Stamps of the source are shifted by `seconds` more, while nothing is decoded."""

    seconds: float


class Record(NamedTuple):
    """Record the first `n` samples of the last pull."""

    feed: Feed
    n: int
    now: float


@dataclass(frozen=True, slots=True)
class NumberSamples:
    """Number samples of a counts stream from `origin_s` on."""

    origin_s: float
    period_s: float


@dataclass(frozen=True, slots=True)
class Search:
    """Search for the stream.

    Attributes:
        replacing: its present source is silent, and only another one replaces it.
    """

    replacing: bool


@dataclass(frozen=True, slots=True)
class StopSearch:
    """The silent source sends again."""


@dataclass(frozen=True, slots=True)
class Dispose:
    """Close the inlet of a source that is gone."""

    feed: Feed


Instruction = (
    Warm
    | Publish
    | Started
    | BrokeOff
    | Resumed
    | Held
    | Shifted
    | Record
    | NumberSamples
    | Search
    | StopSearch
    | Dispose
)
