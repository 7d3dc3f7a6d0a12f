"""Raw voltage as the loop uses it (`feed.py`): spikes are detected in it, each an event."""

from __future__ import annotations

import math

import numpy as np

from rtdecode.binning import Binning, BinRing, EventBinning
from rtdecode.detection.live import LiveDetector, LiveFound, nothing_in
from rtdecode.detection.settings import listed
from rtdecode.ingest.connection.inlet import CORRECTION_JUMP_S, MAX_PULL, Inlet
from rtdecode.ingest.signals.crossings import Crossings, sample_columns
from rtdecode.ingest.signals.events import EventRules, oldest_accepted
from rtdecode.ingest.signals.layouts import Layout
from rtdecode.ingest.signals.numbering import channels_of_columns
from rtdecode.ingest.signals.timed.power import TimedPower
from rtdecode.ingest.signals.timing import RegularTiming
from rtdecode.kernels import sequence
from rtdecode.kernels.arrays import I4, I8, U1
from rtdecode.kernels.broadband import START_JITTER_S, place_samples

#: Samples are gathered for so long, unless a bin ends before.
GATHER_S = 0.005

#: Fraction of a channel's samples.
MUCH_UNKNOWN = 0.01


class BroadbandFeed:
    """The `broadband` layout: each spike in a column is an event, at the time of its sample.

    Args and attributes as in `RasterFeed`.

    Attributes:
        detection: of the source, by `rules`.
        power: of the stream, None without.
    """

    layout = Layout.BROADBAND

    def __init__(self, inlet: Inlet, ring: BinRing, *, rules: EventRules, counters: I8) -> None:
        self.inlet, self.ring, self._counters = inlet, ring, counters
        stream, self.detection = inlet.stream, rules.detection
        self.timing = RegularTiming(1.0 / stream.rate_hz)
        self.crossings = Crossings(ring, counters, carry=rules.carry_late)
        self.columns = sample_columns(inlet)
        self._channels: I4 = np.array(channels_of_columns(stream, rules.numbering.channel_map), np.int32)
        self._end_s, self._added_s = np.zeros(MAX_PULL), 0.0
        self._detector = LiveDetector(rules.detection, stream.n_columns, stream.rate_hz)
        of_power = rules.detection.power
        self.power = None if of_power is None else TimedPower(stream, self.crossings, ring, of_power, rules)

    def read(self, n: int, possible: U1) -> None:
        """Number the `n` samples of the last pull; find the spikes in those with a `possible` stamp (u1)."""
        columns, timing = self.columns, self.timing
        self.crossings.clear()
        moved_s, self._added_s = self.inlet.added_s - self._added_s, self.inlet.added_s
        if timing.started and abs(moved_s) < CORRECTION_JUMP_S:
            # By half a sample and more, which is no loss; the loop knows of what is more.
            timing.timing[sequence.END] += moved_s
        if not timing.started:
            if not timing.begun(columns.time, possible, n):
                columns.accepted[:n] = 0
                self._counters[sequence.RECEIVED] += n
                self._take_power(nothing_in(self.inlet.stream.n_columns), possible)
                return
            timing.timing[sequence.JITTER] = START_JITTER_S
        place_samples(
            columns.time, n, possible, timing.timing, timing.state, columns.number, columns.accepted,
            columns.lost_before, self._end_s, self._counters,
        )  # fmt: skip
        timing.measure()
        found = self._detector.process(self.inlet.samples[:n], columns.lost_before[:n])
        self.crossings.take(found.row, self._channels[found.column], possible, self._end_s, columns, n)
        self._take_power(found, possible)
        self.inlet.at_least = self._until_bin_ends()

    def _take_power(self, found: LiveFound, possible: U1) -> None:
        if self.power is not None:
            self.power.take(found, possible, self._end_s, self.timing.true_period_s)

    def _until_bin_ends(self) -> int:
        """Number of samples until the next bin is complete, or of GATHER_S."""
        left_s, end_s, binning = GATHER_S, self.timing.end_s, self.binning
        if binning is not None:
            left_s = min(left_s, binning.complete_at_s(binning.bin_at(end_s - binning.trailing_s)) - end_s)
        return max(1, math.ceil(left_s / self.timing.true_period_s))

    @property
    def unfit(self) -> str:
        """Why nothing is decoded of what it sends, "" while spikes are detected."""
        return self._detector.unfit

    @property
    def unknown(self) -> str:
        """Channels with many unknown samples, "" if none has."""
        many = np.flatnonzero(self._detector.part_unknown > MUCH_UNKNOWN)
        return listed(many) if many.size else ""

    def n_accepted(self, n: int) -> int:
        """Number of events in the last pull."""
        return self.crossings.n

    def tally(self, n: int) -> None:
        """Nothing is counted beside the events themselves."""

    def restart(self) -> None:
        """The stamps have moved: number samples from the next one with a possible stamp."""
        self.timing.restart()

    def first_bin_start(self, n: int, earliest: float, latest: float) -> float | None:
        """Stamp of the oldest sample pulled that is in [earliest, latest], or None."""
        return oldest_accepted(self.columns.time[:n], self.columns.accepted[:n], earliest, latest)

    @property
    def binning(self) -> EventBinning | None:
        """Sets the edges of the bins, None until anchored."""
        return self.crossings.binning

    def anchor(self, origin_s: float, n: int) -> EventBinning:
        """Start bin 0 at `origin_s`; events before it are discarded."""
        return self._follow(self.crossings.anchor(origin_s))

    def resume(self, before: Binning, n: int) -> Binning | None:
        """Continue after an outage with the bin edges of `before`, from the first bin that is complete."""
        return self._follow(self.crossings.resume(before))

    def _follow(self, binning: EventBinning) -> EventBinning:
        return binning if self.power is None else self.power.follow(binning)

    def add(self, first: int, n: int, now: float) -> int:
        """Bin the events and the power of the last pull; returns as `Crossings.add`."""
        if self.power is not None and self.ring.n_features:
            return self.power.add(n, now, self.timing.end_s)
        return self.crossings.add(n, now, self.timing.end_s)
