"""A raster as the loop uses it (`feed.py`): sampled threshold crossings, a column of 0 and 1 per channel."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtdecode.binning import Binning, BinRing, EventBinning
from rtdecode.errors import RtdecodeError
from rtdecode.ingest.connection.inlet import MAX_PULL, Inlet, StreamLost
from rtdecode.ingest.signals.crossings import Crossings, sample_columns
from rtdecode.ingest.signals.events import EventRules, oldest_accepted
from rtdecode.ingest.signals.fitness import UNFIT, UNFIT_GAIN, Fitness
from rtdecode.ingest.signals.layouts import MIN_BROADBAND_RATE_HZ, Layout, mismatch
from rtdecode.ingest.signals.numbering import channels_of_columns
from rtdecode.ingest.signals.timing import RegularTiming
from rtdecode.kernels import sequence
from rtdecode.kernels.arrays import I4, I8, U1

#: Another value within this time of the start is that of another signal, and later a fault of the source.
JUDGED_S = 1.0

#: Longest wait for samples by which a source is judged when it is opened.
FIRST_SAMPLES_S = 1.0

#: Zeros for so long are no crossings.
FIRST_ROWS_S = 0.25

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


def settled_layout(inlet: Inlet, layout: Layout, override: Layout | None) -> Layout:
    """The layout of an open stream, by its first samples where its shape leaves two.

    Args:
        inlet: of the stream; its first samples are taken.
        layout: by its shape.
        override: `--layout`, None without it.

    Raises:
        RtdecodeError: it was taken for a raster, and its values are others than 0 and 1.
    """
    stream = inlet.stream
    voltage = layout is Layout.BROADBAND
    if layout not in (Layout.RASTER, Layout.BROADBAND) or (
        voltage and (override or mismatch(stream, Layout.RASTER))
    ):
        return layout
    found, fix = "", ""
    left, crossings = FIRST_ROWS_S * stream.rate_hz, False
    try:
        while left > 0 and not found and not crossings and (n := inlet.pull(FIRST_SAMPLES_S)):
            found, fix = no_raster(inlet.samples[:n])
            crossings = bool(inlet.samples[:n].any())
            left -= n
    except StreamLost:
        return layout
    if voltage:
        return Layout.RASTER if crossings and not found else layout
    if found:
        fast = stream.rate_hz >= MIN_BROADBAND_RATE_HZ
        fix = "omit --layout raster, and its spikes are detected" if fast else fix
        raise RtdecodeError(found, where=f"stream {stream}", fix=fix)
    return layout


class RasterFeed:
    """The `raster` layout: each 1 is an event on the channel of its column, at the time of its sample.

    Args and attributes as in `EventFeed`; `columns` are those of the samples.

    Attributes:
        timing: of its samples.
        crossings: events of the last pull.
    """

    layout = Layout.RASTER

    def __init__(self, inlet: Inlet, ring: BinRing, *, rules: EventRules, counters: I8) -> None:
        self.inlet, self.ring, self._counters = inlet, ring, counters
        stream = inlet.stream
        self.timing = RegularTiming(1.0 / stream.rate_hz)
        self.crossings = Crossings(ring, counters, carry=rules.carry_late)
        self.columns = sample_columns(inlet)
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
        channel = self._channels[column[ones]]
        self.crossings.take(sample[ones], channel, possible, self._end_s, columns, n)

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

    @property
    def binning(self) -> EventBinning | None:
        """Sets the edges of the bins, None until anchored."""
        return self.crossings.binning

    def anchor(self, origin_s: float, n: int) -> EventBinning:
        """Start bin 0 at `origin_s`; events before it are discarded."""
        return self.crossings.anchor(origin_s)

    def resume(self, before: Binning, n: int) -> Binning | None:
        """Continue after an outage with the bin edges of `before`, from the first bin that is complete."""
        return self.crossings.resume(before)

    def add(self, first: int, n: int, now: float) -> int:
        """Bin the events of the last pull; returns as `Crossings.add`."""
        return self.crossings.add(n, now, self.timing.end_s)
