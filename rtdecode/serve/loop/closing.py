"""Closed bins become instructions: backlog is stepped, every other bin is published once, with its flags."""

from __future__ import annotations

from collections.abc import Iterator

from rtdecode.binning import BinRing, ClosedBin
from rtdecode.ingest.clock.delay import AutoGrace, FixedGrace
from rtdecode.messages import Flag
from rtdecode.serve.loop.instructions import Instruction, Publish, Resumed, Warm
from rtdecode.serve.loop.silence import Silence
from rtdecode.serve.loop.states import Running, State, edges_of

#: As integers: an enumeration takes microseconds to combine.
GAP, CATCH_UP, PAUSED, FAILSAFE = map(int, (Flag.GAP, Flag.CATCH_UP, Flag.PAUSED, Flag.FAILSAFE))


class Closing:
    """Takes closed bins from the ring.

    Args:
        ring: the recent bins.
        grace: how long bins wait for samples.
        failsafe_after_s: silence after which values are flagged FAILSAFE.

    Attributes:
        paused: whether values are held on request.
        first_bin: number of the first bin that is published; earlier ones are backlog.
        spikes: number of spikes in published bins.
        silence: of the source.
    """

    def __init__(self, ring: BinRing, grace: AutoGrace | FixedGrace, failsafe_after_s: float) -> None:
        self.paused = False
        self.first_bin = self.spikes = 0
        self.silence = Silence(failsafe_after_s)
        self._ring, self._grace = ring, grace

    def closed(self, state: State, now: float) -> Iterator[Instruction]:
        """What to do with the bins that are closed, in `state`."""
        while (closed := self._ring.take()) is not None:
            if closed.bin < self.first_bin:
                yield Warm(closed)
            else:
                yield from self._publish(closed, state, now)

    def _publish(self, closed: ClosedBin, state: State, now: float) -> Iterator[Instruction]:
        edges, b = edges_of(state), closed.bin
        if edges is None:
            return
        t_bin = edges.bin_end_s(b)
        flags, decoded = FAILSAFE, False
        if isinstance(state, Running) and b >= state.decode_from:
            flags, decoded = self.silence.flags(t_bin, closed.fed_until_s), True
            if b == state.decode_from:
                flags |= GAP
                yield Resumed(b, edges.bin_end_s(b - 1))
        if self.paused:
            flags |= PAUSED
        if now > edges.complete_at_s(b) + self._grace.seconds + self._ring.bin_width_s:
            flags |= CATCH_UP
        self.spikes += closed.spikes
        yield Publish(closed, t_bin, now, flags, decoded)
        self._grace.update()
        if decoded and (search := self.silence.search()) is not None:
            yield search
