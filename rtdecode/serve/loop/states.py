"""The states of the loop, as values: only what a state has can be asked of it."""

from __future__ import annotations

from dataclasses import dataclass

from rtdecode.binning import Binning
from rtdecode.ingest.clock.judge import ClockJudge
from rtdecode.ingest.signals.feed import Feed


@dataclass(frozen=True, slots=True)
class Link:
    """An attached source.

    Attributes:
        feed: its samples.
        judge: of its stamps.
    """

    feed: Feed
    judge: ClockJudge


@dataclass(frozen=True, slots=True)
class Waiting:
    """No source was attached yet; there are no bins."""


@dataclass(frozen=True, slots=True)
class Attaching:
    """The first source is attached; its first pull sets the first bin.

    Attributes:
        origin_s: start of bin 0 where arrays share their bins, None where this pull sets it.
    """

    link: Link
    origin_s: float | None = None


@dataclass(frozen=True, slots=True)
class Judging:
    """A source is attached, but its stamps set no bin yet, or no longer.

    Attributes:
        edges: of the bins meanwhile, by our own clock.
    """

    link: Link
    edges: Binning


@dataclass(frozen=True, slots=True)
class Running:
    """Bins are decoded.

    Attributes:
        edges: of the bins.
        decode_from: the first bin decoded after an outage, flagged GAP; -1 without one.
    """

    link: Link
    edges: Binning
    decode_from: int = -1


@dataclass(frozen=True, slots=True)
class Outage:
    """No source is attached.

    Attributes:
        edges: of the bins meanwhile, by our own clock.
    """

    edges: Binning


State = Waiting | Attaching | Judging | Running | Outage


def link_of(state: State) -> Link | None:
    """The attached source, None without one."""
    return None if isinstance(state, (Waiting, Outage)) else state.link


def edges_of(state: State) -> Binning | None:
    """The edges of the bins, None before the first."""
    return None if isinstance(state, (Waiting, Attaching)) else state.edges
