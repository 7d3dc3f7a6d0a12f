"""Stamps for what a system sent: held back until its clock is known, split where it counts anew.

Without input or output; items are offered with their arrivals, and released with their stamps.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rtdecode.tools.bridge.clock_map import ClockMap
from rtdecode.tools.bridge.items import Block, Item, Restart, Spike, Stamped, Tally, Tick


@dataclass(frozen=True)
class StamperSettings:
    """When a stamp is given, and which sample numbers are believed.

    Attributes:
        bound_s: items are held until their stamps are this exact.
        hold_s: longest hold; then stamps are as exact as the status says.
        back_s: samples may be this much older than the newest before them, as those of a block are.
        ahead_s: samples may be this much newer than the clock says.
        leap_s: until the clock is known, they may leap ahead by this much more than time passes.
        n_agreed: impossible sample numbers in a row that agree are those of a system that counts anew.
        delay_s: constant time from acquisition to the fastest arrival, which is subtracted.
    """

    bound_s: float = 0.0005
    hold_s: float = 3.0
    back_s: float = 0.25
    ahead_s: float = 0.05
    leap_s: float = 1.0
    n_agreed: int = 8
    delay_s: float = 0.0


class Stamper:
    """Gives items the LSL times at which they were acquired.

    Args:
        rate_hz: nominal sampling rate.
        tally: where what is left out is counted.
        settings: when a stamp is given.

    Attributes:
        clock: of the present segment.
        segments: how often the system began to count.
        settled: whether the stamps of the present segment are released.
        wrong_rate_hz: rate at which samples come, if that is not the nominal one.
    """

    def __init__(self, rate_hz: float, tally: Tally, settings: StamperSettings | None = None) -> None:
        self.settled, self.segments = False, 0
        self.wrong_rate_hz: float | None = None
        self._rate_hz, self._tally, self._settings = rate_hz, tally, settings or StamperSettings()
        self._held: deque[tuple[Spike | Block, int]] = deque()
        # By whether they are spikes: these may come on a connection of their own, ahead of data or behind.
        self._doubtful: dict[bool, list[tuple[Spike | Block | Tick, float]]] = {True: [], False: []}
        self._newest: dict[bool, int] = {}
        self._released: list[Stamped] = []
        self._begun_s: float | None = None
        self.clock = ClockMap(rate_hz)
        self._arrived_s = 0.0
        self._restart()

    def offer(self, item: Item, arrival_s: float) -> None:
        """Take the next item, which arrived at `arrival_s` of the LSL clock."""
        if isinstance(item, Restart):
            self._refuse(of_spikes=True)
            self._refuse(of_spikes=False)
            if self._begun_s is not None:
                self._restart()
        elif self._is_possible(item, arrival_s):
            self._refuse(of_spikes=isinstance(item, Spike))
            self._take(item, arrival_s)
        else:
            self._doubt(item, arrival_s)

    def release(self, now: float) -> Iterator[Stamped]:
        """The items whose stamps are known by `now`, in the order in which they came."""
        yield from self._released
        self._released.clear()
        if not self.settled:
            clock, settings = self.clock, self._settings
            waited = self._begun_s is not None and now - self._begun_s >= settings.hold_s
            if waited and clock.rate_is_wrong():
                self.wrong_rate_hz = self._rate_hz / (1.0 + clock.apparent_drift)
            else:
                self.settled = waited or clock.bound_s(now) <= settings.bound_s
        if self.settled:
            yield from self._stamped()

    @property
    def n_held(self) -> int:
        """Number of items that wait for their stamps."""
        return len(self._held) + sum(map(len, self._doubtful.values()))

    def _stamped(self) -> Iterator[Stamped]:
        while self._held:
            item, lost = self._held.popleft()
            yield Stamped(item, self.clock.time_of(item.sample) - self._settings.delay_s, lost)

    def _restart(self) -> None:
        # Better the stamps that there are than none, if there are any.
        if self.settled or (self._begun_s is not None and math.isfinite(self.clock.bound_s(self._begun_s))):
            self._released += self._stamped()
        self._leave_out([item for item, _ in self._held], "counted anew before its clock was known")
        self._held.clear()
        self.clock, self.settled = ClockMap(self._rate_hz), False
        self.segments += 1
        self._newest.clear()
        self._begun_s = None

    def _is_possible(self, item: Spike | Block | Tick, arrival_s: float) -> bool:
        sample, settings = item.sample, self._settings
        newest = self._newest.get(isinstance(item, Spike))
        if newest is not None and sample < newest - settings.back_s * self._rate_hz:
            return False
        if self.settled:
            return self.clock.time_of(sample) <= arrival_s + settings.ahead_s
        leap = (arrival_s - self._arrived_s + settings.leap_s) * self._rate_hz
        return not self._newest or sample <= max(self._newest.values()) + leap

    def _take(self, item: Spike | Block | Tick, arrival_s: float) -> None:
        if self._begun_s is None:
            self._begun_s = arrival_s
        self._arrived_s = arrival_s
        of_spikes = isinstance(item, Spike)
        self._newest[of_spikes] = max(self._newest.get(of_spikes, item.sample), item.sample)
        self.clock.add(item.sample, arrival_s)
        if not isinstance(item, Tick):
            self._held.append((item, self._tally.lost_spikes))

    def _doubt(self, item: Spike | Block | Tick, arrival_s: float) -> None:
        """Keep an item whose number is impossible; enough that agree with one another begin a segment."""
        of_spikes = isinstance(item, Spike)
        doubtful = self._doubtful[of_spikes]
        if doubtful:
            last, before_s = doubtful[-1]
            slack = self._settings.back_s * self._rate_hz
            advance = (arrival_s - before_s) * self._rate_hz
            if not -slack <= item.sample - last.sample <= advance + slack:
                self._refuse(of_spikes=of_spikes)
        doubtful.append((item, arrival_s))
        if len(doubtful) >= self._settings.n_agreed:
            agreed = sorted(self._doubtful[True] + self._doubtful[False], key=lambda each: each[1])
            for each in self._doubtful.values():
                each.clear()
            self._restart()
            for kept, at_s in agreed:
                self._take(kept, at_s)

    def _refuse(self, *, of_spikes: bool) -> None:
        if doubtful := self._doubtful[of_spikes]:
            self._leave_out([item for item, _ in doubtful], "sample number is impossible")
            doubtful.clear()

    def _leave_out(self, items: Sequence[Spike | Block | Tick], reason: str) -> None:
        for item in items:
            if isinstance(item, Spike):
                self._tally.lost_spikes += 1
            elif isinstance(item, Block):
                self._tally.lost_samples += len(item.values)
            self._tally.garbled[reason] += 1
