"""Ring buffers from the hot loop to the recorder thread, each with one writer and one reader.

The loop moves `head`, the recorder `tail`; both only grow, so neither needs a lock. When the
recorder falls behind (a slow disk), rows are dropped and counted, and the loop continues.
"""

from __future__ import annotations

from collections import deque

import numpy as np
import numpy.typing as npt

from rtdecode.binning import FUTURE_TOLERANCE_S, ClosedBin
from rtdecode.ingest.signals.broadband import BroadbandFeed
from rtdecode.ingest.signals.counts import CountFeed
from rtdecode.ingest.signals.crossings import Crossings
from rtdecode.ingest.signals.events import EventFeed
from rtdecode.ingest.signals.features import FeatureFeed
from rtdecode.ingest.signals.feed import Feed
from rtdecode.ingest.signals.timed.features import TimedFeatureFeed
from rtdecode.ingest.signals.timed.power import TimedPower
from rtdecode.kernels.arrays import I2
from rtdecode.kernels.recording import copy_events, count_recordable
from rtdecode.session.layout import LogEntry

EVENT_RING = 1 << 20
DECODED_RING = 4096
SAMPLE_RING = 1 << 14
FEATURE_RING = 1 << 12


class EventRing:
    """Raw events: time f8, channel u2, unit u1."""

    def __init__(self) -> None:
        # np.full writes to the memory, np.zeros only reserves it: pages would be mapped one by one while
        # decoding, and look like a leak for twenty minutes.
        self.time = np.full(EVENT_RING, 0.0)
        self.channel = np.full(EVENT_RING, 0, np.uint16)
        self.unit = np.full(EVENT_RING, 0, np.uint8)
        self.head = self.tail = self.dropped = 0

    def add(self, feed: EventFeed | Crossings, n: int, now: float, first_channel: int = 0) -> None:
        """Take those of the `n` events of the last pull that a recording keeps.

        Args:
            feed: has the events.
            n: number of them.
            now: the time, s.
            first_channel: channels before those of this array.
        """
        events, not_after_s = feed.columns, now + FUTURE_TOLERANCE_S
        recordable = count_recordable(events.time, events.accepted, n, not_after_s)
        before = self.head
        self.head = copy_events(
            events.time,
            events.channel,
            feed.unit,
            events.accepted,
            n,
            not_after_s,
            before,
            self.tail,
            self.time,
            self.channel,
            self.unit,
            first_channel,
        )
        self.dropped += recordable - (self.head - before)


class SampleRing:
    """Raw samples of a counts stream: u1[n_channels] and their row in /counts."""

    def __init__(self, n_channels: int) -> None:
        self.row = np.zeros(SAMPLE_RING, np.int64)
        self.end_s = np.zeros(SAMPLE_RING)
        self.counts = np.full((SAMPLE_RING, n_channels), 0, np.uint8)
        self.head = self.tail = self.dropped = 0
        self.t0_s: float | None = None
        self._row_of_index_0 = self._next_row = 0
        self._next_row_s = 0.0

    def begin(self, origin_s: float, period_s: float) -> None:
        """Number the next samples from `origin_s`; the first call sets row 0 of /counts.

        Args:
            origin_s: start of the interval of sample 0, s.
            period_s: true period of the source, by which the rows of an outage are counted.
        """
        if self.t0_s is None:
            self.t0_s = self._next_row_s = origin_s
        missed = round((origin_s - self._next_row_s) / period_s)
        self._row_of_index_0 = self._next_row + max(0, missed)

    def add(self, feed: CountFeed, n: int) -> None:
        """Take the samples of the last pull."""
        columns, room = feed.columns, SAMPLE_RING - (self.head - self.tail)
        accepted = np.flatnonzero(columns.accepted[:n])
        self.dropped += max(0, len(accepted) - room)
        accepted = accepted[:room]
        slots = (self.head + np.arange(len(accepted))) % SAMPLE_RING
        self.row[slots] = columns.number[accepted] + self._row_of_index_0
        self.end_s[slots] = feed.end_s[accepted]
        self.counts[slots] = columns.counts[accepted]
        if len(accepted):
            latest = accepted[np.argmax(columns.number[accepted])]
            self._next_row = int(columns.number[latest]) + self._row_of_index_0 + 1
            self._next_row_s = float(feed.end_s[latest])
        self.head += len(accepted)


class FeatureRing:
    """Raw samples of features: f4[n_features], and the end of each, NaN for one that is not recorded."""

    def __init__(self, n_features: int) -> None:
        self.end_s = np.zeros(FEATURE_RING)
        self.values = np.full((FEATURE_RING, n_features), 0, np.float32)
        self.head = self.tail = self.dropped = 0

    def add(self, feed: FeatureFeed | TimedPower, n: int | None = None) -> None:
        """Take the samples of the last pull."""
        accepted = np.flatnonzero(feed.columns.accepted[:n])
        if not len(accepted):
            return
        room = FEATURE_RING - (self.head - self.tail)
        self.dropped += max(0, len(accepted) - room)
        accepted = accepted[:room]
        slots = (self.head + np.arange(len(accepted))) % FEATURE_RING
        # What comes before the first bin is not recorded, so that the file begins with it.
        begun = feed.columns.number[accepted] >= 0
        self.end_s[slots] = np.where(begun, feed.end_s[accepted], np.nan)
        self.values[slots] = feed.values[accepted]
        self.head += len(accepted)


class DecodedRing:
    """Published bins, one row each, as in /decoded."""

    def __init__(self, n_channels: int, n_outputs: int, n_axes: int, n_features: int = 0) -> None:
        self.bin = np.zeros(DECODED_RING, np.int64)
        self.t_bin = np.zeros(DECODED_RING)
        self.values = np.zeros((DECODED_RING, n_outputs), np.float32)
        self.out = np.zeros((DECODED_RING, n_axes), np.float32)
        self.flags = np.zeros(DECODED_RING, np.uint32)
        self.model = np.zeros(DECODED_RING, np.uint8)
        self.late = np.zeros(DECODED_RING, np.uint16)
        self.lost = np.zeros(DECODED_RING, np.uint32)
        self.counts = np.full((DECODED_RING, n_channels), 0, np.uint8)
        self.codes = np.full((DECODED_RING, n_features), 0, np.int8)
        self.head = self.tail = self.dropped = 0

    def add(
        self,
        closed: ClosedBin,
        t_bin: float,
        values: npt.NDArray[np.float32],
        out: npt.NDArray[np.float32] | None,
        flags: int,
        model: int,
        codes: I2 | None = None,
    ) -> None:
        """Take one published bin; `out` None without an output stage, `codes` without features."""
        if self.head - self.tail >= DECODED_RING:
            self.dropped += 1
            return
        slot = self.head % DECODED_RING
        self.bin[slot] = closed.bin
        self.t_bin[slot] = t_bin
        self.values[slot] = values
        if out is not None:
            self.out[slot] = out
        self.flags[slot] = flags
        self.model[slot] = model
        self.late[slot] = min(closed.late, 65535)
        self.lost[slot] = closed.lost
        self.counts[slot] = closed.counts
        if codes is not None:
            self.codes[slot] = codes
        self.head += 1


class RecordBuffers:
    """The buffers of one recording.

    Args:
        n_channels, n_outputs: of the model; n_outputs 0 for a recording without decoder.
        n_axes: of the output stage; 0 without one.
        n_features: that are recorded, and decoded if anything is.
        n_power: that are recorded where none are decoded.

    Attributes:
        log: entries for /log, in order.
        models: model_id of every model that has decoded so far; `model` of a row is an index into them.
    """

    def __init__(
        self, n_channels: int, n_outputs: int, n_axes: int = 0, n_features: int = 0, n_power: int = 0
    ) -> None:
        self.events = EventRing()
        self.samples = SampleRing(n_channels)
        self.features = FeatureRing(n_features or n_power)
        self.decoded = DecodedRing(n_channels, n_outputs, n_axes, n_features)
        self.log: deque[LogEntry] = deque()
        self.models: list[str] = []

    def add_samples(self, feed: Feed, n: int, now: float, first_channel: int = 0) -> None:
        """Take the events or samples of the last pull; `first_channel` of an array behind others."""
        if isinstance(feed, EventFeed):
            self.events.add(feed, n, now, first_channel)
        elif isinstance(feed, FeatureFeed | TimedFeatureFeed):
            self.features.add(feed.samples if isinstance(feed, TimedFeatureFeed) else feed, n)
        elif isinstance(feed, CountFeed):
            self.samples.add(feed, n)
        else:
            self.events.add(feed.crossings, feed.crossings.n, now, first_channel)
            if isinstance(feed, BroadbandFeed) and feed.power is not None:
                self.features.add(feed.power)

    @property
    def next_bin(self) -> int:
        """Number of the bin after the last one recorded."""
        ring = self.decoded
        return int(ring.bin[(ring.head - 1) % DECODED_RING]) + 1 if ring.head else 0

    @property
    def dropped(self) -> int:
        """Number of rows lost because the recorder could not keep up."""
        return sum(ring.dropped for ring in (self.events, self.samples, self.features, self.decoded))
