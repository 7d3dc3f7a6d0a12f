"""A raster as the loop uses it (`feed.py`): sampled threshold crossings, a column of 0 and 1 per channel."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtdecode.binning import Binning, BinRing, EventBinning, EventColumns, SampleColumns
from rtdecode.errors import RtdecodeError
from rtdecode.ingest.connection.inlet import MAX_PULL, Inlet, StreamLost
from rtdecode.ingest.signals.events import EventRules, anchored, oldest_accepted, resumed
from rtdecode.ingest.signals.fitness import UNFIT, UNFIT_GAIN, Fitness
from rtdecode.ingest.signals.layouts import Layout
from rtdecode.ingest.signals.numbering import channels_of_columns
from rtdecode.ingest.signals.timing import RegularTiming
from rtdecode.kernels import sequence
from rtdecode.kernels.arrays import F8, I4, I8, U1, U4

#: Another value within this time of the start is that of another signal, and later a fault of the source.
JUDGED_S = 1.0

#: Longest wait for samples by which a source is judged when it is opened.
FIRST_SAMPLES_S = 1.0

#: Values above are no numbers of spikes within a millisecond.
MOST_COUNT = 20


def no_raster(values: NDArray[Any]) -> tuple[str, str]:
    """What samples look like that are no raster, and what to do; "" and "" for zeros and ones."""
    low, high = (int(values.min()), int(values.max())) if values.size else (0, 1)
    if low >= 0 and high <= 1:
        return "", ""
    if low < 0 or high > MOST_COUNT:
        return (
            f"its values, {low} to {high}, look like voltage (broadband), not like crossings, 0 and 1",
            "detect the spikes where they are recorded and send events; of a recording, use rtdecode detect",
        )
    return (
        f"its values, up to {high}, look like counts, not like crossings, 0 and 1",
        "send counts at up to 1000 Hz",
    )


def check_raster(inlet: Inlet, layout: Layout) -> None:
    """Check the first samples of an open stream; one that is no raster, or does not send yet, passes.

    Raises:
        RtdecodeError: it was taken for a raster, and its values are others than 0 and 1.
    """
    if layout is not Layout.RASTER:
        return
    try:
        found, fix = no_raster(inlet.samples[: inlet.pull(FIRST_SAMPLES_S)])
    except StreamLost:
        return
    if found:
        raise RtdecodeError(found, where=f"stream {inlet.stream}", fix=fix)


class Crossings:
    """Single events, found in the samples of one pull.

    Attributes:
        n: number of them.
        columns, unit, sample: one row each; the unit is 0, and `sample` the sample of the pull.
    """

    def __init__(self) -> None:
        self._lost = 0  # samples before the next event
        self._added = 0
        self._make_room(MAX_PULL)

    def _make_room(self, size: int) -> None:
        self.n = 0
        self.columns = EventColumns(
            np.zeros(size), np.zeros(size, np.int32), np.ones(size, np.uint8), np.zeros(size, np.uint32)
        )
        self.unit: U1 = np.zeros(size, np.uint8)
        self.sample: I8 = np.zeros(size, np.int64)

    def clear(self) -> None:
        """A new pull without any so far."""
        self.n = self._added = 0

    def take(self, sample: I8, channel: I4, time: F8, lost_before: U4) -> None:
        """Take the events of a pull of n samples.

        Args:
            sample, channel: of each event, in order.
            time: f8[n], of an event by its sample.
            lost_before: u4[n], number of samples lost before each.
        """
        n_events = len(sample)
        if len(self.sample) < n_events:
            self._make_room(max(2 * len(self.sample), n_events))
        self.n = n_events
        self.sample[:n_events] = sample
        self.columns.time[:n_events] = time[sample]
        self.columns.channel[:n_events] = channel
        lost = self._lost + np.cumsum(lost_before, dtype=np.int64)
        self.columns.lost_before[:n_events] = np.diff(lost[sample], prepend=0)
        self._lost = int(lost[-1] - (lost[sample[-1]] if n_events else 0))

    def add(self, binning: EventBinning, n: int, now: float, complete_s: float) -> int:
        """Bin them, and close the bins whose samples have arrived; returns as `EventBinning.add`.

        Args:
            binning: sets the edges.
            n: number of samples of the pull.
            now: the time, s.
            complete_s: no later sample has an earlier event.
        """
        self._added = binning.add(self.columns, self.n, now, self._added)
        if self._added < self.n:
            return int(self.sample[self._added])
        return n if binning.close_until(complete_s) else n - 1


def count_as_events(sample: I8, usable: NDArray[np.bool_], counters: I8) -> None:
    """Correct the counters of samples: one with several events is as many, and one without any is quiet.

    Args:
        sample: of each event.
        usable: bool[n], the samples that may hold events.
        counters: i8[N_SEQUENCE_COUNTERS], in which each sample was counted as received.
    """
    held = np.bincount(sample, minlength=len(usable))
    counters[sequence.RECEIVED] += len(sample) - np.count_nonzero(held)
    counters[sequence.QUIET] += int(np.count_nonzero((held == 0) & usable))


class RasterFeed:
    """The `raster` layout: each 1 is an event on the channel of its column, at the time of its sample.

    Args and attributes as in `EventFeed`; `columns` are those of the samples.

    Attributes:
        timing: of its samples.
        crossings: events of the last pull.
    """

    layout = Layout.RASTER

    def __init__(self, inlet: Inlet, ring: BinRing, *, rules: EventRules, counters: I8) -> None:
        self.inlet, self.ring, self._carry, self._counters = inlet, ring, rules.carry_late, counters
        stream = inlet.stream
        self.timing = RegularTiming(1.0 / stream.rate_hz)
        self.binning: EventBinning | None = None
        self.crossings = Crossings()
        self.columns = SampleColumns(
            inlet.time,
            counts=np.zeros((MAX_PULL, 0), np.uint8),
            number=np.zeros(MAX_PULL, np.int64),
            accepted=np.zeros(MAX_PULL, np.uint8),
            lost_before=np.zeros(MAX_PULL, np.uint32),
        )
        self._channels: I4 = np.array(channels_of_columns(stream, rules.numbering.channel_map), np.int32)
        self._no_counts: I4 = np.zeros((MAX_PULL, 0), np.int32)
        self._end_s = np.zeros(MAX_PULL)
        self._fitness = Fitness(self.timing.period_s)
        self._n_judged = round(JUDGED_S * stream.rate_hz)
        self._no_raster, self._part_unfit = "", 0.0

    def read(self, n: int, possible: U1) -> None:
        """Number the `n` samples of the last pull; find the events in those with a `possible` stamp (u1)."""
        columns, counters, timing = self.columns, self._counters, self.timing
        self.crossings.clear()
        sample, column = np.nonzero(self.inlet.samples[:n])
        ones = self._judge(self.inlet.samples[sample, column], sample, n)
        self._fitness.stamps(columns.time[:n][possible[:n] != 0])
        if not timing.begun(columns.time, possible, n):
            columns.accepted[:n] = 0
            counters[sequence.RECEIVED] += n
            return
        sequence.check_counts(
            self._no_counts, n, possible, timing.timing, timing.state, *columns, self._end_s, counters
        )
        timing.measure()
        used = ones & (possible[sample] != 0)
        sample, channel = sample[used], self._channels[column[used]]
        count_as_events(sample, possible[:n] != 0, counters)
        known = channel >= 0
        counters[sequence.UNMAPPED] += len(channel) - np.count_nonzero(known)
        self.crossings.take(sample[known], channel[known], self._end_s, columns.lost_before[:n])

    def _judge(self, values: NDArray[Any], sample: I8, n: int) -> NDArray[np.bool_]:
        """Which of the values that are not 0 are 1; and whether the others are those of another signal."""
        ones: NDArray[np.bool_] = values == 1
        n_wrong = 0
        if not ones.all():
            wrong = sample[~ones]
            self._counters[sequence.NOT_A_COUNT] += len(wrong)
            n_wrong = len(np.unique(wrong))
            if wrong[0] < self._n_judged:
                self._no_raster = no_raster(values)[0]
        self._n_judged = max(0, self._n_judged - n)
        self._part_unfit += (1.0 - (1.0 - UNFIT_GAIN) ** n) * (n_wrong / n - self._part_unfit)
        return ones

    @property
    def unfit(self) -> str:
        """Why nothing is decoded of what it sends, "" while all is."""
        many = "its values are not 0 and 1" if self._part_unfit > UNFIT else ""
        return self._no_raster or many or self._fitness.unfit

    def n_accepted(self, n: int) -> int:
        """Number of events in the last pull."""
        return self.crossings.n

    def tally(self, n: int) -> None:
        """Nothing is counted beside the events themselves."""

    def restart(self) -> None:
        """The stamps have moved: number samples from the next one with a possible stamp."""
        self.timing.restart()
        self._fitness.restart()

    def first_bin_start(self, n: int, earliest: float, latest: float) -> float | None:
        """Stamp of the oldest sample pulled that is in [earliest, latest], or None."""
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
        """Bin the events of the last pull; returns as `EventBinning.add`."""
        assert self.binning is not None
        return self.crossings.add(self.binning, n, now, self.timing.end_s)
