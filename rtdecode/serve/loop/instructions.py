"""What the core of the loop wants done, to be carried out in the order given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rtdecode.binning import ClosedBin
from rtdecode.ingest.feed import Feed


@dataclass(frozen=True, slots=True)
class Warm:
    """Step the decoder with a bin of backlog, and publish nothing."""

    closed: ClosedBin


@dataclass(frozen=True, slots=True)
class Publish:
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
class ResetDecoder:
    """Reset the decoder before `bin`."""

    bin: int
    reason: str


@dataclass(frozen=True, slots=True)
class Record:
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
class Log:
    """Add an entry to /log; the caller adds the model to an entry of the start."""

    kind: str
    bin: int
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Notice:
    """Print a line about the stream."""

    text: str


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
    | ResetDecoder
    | Record
    | NumberSamples
    | Log
    | Notice
    | Search
    | StopSearch
    | Dispose
)
