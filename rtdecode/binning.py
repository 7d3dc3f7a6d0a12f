"""The ring of recent bins, and binning of events and of count samples into it (docs/time.md).

    ring = BinRing(n_channels=96, bin_width_s=0.02)
    binning = EventBinning(ring, origin_s=now)
    binning.add(EventColumns(time, channel, accepted, lost_before), n, now)
    binning.close_until(now - grace)
    while (closed := ring.take()) is not None:
        ...  # closed.counts, a view that is valid until the next bins are added

The same events give the same bins whatever chunks they arrive in. A bin is closed by the events
themselves or by the clock, whichever is first.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from rtdecode.kernels import binning as kernels
from rtdecode.kernels.arrays import F8, I4, I8, U1, U4
from rtdecode.kernels.feature_bins import FeatureBins, reach_of
from rtdecode.kernels.sequence import MOST_JITTER

#: Two seconds of 20-ms bins: the history that the monitor and a swap read.
RING_BINS = 100

#: A stamp further ahead of the clock than this is an error.
FUTURE_TOLERANCE_S = 0.005

#: Earlier than every stamp.
LONG_AGO_S = -1e9


@dataclass(slots=True)
class ClosedBin:
    """One closed bin, taken from the ring.

    Attributes:
        bin: number of the bin.
        counts: u1[n_channels], a view into the ring.
        features: f8[n_features], a view into the ring; NaN where nothing is known.
        spikes: number of events in it, carried ones included.
        late, lost: number of events that arrived late or were lost while it was open.
        fed_until_s: time of the latest event in it; -inf for an empty bin.
    """

    bin: int
    counts: U1
    features: F8
    spikes: int
    late: int
    lost: int
    fed_until_s: float


class BinRing:
    """The last `n_bins` bins: counts, features, and numbers of spikes, late and lost events of each.

    Args:
        n_channels: number of channels of the array.
        bin_width_s: Δ of the model, seconds.
        n_bins: number of bins that are kept.
        n_features: columns of features.

    Attributes:
        counts: u1[n_bins, n_channels], saturating at 255; bin b in row b % n_bins.
        features: of the same bins.
        reach: as of `reach_of`, in bins.
        broken_off: number of spikes in open bins that were emptied.
        slots, arrays: the arrays of the ring without and with its counters, as the kernels take them.
    """

    def __init__(
        self, n_channels: int, bin_width_s: float, n_bins: int = RING_BINS, n_features: int = 0
    ) -> None:
        self.n_channels, self.bin_width_s, self.n_bins = n_channels, bin_width_s, n_bins
        self.counts: U1 = np.zeros((n_bins, n_channels), np.uint8)
        self.features = FeatureBins(n_bins, n_features)
        self.n_features, self.reach = n_features, 1.0
        self.spikes: U4 = np.zeros(n_bins, np.uint32)
        self.late: U4 = np.zeros(n_bins, np.uint32)
        self.lost: U4 = np.zeros(n_bins, np.uint32)
        self.fed_until_s: F8 = np.full(n_bins, -np.inf)
        self.cursor: I8 = np.zeros(2, np.int64)
        self.broken_off = 0
        self.time_counters: I8 = np.zeros(kernels.N_TIME_COUNTERS, np.int64)
        self.slots = self.cursor, self.counts, self.spikes, self.late, self.lost, self.fed_until_s
        self.arrays: tuple[Any, ...] = (*self.slots, self.time_counters)
        self._taken = ClosedBin(0, self.counts[0], self.features.values[0], 0, 0, 0, -np.inf)

    @property
    def open_bin(self) -> int:
        """Number of the open bin; every earlier one is closed."""
        return int(self.cursor[kernels.OPEN])

    @property
    def next_bin(self) -> int:
        """Number of the bin that `take` returns next, once it is closed."""
        return int(self.cursor[kernels.NEXT])

    def open_up_to(self, b: int) -> bool:
        """Close every bin before `b`; False if closed bins must be taken first."""
        return kernels.open_up_to(b, *self.slots)

    def empty_open_bin(self) -> None:
        """Clear the open bin: its stream ended before the bin was complete."""
        slot = self.open_bin % self.n_bins
        self.broken_off += int(self.spikes[slot])
        self.counts[slot] = 0
        self.features.empty(slot)
        self.spikes[slot] = 0
        self.fed_until_s[slot] = -np.inf

    def take(self) -> ClosedBin | None:
        """The oldest closed bin not taken yet, or None. Later calls reuse the object and its counts."""
        b = self.next_bin
        if b >= self.open_bin:
            return None
        slot = b % self.n_bins
        taken = self._taken
        taken.bin = b
        taken.counts = self.counts[slot]
        if self.n_features:
            taken.features = self.features.take(slot, b + 1.0, self.reach)
        taken.spikes = int(self.spikes[slot])
        taken.late = int(self.late[slot])
        taken.lost = int(self.lost[slot])
        taken.fed_until_s = float(self.fed_until_s[slot])
        self.cursor[kernels.NEXT] = b + 1
        return taken


class EventColumns(NamedTuple):
    """Arrays of single spikes, one row each; preallocated, so that only the first rows are in use.

    Attributes:
        time: f8[N], seconds on the LSL clock.
        channel: i4[N].
        accepted: u1[N], 0 for a row to be skipped.
        lost_before: u4[N], number of events that were lost right before this one.
    """

    time: F8
    channel: I4
    accepted: U1
    lost_before: U4


class SampleColumns(NamedTuple):
    """Arrays of a counts stream, one row per sample; otherwise as `EventColumns`.

    Attributes:
        counts: u1[N, n_channels].
        number: i8[N], of the sample since the anchor; negative before it.
    """

    time: F8
    counts: U1
    number: I8
    accepted: U1
    lost_before: U4


class Binning(ABC):
    """The edges of bins, and the clock that closes them.

    Attributes:
        ring: the bins.
    """

    ring: BinRing

    @property
    @abstractmethod
    def origin_s(self) -> float:
        """Start of bin 0, or of the interval of sample 0."""

    @abstractmethod
    def bin_end_s(self, b: int) -> float:
        """t_bin, the end of bin `b`."""

    @abstractmethod
    def bin_at(self, t: float) -> int:
        """The bin whose interval holds `t`."""

    def complete_at_s(self, b: int) -> float:
        """Stamp from which on no event belongs to bin `b`."""
        return self.bin_end_s(b)

    def close_until(self, t: float) -> bool:
        """Close every bin that is complete at stamp `t`; False if the ring was full before that was done."""
        b = self.ring.open_bin
        # The ring holds no more bins, and a clock that leapt by a year must not cause a loop over a year.
        limit = b + self.ring.n_bins
        while b < limit and self.complete_at_s(b) <= t:
            b += 1
        return self.ring.open_up_to(b) and b < limit


class EventBinning(Binning):
    """Puts spike events into the bins of a ring; bin edges are multiples of Δ from `origin_s`.

    Args:
        ring: the bins.
        origin_s: bin k covers [origin_s + k·Δ, origin_s + (k+1)·Δ).
        not_before_s: events stamped earlier are counted as discarded.
        carry: whether events that are one bin late are added to the open bin; False drops them.

    Attributes:
        trailing_s: how long after the end of a bin something that belongs to it may still end, s.
    """

    def __init__(
        self, ring: BinRing, origin_s: float, *, not_before_s: float = LONG_AGO_S, carry: bool = True
    ) -> None:
        self.ring, self._origin_s, self.not_before_s, self.carry = ring, origin_s, not_before_s, carry
        self.trailing_s = 0.0

    @property
    def origin_s(self) -> float:
        """Start of bin 0."""
        return self._origin_s

    def bin_end_s(self, b: int) -> float:
        """t_bin, the end of bin `b`."""
        return self._origin_s + (b + 1) * self.ring.bin_width_s

    def bin_at(self, t: float) -> int:
        """The bin whose interval holds `t`."""
        return math.floor((t - self._origin_s) / self.ring.bin_width_s)

    def complete_at_s(self, b: int) -> float:
        """Stamp from which on nothing belongs to bin `b`."""
        return self.bin_end_s(b) + self.trailing_s

    def add(self, events: EventColumns, n: int, now: float, first: int = 0) -> int:
        """Bin events `first … n-1`.

        Returns:
            `n`, or the index of the event at which it stopped because the ring is full.
        """
        return kernels.bin_events(
            *events,
            first,
            n,
            now + FUTURE_TOLERANCE_S,
            self.carry,
            self.not_before_s,
            self._origin_s,
            self.ring.bin_width_s,
            *self.ring.arrays,
        )


class CountBinning(Binning):
    """Puts samples of a counts stream into the bins of a ring; sample 0 opens bin `anchor_bin`.

    Args:
        ring: the bins.
        period_s: p, the nominal interval of a sample, by which samples are assigned to bins; p <= Δ.
        anchor_bin: the bin that sample 0 opens.
        carry: as in `EventBinning`; a late sample counts as many late events as it has counts.

    Attributes:
        last, end_s, true_period_s, jitter_s: number and end of the latest sample, and the source's own
            period and jitter: bins end when their samples do. Set them when samples were received.
    """

    def __init__(self, ring: BinRing, period_s: float, *, anchor_bin: int, carry: bool = True) -> None:
        self.ring, self.period_s, self.anchor_bin, self.carry = ring, period_s, anchor_bin, carry
        self.last, self.end_s, self.true_period_s, self.jitter_s = -1, 0.0, period_s, 0.0
        ring.reach = reach_of(period_s / ring.bin_width_s, 1.0)

    @property
    def origin_s(self) -> float:
        """Start of the interval of sample 0."""
        return self._at_s(0.0)

    def _at_s(self, samples: float) -> float:
        return self.end_s + (samples - self.last - 1) * self.true_period_s

    def bin_end_s(self, b: int) -> float:
        """t_bin, the end of bin `b`."""
        return self._at_s((b - self.anchor_bin + 1) * self.ring.bin_width_s / self.period_s)

    def bin_at(self, t: float) -> int:
        """The bin whose interval holds `t`."""
        samples = (t - self.origin_s) / self.true_period_s
        return self.anchor_bin + math.floor(samples * self.period_s / self.ring.bin_width_s)

    def complete_at_s(self, b: int) -> float:
        """When the last sample of bin `b` ends, as late as its source jitters."""
        last = kernels.last_sample(b - self.anchor_bin, self.period_s, self.ring.bin_width_s)
        return self._at_s(last + 1) + min(4.0 * self.jitter_s, MOST_JITTER * self.true_period_s)

    def add(
        self, samples: SampleColumns, n: int, now: float, first: int = 0, features: F8 | None = None
    ) -> int:
        """Bin samples `first … n-1`, with features f8[>=n, n_features]; returns as `EventBinning.add`."""
        return kernels.bin_counts(
            *samples,
            first,
            n,
            now + FUTURE_TOLERANCE_S,
            self.carry,
            self.anchor_bin,
            self.period_s,
            self.ring.bin_width_s,
            None if features is None else (features, *self.ring.features.slots),
            *self.ring.arrays,
        )
