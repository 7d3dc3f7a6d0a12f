"""A counts stream as the loop uses it (`feed.py`)."""

from __future__ import annotations

import math

import numpy as np

from rtdecode.binning import FUTURE_TOLERANCE_S, Binning, BinRing, CountBinning, SampleColumns
from rtdecode.ingest.connection.inlet import MAX_PULL, Inlet
from rtdecode.ingest.signals.events import EventRules
from rtdecode.ingest.signals.fitness import Fitness, as_whole
from rtdecode.ingest.signals.layouts import Layout
from rtdecode.ingest.signals.timing import RegularTiming
from rtdecode.kernels import sequence
from rtdecode.kernels.arrays import F8, I4, I8, U1


class CountFeed:
    """The `counts` layout: one column of counts per channel at a regular rate, stamped at the end.

    Args and attributes as in `EventFeed`; `columns.number` numbers samples from the anchor, and `end_s`
    holds the end of each sample's interval, estimated from the stamps.

    Attributes:
        fitness: whether its samples can be counts.
        timing: of its samples.
    """

    layout = Layout.COUNTS

    def __init__(self, inlet: Inlet, ring: BinRing, *, rules: EventRules, counters: I8) -> None:
        self.inlet, self.ring, self._carry, self._counters = inlet, ring, rules.carry_late, counters
        self.period_s = 1.0 / inlet.stream.rate_hz
        self.binning: CountBinning | None = None
        self.columns = SampleColumns(
            inlet.time,
            counts=np.zeros((MAX_PULL, ring.n_channels), np.uint8),
            number=np.zeros(MAX_PULL, np.int64),
            accepted=np.zeros(MAX_PULL, np.uint8),
            lost_before=np.zeros(MAX_PULL, np.uint32),
        )
        self._rows: I4 = np.zeros((MAX_PULL, ring.n_channels), np.int32)
        self.end_s: F8 = np.zeros(MAX_PULL)
        self.fitness, self.timing = Fitness(self.period_s), RegularTiming(self.period_s)

    def read(self, n: int, possible: U1) -> None:
        """Check and number the `n` samples of the last pull.

        Args:
            n: number of samples.
            possible: u1[>=n]; a sample whose stamp is not possible is numbered by its order, and left out.
        """
        rows, columns = self.inlet.samples, self.columns
        if rows.dtype != np.int32:
            as_whole(rows[:n], self._rows[:n])
            rows = self._rows
        self.fitness.values(rows[:n])
        self.fitness.stamps(columns.time[:n][possible[:n] != 0])
        timing = self.timing
        if not timing.begun(columns.time, possible, n):
            columns.accepted[:n] = 0
            self._counters[sequence.RECEIVED] += n
            return
        sequence.check_counts(
            rows, n, possible, timing.timing, timing.state, *columns, self.end_s, self._counters
        )
        timing.measure()
        self._tell_edges()

    def _tell_edges(self) -> None:
        if self.binning is not None:
            self.binning.last = self.timing.last
            self.binning.end_s, self.binning.jitter_s, self.binning.true_period_s, _ = (
                self.timing.timing.tolist()
            )

    def n_accepted(self, n: int) -> int:
        """Number of samples of the last pull that may be binned."""
        return int(np.count_nonzero(self.columns.accepted[:n]))

    def tally(self, n: int) -> None:
        """Nothing is counted beside the samples themselves."""

    @property
    def unfit(self) -> str:
        """Why nothing is decoded of what it sends, "" while all is."""
        return self.fitness.unfit

    def restart(self) -> None:
        """The stamps have moved: number samples from the next one with a possible stamp."""
        self.timing.restart()
        self.fitness.restart()
        # The edges until then are those of before, which later samples no longer move.
        self.binning = None

    def first_bin_start(self, n: int, earliest: float, latest: float) -> float | None:
        """Start of the first sample's interval, among stamps in [earliest, latest]; or None."""
        time = self.columns.time[:n]
        known = self.columns.accepted[:n] != 0
        usable = time[known & (time - self.period_s >= earliest) & (time <= latest + FUTURE_TOLERANCE_S)]
        return float(usable[0]) - self.period_s if len(usable) else None

    def anchor(self, origin_s: float, n: int) -> CountBinning:
        """Start bin 0 with the first sample of the last pull whose interval begins at `origin_s`.

        Half a sample of slack: edges follow the stamps, not our clock, and stamps jitter.
        """
        begins = self.columns.time[:n] - self.period_s >= origin_s - 0.5 * self.period_s
        begins &= self.columns.accepted[:n] != 0
        return self._start(int(self.columns.number[np.argmax(begins)]), 0, n)

    def resume(self, before: Binning, n: int) -> Binning | None:
        """Continue after an outage: the sample after the last one pulled opens the next bin.

        The open bin, which is not decoded, ends where that sample begins.

        Returns:
            The edges of the bins; None before a sample has a possible stamp: pull again.
        """
        if not n or not self.timing.started:
            return None
        b = self.ring.open_bin
        following, begins_s = self.timing.last + 1, self.timing.end_s
        # Half a sample beyond what was published last: the edges may still move by the stamps' jitter.
        behind = (before.bin_end_s(b - 1) - begins_s) / self.timing.true_period_s + 0.5
        return self._start(following + max(0, math.ceil(behind)), b + 1, n)

    def _start(self, index: int, first_bin: int, n: int) -> CountBinning:
        """Number samples again, so that sample `index` becomes 0 and opens `first_bin`."""
        self.columns.number[:n] -= index
        self.timing.renumber(index)
        self.binning = CountBinning(self.ring, self.period_s, anchor_bin=first_bin, carry=self._carry)
        self._tell_edges()
        return self.binning

    def add(self, first: int, n: int, now: float) -> int:
        """Bin samples `first … n-1` of the last pull; returns as `EventBinning.add`."""
        assert self.binning is not None
        return self.binning.add(self.columns, n, now, first)
