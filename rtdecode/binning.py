"""The rolling ring of bins and the two ways into it: events and count samples (DESIGN §3).

    ring = BinRing(n_channels=96, bin_width_s=0.02)
    binning = EventBinning(ring, origin_s=now)
    binning.add(time, channel, accepted, lost_before, n, now)
    binning.close_until(now - grace)
    while (closed := ring.take()) is not None:
        ...  # closed.counts, a view that is valid until the next bins are added

The same events give the same bins however they are cut into chunks; bins close by the events
themselves or by the clock, whichever is first.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rtdecode.kernels import binning as kernels

F8 = npt.NDArray[np.float64]
I4 = npt.NDArray[np.int32]
I8 = npt.NDArray[np.int64]
U1 = npt.NDArray[np.uint8]
U4 = npt.NDArray[np.uint32]

#: Two seconds of 20-ms bins: what calibration, the monitor and a swap look back on.
RING_BINS = 100

#: An event stamped further ahead of the clock than this cannot be true.
FUTURE_TOLERANCE_S = 0.005

#: Earlier than any stamp that can be told from another in float64.
LONG_AGO_S = -1e9


@dataclass(slots=True)
class ClosedBin:
    """One closed bin, taken from the ring.

    Attributes:
        bin: its number.
        counts: u1[n_channels], a view into the ring.
        spikes: events in it, carried ones included.
        late, lost: events that came late or went missing while it was open.
        fed_until_s: time of the latest event in it; -inf for an empty bin.
    """

    bin: int
    counts: U1
    spikes: int
    late: int
    lost: int
    fed_until_s: float


class BinRing:
    """The last `n_bins` bins of counts and what is known about each.

    Args:
        n_channels: channels of the array.
        bin_width_s: Δ, from the model artifact.
        n_bins: how many bins are kept.

    Attributes:
        counts: u1[n_bins, n_channels], saturating at 255; bin b in row b % n_bins.
    """

    def __init__(self, n_channels: int, bin_width_s: float, n_bins: int = RING_BINS) -> None:
        self.n_channels, self.bin_width_s, self.n_bins = n_channels, bin_width_s, n_bins
        self.counts: U1 = np.zeros((n_bins, n_channels), np.uint8)
        self.spikes: U4 = np.zeros(n_bins, np.uint32)
        self.late: U4 = np.zeros(n_bins, np.uint32)
        self.lost: U4 = np.zeros(n_bins, np.uint32)
        self.fed_until_s: F8 = np.full(n_bins, -np.inf)
        self.cursor: I8 = np.zeros(2, np.int64)
        self.time_counters: I8 = np.zeros(kernels.N_TIME_COUNTERS, np.int64)
        self._taken = ClosedBin(0, self.counts[0], 0, 0, 0, -np.inf)

    @property
    def open_bin(self) -> int:
        """The bin that is filling now; every earlier one is closed."""
        return int(self.cursor[kernels.OPEN])

    @property
    def next_bin(self) -> int:
        """The bin that `take` gives next, once it is closed."""
        return int(self.cursor[kernels.NEXT])

    def open_up_to(self, b: int) -> bool:
        """Close every bin before `b`; False if closed bins must be taken first."""
        return bool(
            kernels.open_up_to(
                b, self.cursor, self.counts, self.spikes, self.late, self.lost, self.fed_until_s
            )
        )

    def empty_open_bin(self) -> None:
        """Forget what the open bin holds: its stream died before it was complete."""
        slot = self.open_bin % self.n_bins
        self.counts[slot] = 0
        self.spikes[slot] = 0
        self.fed_until_s[slot] = -np.inf

    def take(self) -> ClosedBin | None:
        """The oldest closed bin not taken yet, or None. The object and its counts are reused."""
        b = self.next_bin
        if b >= self.open_bin:
            return None
        slot = b % self.n_bins
        taken = self._taken
        taken.bin = b
        taken.counts = self.counts[slot]
        taken.spikes = int(self.spikes[slot])
        taken.late = int(self.late[slot])
        taken.lost = int(self.lost[slot])
        taken.fed_until_s = float(self.fed_until_s[slot])
        self.cursor[kernels.NEXT] = b + 1
        return taken


class EventBinning:
    """Spike events into a ring, on a grid that starts at `origin_s`.

    Args:
        ring: where the bins are.
        origin_s: bin k covers [origin_s + k·Δ, origin_s + (k+1)·Δ).
        not_before_s: events stamped earlier are counted as discarded.
        carry: late events of the bin before go to the open bin (True) or nowhere (False).
    """

    def __init__(
        self, ring: BinRing, origin_s: float, *, not_before_s: float = LONG_AGO_S, carry: bool = True
    ) -> None:
        self.ring, self.origin_s, self.not_before_s, self.carry = ring, origin_s, not_before_s, carry

    def bin_end_s(self, b: int) -> float:
        """t_bin: the end of bin `b`."""
        return self.origin_s + (b + 1) * self.ring.bin_width_s

    def complete_at_s(self, b: int) -> float:
        """The stamp past which nothing belongs to bin `b` any more."""
        return self.bin_end_s(b)

    def add(
        self, time: F8, channel: I4, accepted: U1, lost_before: U4, n: int, now: float, first: int = 0
    ) -> int:
        """Bin events `first … n-1`; returns `n`, or where it stopped because the ring is full."""
        ring = self.ring
        return int(
            kernels.bin_events(
                time,
                channel,
                accepted,
                lost_before,
                first,
                n,
                now,
                FUTURE_TOLERANCE_S,
                self.not_before_s,
                self.carry,
                self.origin_s,
                ring.bin_width_s,
                ring.cursor,
                ring.counts,
                ring.spikes,
                ring.late,
                ring.lost,
                ring.fed_until_s,
                ring.time_counters,
            )
        )

    def close_until(self, t: float) -> bool:
        """Close every bin that is complete at stamp `t`; False if the ring was full before that."""
        return _close_until(self, t)


class CountBinning:
    """Samples of a counts stream into a ring; sample 0 opens bin `anchor_bin`.

    Args:
        ring: where the bins are.
        origin_s: start of sample 0's interval.
        period_s: p, one sample's interval; p <= Δ.
        anchor_bin: the bin that sample 0 opens.
        carry: as in `EventBinning`; a late sample counts as many late events as it has counts.
    """

    def __init__(
        self, ring: BinRing, origin_s: float, period_s: float, *, anchor_bin: int, carry: bool = True
    ) -> None:
        self.ring, self.period_s, self.anchor_bin, self.carry = ring, period_s, anchor_bin, carry
        self.origin_s = origin_s

    def bin_end_s(self, b: int) -> float:
        """t_bin: the end of bin `b`."""
        return self.origin_s + (b - self.anchor_bin + 1) * self.ring.bin_width_s

    def complete_at_s(self, b: int) -> float:
        """The nominal stamp of the bin's last sample."""
        last = kernels.last_sample(b - self.anchor_bin, self.period_s, self.ring.bin_width_s)
        return self.origin_s + (last + 1) * self.period_s

    def add(
        self,
        time: F8,
        counts: U1,
        index: I8,
        accepted: U1,
        lost_before: U4,
        n: int,
        now: float,
        first: int = 0,
    ) -> int:
        """Bin samples `first … n-1`; returns `n`, or where it stopped because the ring is full."""
        ring = self.ring
        return int(
            kernels.bin_counts(
                counts,
                index,
                time,
                accepted,
                lost_before,
                first,
                n,
                now,
                FUTURE_TOLERANCE_S,
                self.carry,
                self.anchor_bin,
                self.period_s,
                ring.bin_width_s,
                ring.cursor,
                ring.counts,
                ring.spikes,
                ring.late,
                ring.lost,
                ring.fed_until_s,
                ring.time_counters,
            )
        )

    def close_until(self, t: float) -> bool:
        """Close every bin that is complete at stamp `t`; False if the ring was full before that."""
        return _close_until(self, t)


def _close_until(binning: EventBinning | CountBinning, t: float) -> bool:
    b = binning.ring.open_bin
    # The ring cannot hold more, and a clock that leapt a year must not loop for it.
    limit = b + binning.ring.n_bins
    while b < limit and binning.complete_at_s(b) <= t:
        b += 1
    return binning.ring.open_up_to(b) and b < limit
