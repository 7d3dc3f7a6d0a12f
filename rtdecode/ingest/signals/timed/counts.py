"""Counts of one of several arrays as the loop uses them (`feed.py`): put into bins by their time.

The bins of several arrays have their edges in common, so a source of counts cannot set them. A count is
as many events in the middle of its interval, for the bins and for the recording.
"""

from __future__ import annotations

import numpy as np

from rtdecode.binning import Binning, BinRing, EventBinning
from rtdecode.ingest.connection.inlet import Inlet
from rtdecode.ingest.signals.counts import CountFeed
from rtdecode.ingest.signals.crossings import Crossings
from rtdecode.ingest.signals.events import EventRules
from rtdecode.ingest.signals.layouts import Layout
from rtdecode.ingest.signals.timing import next_sample_end_s
from rtdecode.kernels.arrays import I4, I8, U1


class TimedCountsFeed:
    """The `counts` layout beside other arrays.

    Args and attributes as in `CountFeed`.

    Attributes:
        samples: numbered, timed and judged as those of a stream alone.
        crossings: events of the last pull.
    """

    layout = Layout.COUNTS

    def __init__(self, inlet: Inlet, ring: BinRing, *, rules: EventRules, counters: I8) -> None:
        self.samples = CountFeed(inlet, ring, rules=rules, counters=counters)
        self.inlet, self.ring = inlet, ring
        self.columns, self.period_s = self.samples.columns, self.samples.period_s
        self.fitness, self.timing = self.samples.fitness, self.samples.timing
        self.crossings = Crossings(ring, counters, carry=rules.carry_late)

    def read(self, n: int, possible: U1) -> None:
        """Check and number the `n` samples of the last pull, and place their counts in time."""
        self.crossings.clear()
        self.samples.read(n, possible)
        columns = self.columns
        counts = columns.counts[:n] * columns.accepted[:n, np.newaxis]
        row, channel = np.nonzero(counts)
        of_each = counts[row, channel]
        sample = np.repeat(row, of_each)
        middle_s = self.samples.end_s - 0.5 * self.timing.true_period_s
        channels: I4 = np.repeat(channel.astype(np.int32), of_each)
        self.crossings.take(sample, channels, columns.accepted, middle_s, columns, n)

    @property
    def unfit(self) -> str:
        """Why nothing is decoded of what it sends, "" while all is."""
        return self.fitness.unfit

    def n_accepted(self, n: int) -> int:
        """Number of samples of the last pull that may be binned."""
        return self.samples.n_accepted(n)

    def tally(self, n: int) -> None:
        """Nothing is counted beside the samples themselves."""

    def restart(self) -> None:
        """The stamps have moved: number samples from the next one with a possible stamp."""
        self.samples.restart()

    def first_bin_start(self, n: int, earliest: float, latest: float) -> float | None:
        """Start of the first sample's interval, among stamps in [earliest, latest]; or None."""
        return self.samples.first_bin_start(n, earliest, latest)

    @property
    def binning(self) -> EventBinning | None:
        """Sets the edges of the bins, None until anchored."""
        return self.crossings.binning

    def anchor(self, origin_s: float, n: int) -> EventBinning:
        """Start bin 0 at `origin_s`; what was before it is discarded."""
        return self._trailing(self.crossings.anchor(origin_s))

    def resume(self, before: Binning, n: int) -> Binning | None:
        """Continue after an outage with the bin edges of `before`, from the first bin that is complete."""
        return self._trailing(self.crossings.resume(before))

    def _trailing(self, binning: EventBinning) -> EventBinning:
        # A sample arrives at its end, half its interval after the middle by which it belongs to a bin.
        binning.trailing_s = 0.5 * self.period_s
        return binning

    def add(self, first: int, n: int, now: float) -> int:
        """Bin the counts of the last pull; returns as `Crossings.add`."""
        return self.crossings.add(n, now, next_sample_end_s(self.timing))
