"""Regular streams whose bins follow their samples, as the loop uses them (`feed.py`); counts among them."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

import numpy as np

from rtdecode.binning import FUTURE_TOLERANCE_S, Binning, BinRing, CountBinning, SampleColumns
from rtdecode.ingest.connection.inlet import MAX_PULL, Inlet
from rtdecode.ingest.signals.events import EventRules
from rtdecode.ingest.signals.fitness import Fitness, as_whole
from rtdecode.ingest.signals.layouts import Layout
from rtdecode.ingest.signals.timing import RegularTiming
from rtdecode.kernels import sequence
from rtdecode.kernels.arrays import F8, I4, I8, U1


class SampleFeed(ABC):
    """A regular stream, each sample stamped at its end, whose bins follow its samples.

    Args and attributes as in `EventFeed`; `columns.number` numbers samples from the anchor, and `end_s`
    holds the end of each sample's interval, estimated from the stamps.

    Attributes:
        timing: of its samples.
        features: f8[MAX_PULL, n_features] of them, None without any.
    """

    layout: Layout
    columns: SampleColumns

    def __init__(self, inlet: Inlet, ring: BinRing, *, rules: EventRules, counters: I8) -> None:
        self.inlet, self.ring, self._carry, self._counters = inlet, ring, rules.carry_late, counters
        self.period_s = 1.0 / inlet.stream.rate_hz
        self.binning: CountBinning | None = None
        self.features: F8 | None = None
        self.columns = SampleColumns(
            inlet.time,
            counts=np.zeros((MAX_PULL, ring.n_channels), np.uint8),
            number=np.zeros(MAX_PULL, np.int64),
            accepted=np.zeros(MAX_PULL, np.uint8),
            lost_before=np.zeros(MAX_PULL, np.uint32),
        )
        self.end_s: F8 = np.zeros(MAX_PULL)
        self.timing = RegularTiming(self.period_s)

    @abstractmethod
    def read(self, n: int, possible: U1) -> None:
        """Check and number the `n` samples of the last pull.

        Args:
            n: number of samples.
            possible: u1[>=n]; a sample whose stamp is not possible is numbered by its order, and left out.
        """

    @property
    @abstractmethod
    def unfit(self) -> str:
        """Why nothing is decoded of what it sends, "" while all is."""

    def _number(self, rows: I4, n: int, possible: U1) -> None:
        """Number samples with these counts i4[>=n, n_channels]."""
        timing, columns = self.timing, self.columns
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

    @abstractmethod
    def tally(self, n: int) -> None:
        """Count and judge what can wait until the samples of the last pull are decoded."""

    def restart(self) -> None:
        """The stamps have moved: number samples from the next one with a possible stamp."""
        self.timing.restart()
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
        return self.binning.add(self.columns, n, now, first, self.features)


class CountFeed(SampleFeed):
    """The `counts` layout: one column of counts per channel.

    Attributes:
        fitness: whether its samples can be counts.
    """

    layout = Layout.COUNTS

    def __init__(self, inlet: Inlet, ring: BinRing, *, rules: EventRules, counters: I8) -> None:
        super().__init__(inlet, ring, rules=rules, counters=counters)
        self.fitness = Fitness(self.period_s)
        self._rows: I4 = np.zeros((MAX_PULL, ring.n_channels), np.int32)

    def read(self, n: int, possible: U1) -> None:
        """Check and number the `n` samples of the last pull; see `SampleFeed`."""
        rows = self.inlet.samples
        if rows.dtype != np.int32:
            as_whole(rows[:n], self._rows[:n])
            rows = self._rows
        self.fitness.values(rows[:n])
        self.fitness.stamps(self.columns.time[:n][possible[:n] != 0])
        self._number(rows, n, possible)

    def tally(self, n: int) -> None:
        """Nothing is counted beside the samples themselves."""

    @property
    def unfit(self) -> str:
        """Why nothing is decoded of what it sends, "" while all is."""
        return self.fitness.unfit

    def restart(self) -> None:
        """The stamps have moved: number samples from the next one with a possible stamp."""
        super().restart()
        self.fitness.restart()
