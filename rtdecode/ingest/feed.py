"""A spike stream as the loop uses it: pull, check, bin; one class for single spikes, one for counts.

A feed owns its sequence numbers and the edges of its bins. It reads what was pulled into the arrays of its
inlet, and adds it to the ring in as many pieces as the ring takes:

    feed.read(n, possible)
    at = 0
    while at < n:
        at = feed.add(at, n, now)
        ...  # take the closed bins
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rtdecode.binning import (
    FUTURE_TOLERANCE_S,
    Binning,
    BinRing,
    CountBinning,
    EventBinning,
    EventColumns,
    SampleColumns,
)
from rtdecode.ingest.fitness import Fitness, as_whole
from rtdecode.ingest.inlet import MAX_PULL, Inlet
from rtdecode.ingest.layouts import Layout
from rtdecode.ingest.rows import rows_of
from rtdecode.kernels import sequence
from rtdecode.kernels.arrays import F8, I4, I8, U1

#: Number of samples after which the timing has settled, from where on its rate is measured.
SETTLED = 100


@dataclass(frozen=True, slots=True)
class EventRules:
    """Which events are decoded.

    Attributes:
        carry_late: whether those that are one bin late are carried into the open bin.
        drop_units: sorted units that are left out.
    """

    carry_late: bool = True
    drop_units: frozenset[int] = frozenset()


class EventFeed:
    """A stream of single spikes, each with a stamp: `events`, `snippets` or `channel`.

    Args:
        inlet: open.
        ring: the bins.
        rules: which events are decoded.
        counters: i8[N_SEQUENCE_COUNTERS], shared with the feeds before and after.
        layout: of the stream's rows.

    Attributes:
        columns, unit: events of the last pull.
        binning: sets the edges of the bins, None until anchored.
        by_unit: i8[256], number of events of each unit, those of `drop_units` included.
        n_first, n_beyond: number of events on channel 0, and on the channel after the last one.
        unfit: always "": every event is one.
    """

    unfit = ""

    def __init__(
        self,
        inlet: Inlet,
        ring: BinRing,
        *,
        rules: EventRules,
        counters: I8,
        layout: Layout = Layout.EVENTS,
    ) -> None:
        self.inlet, self.ring, self._carry = inlet, ring, rules.carry_late
        self._counters, self._drop = counters, np.array(sorted(rules.drop_units), np.uint8)
        self.layout, self._rows = layout, rows_of(layout, ring.n_channels, counters)
        self.binning: EventBinning | None = None
        self.columns = EventColumns(
            inlet.time,
            channel=np.zeros(MAX_PULL, np.int32),
            accepted=np.zeros(MAX_PULL, np.uint8),
            lost_before=np.zeros(MAX_PULL, np.uint32),
        )
        self.unit: npt.NDArray[np.uint8] = np.zeros(MAX_PULL, np.uint8)
        self.n_first = self.n_beyond = 0
        self.by_unit: I8 = np.zeros(256, np.int64)

    def read(self, n: int, possible: U1) -> None:
        """Check the `n` events of the last pull; those whose stamps are not `possible` (u1) are left out."""
        self._rows.read(self.inlet.samples, n, possible, self.columns, self.unit)
        if len(self._drop):
            unit, accepted = self.unit[:n], self.columns.accepted[:n]
            dropped = (accepted != 0) & np.isin(unit, self._drop)
            accepted[dropped] = 0
            self._counters[sequence.DROPPED_UNIT] += int(np.count_nonzero(dropped))
            self.by_unit += np.bincount(unit[dropped], minlength=256)

    def tally(self, n: int) -> None:
        """Count the units and channels of the last pull, once its bins are published."""
        channel = self.columns.channel[:n]
        self.by_unit += np.bincount(self.unit[:n][self.columns.accepted[:n] != 0], minlength=256)
        self.n_first += int(np.count_nonzero(channel == 0))
        self.n_beyond += int(np.count_nonzero(channel == self.ring.n_channels))

    @property
    def unnumbered(self) -> bool:
        """Whether the third column of `events` was found to be no running number."""
        return self.layout is Layout.EVENTS and not self._rows.numbered

    def restart(self) -> None:
        """The stamps have moved: nothing here depends on earlier ones."""

    def first_bin_start(self, n: int, earliest: float, latest: float) -> float | None:
        """Stamp of the oldest accepted event pulled that is in [earliest, latest], or None."""
        time = self.columns.time[:n]
        good = time[(self.columns.accepted[:n] != 0) & (time >= earliest) & (time <= latest)]
        return float(good.min()) if len(good) else None

    def anchor(self, origin_s: float, n: int) -> EventBinning:
        """Start bin 0 at `origin_s`; events before it are discarded."""
        self.binning = EventBinning(self.ring, origin_s, not_before_s=origin_s, carry=self._carry)
        return self.binning

    def resume(self, before: Binning, n: int) -> Binning | None:
        """Continue after an outage with the bin edges of `before`, from the first bin that is complete."""
        b = self.ring.open_bin
        end_s = before.bin_end_s(b)
        self.binning = EventBinning(
            self.ring,
            end_s - (b + 1) * self.ring.bin_width_s,
            not_before_s=end_s,
            carry=self._carry,
        )
        return self.binning

    def add(self, first: int, n: int, now: float) -> int:
        """Bin events `first … n-1` of the last pull; returns as `EventBinning.add`."""
        assert self.binning is not None
        return self.binning.add(self.columns, n, now, first)


class CountFeed:
    """The `counts` layout: one column of counts per channel at a regular rate, stamped at the end.

    Args and attributes as in `EventFeed`; `columns.number` numbers samples from the anchor, and `end_s`
    holds the end of each sample's interval, estimated from the stamps.

    Attributes:
        fitness: whether its samples can be counts.
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
        self.fitness = Fitness(self.period_s)
        self._measured_from = 0
        self._measured_from_s = 0.0
        self._timing: F8 = np.zeros(4)
        self._state: I8 = np.array([-1, 0, 0, 0, 0], np.int64)

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
        if not self._state[sequence.STARTED]:
            usable = np.flatnonzero(possible[:n])
            if not len(usable):
                columns.accepted[:n] = 0
                self._counters[sequence.RECEIVED] += n
                return
            first = int(usable[0])
            sequence.start_timing(columns.time[first], first, self.period_s, self._timing, self._state)
        sequence.check_counts(
            rows, n, possible, self._timing, self._state, *columns, self.end_s, self._counters
        )
        self._measure()
        self._tell_edges()

    def _tell_edges(self) -> None:
        if self.binning is not None:
            self.binning.last = int(self._state[sequence.LAST])
            self.binning.end_s, self.binning.jitter_s, self.binning.true_period_s, _ = self._timing.tolist()

    @property
    def true_period_s(self) -> float:
        """Period of the source by its stamps; the nominal one before the first sample."""
        return float(self._timing[sequence.PERIOD]) or self.period_s

    def tally(self, n: int) -> None:
        """Nothing is counted beside the samples themselves."""

    @property
    def unfit(self) -> str:
        """Why nothing is decoded of what it sends, "" while all is."""
        return self.fitness.unfit

    @property
    def n_timed(self) -> int:
        """Number of samples, lost ones included, by which its rate is measured."""
        return int(self._state[sequence.LAST]) - self._measured_from if self._measured_from_s else 0

    @property
    def measured_period_s(self) -> float:
        """Period over all samples since its timing had settled, s; the nominal one before."""
        if not self.n_timed:
            return self.period_s
        return (float(self._timing[sequence.END]) - self._measured_from_s) / self.n_timed

    def _measure(self) -> None:
        if not self._measured_from_s and self._state[sequence.SEEN] >= SETTLED:
            self._measured_from = int(self._state[sequence.LAST])
            self._measured_from_s = float(self._timing[sequence.END])

    def restart(self) -> None:
        """The stamps have moved: number samples from the next one with a possible stamp."""
        self._state[:] = -1, 0, 0, 0, 0
        self.fitness.restart()
        self._measured_from_s = 0.0
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
        if not n or not self._state[sequence.STARTED]:
            return None
        b = self.ring.open_bin
        following, begins_s = int(self._state[sequence.LAST]) + 1, float(self._timing[sequence.END])
        # Half a sample beyond what was published last: the edges may still move by the stamps' jitter.
        behind = (before.bin_end_s(b - 1) - begins_s) / self.true_period_s + 0.5
        return self._start(following + max(0, math.ceil(behind)), b + 1, n)

    def _start(self, index: int, first_bin: int, n: int) -> CountBinning:
        """Number samples again, so that sample `index` becomes 0 and opens `first_bin`."""
        self.columns.number[:n] -= index
        self._state[sequence.LAST] -= index
        self._measured_from -= index
        self.binning = CountBinning(self.ring, self.period_s, anchor_bin=first_bin, carry=self._carry)
        self._tell_edges()
        return self.binning

    def add(self, first: int, n: int, now: float) -> int:
        """Bin samples `first … n-1` of the last pull; returns as `EventBinning.add`."""
        assert self.binning is not None
        return self.binning.add(self.columns, n, now, first)


Feed = EventFeed | CountFeed


def make_feed(layout: Layout, inlet: Inlet, ring: BinRing, *, rules: EventRules, counters: I8) -> Feed:
    """The feed for an open stream of this layout."""
    if layout is Layout.COUNTS:
        return CountFeed(inlet, ring, rules=rules, counters=counters)
    return EventFeed(inlet, ring, rules=rules, counters=counters, layout=layout)
