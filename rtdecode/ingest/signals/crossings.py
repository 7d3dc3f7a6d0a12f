"""Single events that are found in the samples of a regular stream, and their bins."""

from __future__ import annotations

import numpy as np

from rtdecode.binning import Binning, BinRing, EventBinning, EventColumns, SampleColumns
from rtdecode.ingest.connection.inlet import MAX_PULL, Inlet
from rtdecode.ingest.signals.events import anchored, resumed
from rtdecode.kernels.arrays import F8, I4, I8, U1
from rtdecode.kernels.sequence import take_crossings


class Crossings:
    """Events of one pull.

    Args:
        ring: the bins.
        counters: i8[N_SEQUENCE_COUNTERS], added to.
        carry: whether events that are one bin late are carried into the open bin.

    Attributes:
        n: number of them.
        columns, unit, sample: one row each; the unit is 0, and `sample` the sample of the pull.
        binning: sets the edges of the bins, None until anchored.
    """

    def __init__(self, ring: BinRing, counters: I8, *, carry: bool) -> None:
        self._ring, self._counters, self._carry = ring, counters, carry
        self.binning: EventBinning | None = None
        self._lost = 0  # samples before the next event
        self._make_room(MAX_PULL)
        self.clear()

    def clear(self) -> None:
        """A new pull begins."""
        self.n = self._added = 0

    def take(self, sample: I8, channel: I4, possible: U1, end_s: F8, of: SampleColumns, n: int) -> None:
        """Take the events of a pull of `n` samples.

        Args:
            sample: of each event, increasing.
            channel: of each event; -1 for one that the channel map does not name.
            possible: u1[>=n], 0 for a sample whose stamp is not to be used; its events are left out.
            end_s: f8[>=n], time of each sample, s.
            of: the samples, counted as received.
        """
        if len(self.sample) < len(sample):
            self._make_room(max(2 * len(self.sample), len(sample)))
        self.n, self._lost = take_crossings(
            sample, channel, possible, end_s, of.lost_before, n, self._lost,
            self.sample, self.columns.time, self.columns.channel, self.columns.lost_before, self._counters,
        )  # fmt: skip

    def anchor(self, origin_s: float) -> EventBinning:
        """Start bin 0 at `origin_s`; events before it are discarded."""
        self.binning = anchored(self._ring, origin_s, carry=self._carry)
        return self.binning

    def resume(self, before: Binning) -> EventBinning:
        """Continue after an outage with the bin edges of `before`, from the first bin that is complete."""
        self.binning = resumed(self._ring, before, carry=self._carry)
        return self.binning

    def add(self, n: int, now: float, end_s: float) -> int:
        """Bin the events, and close the bins whose samples have arrived.

        Args:
            n: number of samples of the pull.
            now: when they were pulled, s.
            end_s: of the latest sample, s.

        Returns:
            `n`, or a lower number if closed bins must be taken first.
        """
        assert self.binning is not None
        self._added = self.binning.add(self.columns, self.n, now, self._added)
        if self._added < self.n:
            return int(self.sample[self._added])
        return n if self.binning.close_until(end_s) else n - 1

    def _make_room(self, size: int) -> None:
        self.columns = EventColumns(
            np.zeros(size), np.zeros(size, np.int32), np.ones(size, np.uint8), np.zeros(size, np.uint32)
        )
        self.unit: U1 = np.zeros(size, np.uint8)
        self.sample: I8 = np.zeros(size, np.int64)


def sample_columns(inlet: Inlet) -> SampleColumns:
    """Columns for the samples of a pull, which hold no counts."""
    return SampleColumns(
        inlet.time,
        counts=np.zeros((MAX_PULL, 0), np.uint8),
        number=np.zeros(MAX_PULL, np.int64),
        accepted=np.zeros(MAX_PULL, np.uint8),
        lost_before=np.zeros(MAX_PULL, np.uint32),
    )
