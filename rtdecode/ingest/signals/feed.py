"""A stream as the loop uses it: pull, check, bin; a class for each kind of signal.

A feed owns its sequence numbers and the edges of its bins. It reads what was pulled into the arrays of its
inlet, and adds it to the ring in as many pieces as the ring takes:

    feed.read(n, possible)
    at = 0
    while at < n:
        at = feed.add(at, n, now)
        ...  # take the closed bins
"""

from __future__ import annotations

from typing import Protocol

from rtdecode.binning import BinRing
from rtdecode.ingest.connection.inlet import Inlet
from rtdecode.ingest.signals.broadband import BroadbandFeed
from rtdecode.ingest.signals.counts import CountFeed, SampleFeed
from rtdecode.ingest.signals.events import EventFeed, EventRules
from rtdecode.ingest.signals.features import FeatureFeed
from rtdecode.ingest.signals.layouts import Layout
from rtdecode.ingest.signals.raster import RasterFeed
from rtdecode.ingest.signals.timed.counts import TimedCountsFeed
from rtdecode.ingest.signals.timed.features import TimedFeatureFeed
from rtdecode.kernels.arrays import I8

Feed = EventFeed | CountFeed | RasterFeed | BroadbandFeed | FeatureFeed | TimedCountsFeed | TimedFeatureFeed


def samples_of(feed: Feed | None) -> SampleFeed | None:
    """What numbers and judges the samples of counts or features, alone or beside others; else None."""
    return (
        feed.samples
        if isinstance(feed, TimedCountsFeed | TimedFeatureFeed)
        else (feed if isinstance(feed, SampleFeed) else None)
    )


def reading_of(feed: Feed) -> str:
    """How its rows are read: the layout, and the columns where they are not those of the layout itself."""
    if isinstance(of := samples_of(feed), FeatureFeed):
        return f"{feed.layout} ({of.columns_read})"
    if isinstance(feed, BroadbandFeed):
        power = f"; {feed.detection.power}" if feed.detection.power else ""
        return f"{feed.layout} ({feed.detection.settings}{power})"
    columns = feed.columns_read if isinstance(feed, EventFeed) else None
    return str(feed.layout) if columns is None else f"{feed.layout} ({columns})"


class MakeFeed(Protocol):
    """Makes the feed for an open stream of a layout."""

    def __call__(
        self, layout: Layout, inlet: Inlet, ring: BinRing, *, rules: EventRules, counters: I8
    ) -> Feed: ...


def make_feed(layout: Layout, inlet: Inlet, ring: BinRing, *, rules: EventRules, counters: I8) -> Feed:
    """The feed for an open stream of this layout, which is the only one."""
    if layout is Layout.COUNTS:
        return CountFeed(inlet, ring, rules=rules, counters=counters)
    if layout is Layout.FEATURES:
        return FeatureFeed(inlet, ring, rules=rules, counters=counters)
    if layout is Layout.RASTER:
        return RasterFeed(inlet, ring, rules=rules, counters=counters)
    if layout is Layout.BROADBAND:
        return BroadbandFeed(inlet, ring, rules=rules, counters=counters)
    return EventFeed(inlet, ring, rules=rules, counters=counters, layout=layout)


def make_array_feed(layout: Layout, inlet: Inlet, ring: BinRing, *, rules: EventRules, counters: I8) -> Feed:
    """The feed for an open stream of this layout, one of several arrays."""
    if layout is Layout.COUNTS:
        return TimedCountsFeed(inlet, ring, rules=rules, counters=counters)
    if layout is Layout.FEATURES:
        return TimedFeatureFeed(inlet, ring, rules=rules, counters=counters)
    return make_feed(layout, inlet, ring, rules=rules, counters=counters)
