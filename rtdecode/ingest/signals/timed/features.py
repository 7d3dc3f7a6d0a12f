"""Features beside spikes as the loop uses them (`feed.py`): put into bins by their time."""

from __future__ import annotations

from rtdecode.binning import FUTURE_TOLERANCE_S, Binning, BinRing, EventBinning
from rtdecode.ingest.connection.inlet import Inlet
from rtdecode.ingest.signals.events import EventRules, anchored, resumed
from rtdecode.ingest.signals.features import FeatureFeed
from rtdecode.ingest.signals.layouts import Layout
from rtdecode.ingest.signals.timing import next_sample_end_s
from rtdecode.kernels.arrays import I8, U1
from rtdecode.kernels.feature_bins import reach_of
from rtdecode.kernels.timed_features import bin_timed_features


class TimedFeatureFeed:
    """The `features` layout beside arrays: a sample is in the bin that has the middle of its interval.

    Args as in `FeatureFeed`.

    Attributes:
        samples: numbered, timed and judged as those of a stream alone.
        binning: sets the edges of the bins, None until anchored.
    """

    layout = Layout.FEATURES

    def __init__(self, inlet: Inlet, ring: BinRing, *, rules: EventRules, counters: I8) -> None:
        self.samples = FeatureFeed(inlet, ring, rules=rules, counters=counters)
        self.inlet, self.ring, self._carry = inlet, ring, rules.carry_late
        self.columns, self.timing = self.samples.columns, self.samples.timing
        self._period_s = self.samples.period_s
        self.binning: EventBinning | None = None

    def read(self, n: int, possible: U1) -> None:
        """Check and number the `n` samples of the last pull, as `FeatureFeed`."""
        self.samples.read(n, possible)

    @property
    def unfit(self) -> str:
        """Why nothing is decoded of what it sends, "" while all is."""
        return self.samples.unfit

    def n_accepted(self, n: int) -> int:
        """Number of samples of the last pull that may be binned."""
        return self.samples.n_accepted(n)

    def tally(self, n: int) -> None:
        """Judge the samples of the last pull."""
        self.samples.tally(n)

    def restart(self) -> None:
        """The stamps have moved: number samples from the next one with a possible stamp."""
        self.samples.restart()

    def first_bin_start(self, n: int, earliest: float, latest: float) -> float | None:
        """Start of the first sample's interval, among stamps in [earliest, latest]; or None."""
        return self.samples.first_bin_start(n, earliest, latest)

    def anchor(self, origin_s: float, n: int) -> EventBinning:
        """Start bin 0 at `origin_s`; what was before it is discarded."""
        return self._continue(anchored(self.ring, origin_s, carry=self._carry))

    def resume(self, before: Binning, n: int) -> Binning | None:
        """Continue after an outage with the bin edges of `before`, from the first bin that is complete."""
        return self._continue(resumed(self.ring, before, carry=self._carry))

    def _continue(self, binning: EventBinning) -> EventBinning:
        self.binning = binning
        # A sample arrives at its end, half its interval after the middle by which it belongs to a bin.
        binning.trailing_s = 0.5 * self._period_s
        self.ring.reach = reach_of(self._period_s / self.ring.bin_width_s, 1.0)
        return binning

    def add(self, first: int, n: int, now: float) -> int:
        """Bin samples `first … n-1` of the last pull; returns as `EventBinning.add`."""
        binning, columns, ring = self.binning, self.columns, self.ring
        assert binning is not None
        half_period_s = 0.5 * self.timing.true_period_s
        at = bin_timed_features(
            columns.time,
            self.samples.end_s - half_period_s,
            columns.accepted,
            columns.lost_before,
            first,
            n,
            now + FUTURE_TOLERANCE_S,
            binning.carry,
            binning.not_before_s,
            binning.origin_s,
            ring.bin_width_s,
            half_period_s,
            self.samples.values,
            ring.features.slots,
            *ring.arrays,
        )
        if at < n:
            return at
        return n if binning.close_until(next_sample_end_s(self.timing)) else n - 1
