"""A stream of single spikes as the loop uses it (`feed.py`)."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from rtdecode.artifact import FeatureColumn
from rtdecode.binning import Binning, BinRing, EventBinning, EventColumns
from rtdecode.detection.live import LiveDetection
from rtdecode.ingest.connection.inlet import MAX_PULL, Inlet
from rtdecode.ingest.signals.layouts import Layout
from rtdecode.ingest.signals.mapped_rows import MappedRows, rows_for
from rtdecode.ingest.signals.numbering import AS_DESCRIBED, Numbering
from rtdecode.kernels import sequence
from rtdecode.kernels.arrays import F8, I8, U1


@dataclass(frozen=True, slots=True)
class EventRules:
    """Which events are decoded.

    Attributes:
        carry_late: whether those that are one bin late are carried into the open bin.
        drop_units: sorted units that are left out.
        numbering: what the numbers in their rows mean.
        features: columns of features that are read of a stream of them, in their order.
        detection: of spikes in voltage.
    """

    carry_late: bool = True
    drop_units: frozenset[int] = frozenset()
    numbering: Numbering = AS_DESCRIBED
    features: tuple[FeatureColumn, ...] = ()
    detection: LiveDetection = field(default_factory=LiveDetection)


#: Number of events by whose stamps a source is known.
ENOUGH_STAMPS = 10_000


@dataclass(slots=True)
class Stamps:
    """Of the first events of one source.

    Attributes:
        n, n_same: number of events, and of those with the stamp of the one before.
        first_s, last_s: the first and the last, NaN before the first pull.
    """

    n: int = 0
    n_same: int = 0
    first_s: float = np.nan
    last_s: float = np.nan

    def add(self, time: F8) -> None:
        """Take the stamps of a pull, until there are enough."""
        if self.n >= ENOUGH_STAMPS:
            return
        self.n += len(time)
        first_s = float(time[0])
        self.n_same += int(np.count_nonzero(time[1:] == time[:-1])) + (first_s == self.last_s)
        if self.first_s != self.first_s:
            self.first_s = first_s
        self.last_s = float(time[-1])

    @property
    def lasted_s(self) -> float:
        """Time between the first and the last."""
        return self.last_s - self.first_s


def anchored(ring: BinRing, origin_s: float, *, carry: bool) -> EventBinning:
    """Edges of bins from `origin_s` on; events before it are discarded."""
    return EventBinning(ring, origin_s, not_before_s=origin_s, carry=carry)


def resumed(ring: BinRing, before: Binning, *, carry: bool) -> EventBinning:
    """The edges of `before` after an outage; events before the first bin that is complete are discarded."""
    b = ring.open_bin
    end_s = before.bin_end_s(b)
    # Arrays that share their bins keep one origin, to the bit.
    own = isinstance(before, EventBinning)
    origin_s = before.origin_s if own else end_s - (b + 1) * ring.bin_width_s
    return EventBinning(ring, origin_s, not_before_s=end_s, carry=carry)


def oldest_accepted(time: F8, accepted: U1, earliest: float, latest: float) -> float | None:
    """The oldest of the accepted stamps f8[n] that are in [earliest, latest], or None."""
    good = time[(accepted != 0) & (time >= earliest) & (time <= latest)]
    return float(good.min()) if len(good) else None


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
        columns_read: which column is what, None where the layout says it.
        stamps: of its events.
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
        self.layout = layout
        self._rows = rows_for(inlet.stream, layout, rules.numbering, ring.n_channels, counters)
        self.columns_read = self._rows.of if isinstance(self._rows, MappedRows) else None
        self._numbered = self._rows.numbered
        self.binning: EventBinning | None = None
        self.columns = EventColumns(
            inlet.time,
            channel=np.zeros(MAX_PULL, np.int32),
            accepted=np.zeros(MAX_PULL, np.uint8),
            lost_before=np.zeros(MAX_PULL, np.uint32),
        )
        self.unit: npt.NDArray[np.uint8] = np.zeros(MAX_PULL, np.uint8)
        self.n_first = self.n_beyond = 0
        self.stamps = Stamps()
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
        self.stamps.add(self.columns.time[:n])

    def drops(self, unit: int) -> bool:
        """Whether a sorted unit is left out."""
        return unit in self._drop

    def n_accepted(self, n: int) -> int:
        """Number of events of the last pull that may be binned."""
        return int(np.count_nonzero(self.columns.accepted[:n]))

    @property
    def unnumbered(self) -> bool:
        """Whether the column of the running number (seq) was found to be none."""
        return self._numbered and not self._rows.numbered

    def restart(self) -> None:
        """The stamps have moved."""
        self.stamps = Stamps()

    def first_bin_start(self, n: int, earliest: float, latest: float) -> float | None:
        """Stamp of the oldest accepted event pulled that is in [earliest, latest], or None."""
        return oldest_accepted(self.columns.time[:n], self.columns.accepted[:n], earliest, latest)

    def anchor(self, origin_s: float, n: int) -> EventBinning:
        """Start bin 0 at `origin_s`; events before it are discarded."""
        self.binning = anchored(self.ring, origin_s, carry=self._carry)
        return self.binning

    def resume(self, before: Binning, n: int) -> Binning | None:
        """Continue after an outage with the bin edges of `before`, from the first bin that is complete."""
        self.binning = resumed(self.ring, before, carry=self._carry)
        return self.binning

    def add(self, first: int, n: int, now: float) -> int:
        """Bin events `first … n-1` of the last pull; returns as `EventBinning.add`."""
        assert self.binning is not None
        return self.binning.add(self.columns, n, now, first)
