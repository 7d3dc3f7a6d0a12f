"""The bins of several arrays as one: a bin is complete when each array has closed it, by samples or grace.

    joint = Joint([96, 64], bin_width_s=0.02, allow_partial=False)
    for instruction in joint.add(array, publish): ...    # each bin that an array's core publishes

All arrays share the edges of their bins. Their cores publish each bin exactly once and in order, whatever
becomes of a source, so the joint bins are, too. The rules of a bin:

| arrays | decoder | flags |
| --- | --- | --- |
| all there | steps it | those of the arrays together |
| one away or silent | steps nothing, or steps its silence; the value is held | PARTIAL, FAILSAFE |
| the same, partial decoding allowed | steps it with stand-in counts for that array | PARTIAL |
| the same, before that array's counts are known | steps nothing | PARTIAL, FAILSAFE |
| none there | steps nothing | FAILSAFE |
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from rtdecode.binning import RING_BINS, BinRing, ClosedBin
from rtdecode.messages import Flag
from rtdecode.serve.loop.instructions import BrokeOff, Publish, Resumed
from rtdecode.serve.loop.leap import LEAP_S
from rtdecode.serve.loop.stand_in import StandIn

UNKNOWN = "an array has sent nothing yet, or too little to know its mean counts"

FAILSAFE, PARTIAL, GAP, STALE = map(int, (Flag.FAILSAFE, Flag.PARTIAL, Flag.GAP, Flag.STALE))


class Joint:
    """Joins the bins of arrays, in the order of their channels.

    Args:
        sizes: number of channels of each array.
        bin_width_s: of the bins, s.
        allow_partial: whether bins are decoded while an array is away.
        n_features: columns of features, of the one input that has any.

    Attributes:
        ring: the recent joint bins.
        origin_s: start of bin 0, s; NaN before the first source is attached.
        reasons: of each array, why it is away, "" while it is not.
    """

    def __init__(
        self, sizes: Sequence[int], bin_width_s: float, *, allow_partial: bool, n_features: int = 0
    ) -> None:
        self.ring = BinRing(sum(sizes), bin_width_s, n_features=n_features)
        self.origin_s = math.nan
        self.reasons = ["" for _ in sizes]
        stops = np.cumsum(sizes).tolist()
        self.channels = [slice(stop - n, stop) for n, stop in zip(sizes, stops, strict=True)]
        self._stand_ins = [StandIn(n, bin_width_s) for n in sizes] if allow_partial else None
        self._heard: npt.NDArray[np.bool_] = np.array([not (allow_partial and n) for n in sizes])
        self._stepping, self._begun = True, False
        # One array may be ahead of another by all bins of a pause of the process, which a leap ends.
        n_slots = RING_BINS + math.ceil(2 * LEAP_S / bin_width_s)
        self._counts = np.zeros((n_slots, sum(sizes)), np.uint8)
        self._features = np.full((n_slots, n_features), np.nan)
        self._totals: npt.NDArray[np.int64] = np.zeros((n_slots, 3), np.int64)
        self._flags = np.zeros((n_slots, len(sizes)), np.int64)
        self._decoded = np.zeros((n_slots, len(sizes)), np.bool_)
        self._n_in = np.zeros(n_slots, np.int64)

    def origin(self, now: float) -> float:
        """Start of bin 0, which the first array that asks sets."""
        if math.isnan(self.origin_s):
            self.origin_s = now
        return self.origin_s

    @property
    def end_s(self) -> float:
        """End of the bin that is published next, s; NaN before the first source is attached."""
        return self.origin_s + (self.ring.next_bin + 1) * self.ring.bin_width_s

    def begin(self) -> bool:
        """Whether bins begin now: True of the first call."""
        begins, self._begun = not self._begun, True
        return begins

    def add(self, array: int, published: Publish) -> Iterator[Publish | Resumed | BrokeOff]:
        """Take a bin of one array; with the last array's it is complete, and published."""
        closed = published.closed
        slot = closed.bin % len(self._n_in)
        self._counts[slot, self.channels[array]] = closed.counts
        if len(closed.features):
            self._features[slot] = closed.features if published.decoded else np.nan
        self._totals[slot] += closed.spikes, closed.late, closed.lost
        self._flags[slot, array] = published.flags
        self._decoded[slot, array] = published.decoded
        self._heard[array] |= closed.fed_until_s > -math.inf
        self._n_in[slot] += 1
        if self._n_in[slot] == len(self.channels):
            yield from self._complete(slot, published)
            self._n_in[slot] = 0
            self._totals[slot] = 0

    def _complete(self, slot: int, last: Publish) -> Iterator[Publish | Resumed | BrokeOff]:
        b, of_arrays, decoded = last.closed.bin, self._flags[slot], self._decoded[slot]
        # Where partial decoding is allowed, the silence before a first sample must not pass for counts.
        there = decoded & (of_arrays & FAILSAFE == 0) & self._heard
        flags = int(np.bitwise_or.reduce(of_arrays)) & ~(FAILSAFE | GAP)
        steps = bool(decoded.all())
        if self._stand_ins is not None:
            steps = bool(decoded.any()) and self._stand_in(slot, there)
        if not there.all():
            flags |= PARTIAL if there.any() else FAILSAFE
            flags |= 0 if steps and self._stand_ins else FAILSAFE
        if steps != self._stepping:
            self._stepping = steps
            if steps:
                flags |= GAP
                yield Resumed(b, last.t_bin - self.ring.bin_width_s)
            else:
                yield BrokeOff(b, "; ".join(dict.fromkeys(filter(None, self.reasons))) or UNKNOWN)
        yield last._replace(closed=self._closed(b, slot), flags=flags, decoded=steps)

    def _stand_in(self, slot: int, there: npt.NDArray[np.bool_]) -> bool:
        """Fill in the counts of arrays that are away; whether those of each are known."""
        known = True
        silent = self._flags[slot] & STALE != 0
        for channels, stand_in, is_there, is_silent in zip(
            self.channels, self._stand_ins or (), there.tolist(), silent.tolist(), strict=True
        ):
            counts = self._counts[slot, channels]
            if is_there:
                if not is_silent:
                    stand_in.learn(counts)
            else:
                stand_in.fill(counts)
                known = known and stand_in.known
        return known

    def _closed(self, b: int, slot: int) -> ClosedBin:
        ring = self.ring
        at = b % ring.n_bins
        ring.counts[at] = self._counts[slot]
        ring.spikes[at], ring.late[at], ring.lost[at] = self._totals[slot]
        ring.open_up_to(b + 1)
        closed = ring.take()
        assert closed is not None
        closed.features = self._features[slot]
        return closed
