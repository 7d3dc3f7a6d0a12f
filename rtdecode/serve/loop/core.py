"""What the daemon does about its stream, without input or output: events in, instructions out.

    core = LoopCore(settings, ring)
    for instruction in core.attached(feed, now): ...            # a source was opened
    for instruction in core.pulled(Pull(n, now)): ...           # its inlet holds n new samples, perhaps none
    for instruction in core.lost("its outlet is gone", now): ...

The caller carries out each instruction before it takes the next: the counts of a bin are a view of the ring.
From the first connection on every bin is published exactly once, in order:

    Waiting ─► Attaching ─┬─ stamps trusted ──────► Running ──── lost ───► Outage ─┐
                          └─► Judging ─ trusted ─► Running ─ in doubt ─► Judging   │
                                 ▲ attached                                        │
                                 └─────────────────────────────────────────────────┘

In Judging and Outage bins are closed by our own clock and flagged FAILSAFE.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from rtdecode.binning import Binning, BinRing, CountBinning, EventBinning
from rtdecode.ingest.clock.delay import AutoGrace, DeliveryDelay, FixedGrace
from rtdecode.ingest.clock.judge import TRUSTED, ClockJudge, Verdict
from rtdecode.ingest.clock.settings import JudgeSettings
from rtdecode.ingest.connection.inlet import MAX_PULL
from rtdecode.ingest.signals.feed import Feed
from rtdecode.kernels.stamps import N_IMPOSSIBLE
from rtdecode.serve.loop import instructions as do
from rtdecode.serve.loop.closing import Closing
from rtdecode.serve.loop.events import CoreSettings, Pull
from rtdecode.serve.loop.first_bin import first_edges
from rtdecode.serve.loop.held_up import HeldUp
from rtdecode.serve.loop.leap import LEAP_S, far_behind
from rtdecode.serve.loop.states import (
    Attaching,
    Judging,
    Link,
    Outage,
    Running,
    State,
    Waiting,
    edges_of,
    link_of,
)
from rtdecode.serve.settings import STALE_AFTER_S

DOUBTED = "its stamps do not fit our clock"
Instructions = Iterator[do.Instruction]


class LoopCore:
    """The decisions of the hot loop.

    Args:
        settings: of the stream.
        ring: the recent bins.

    Attributes:
        ring: as given.
        state: Waiting, Attaching, Judging, Running or Outage.
        delay, grace: delivery delay of the source, and how long bins wait for it.
        closing: publishes the closed bins.
        reconnects, clock_jumps: totals.
        discarded: number of samples received while no stamps were trusted.
    """

    def __init__(self, settings: CoreSettings, ring: BinRing) -> None:
        self.state: State = Waiting()
        self.delay = DeliveryDelay()
        self.grace: AutoGrace | FixedGrace = (
            AutoGrace(self.delay) if settings.grace_s is None else FixedGrace(settings.grace_s)
        )
        self.closing = Closing(ring, self.grace, settings.failsafe_after_s)
        self.ring, self.reconnects, self.clock_jumps, self.discarded = ring, 0, 0, 0
        self._left_out = np.zeros(N_IMPOSSIBLE, np.int64)
        self._judge = JudgeSettings(max_age_s=max(STALE_AFTER_S, 2 * (settings.grace_s or 0.0)))
        self._held_up = HeldUp(STALE_AFTER_S)

    # Events

    def attached(self, feed: Feed, now: float, origin_s: float | None = None) -> Instructions:
        """A source was opened, perhaps in another's place; `origin_s` of bin 0 where arrays share bins."""
        yield from self._detach("another outlet took its place", now)
        link = Link(feed, ClockJudge(self._judge, feed.inlet.opened_s, MAX_PULL))
        self.closing.silence.found()
        if isinstance(self.state, Outage):
            self.reconnects += 1
            self.state = Judging(link, self.state.edges)
        else:
            self.state = Attaching(link, origin_s)

    def lost(self, reason: str, now: float) -> Instructions:
        """The source is gone: the fail-safe is published until it, or another, is attached."""
        yield from self._detach(reason, now)
        yield do.Search(replacing=False)

    def corrected(self, now: float) -> Instructions:
        """The correction between the machines' clocks has changed: stamps are judged from the start."""
        link = link_of(self.state)
        if link is None:
            return
        link.judge.correct(now)
        if isinstance(self.state, Running):
            self.clock_jumps += 1
            yield from self._doubt(self.state, "the clock correction has moved", now)

    def pulled(self, pull: Pull) -> Instructions:
        """The feed of the attached source holds new samples, or none has arrived."""
        link, n, now = link_of(self.state), pull.n, pull.now
        if link is None:
            return
        feed, judge = link.feed, link.judge
        verdict = judge.step(feed.columns.time, n, now, emptied=pull.emptied) if n else judge.verdict
        paused = self._held_up.paused(pull.held_up_s, now)
        if n:
            feed.read(n, judge.possible)
            if not paused and self._held_up.waiting(now) and judge.possible[n - 1]:
                self._held_up.received(now - float(feed.columns.time[n - 1]), self.grace.seconds, now)
        if feed.unfit:
            verdict = replace(verdict, trusted=False)
        if verdict is not TRUSTED:
            yield from self._follow(verdict, now)
        if n and isinstance(self.state, Running) and far_behind(self.state.edges, feed, n, now):
            yield from self._leap(now)
        if isinstance(self.state, Attaching):
            yield from self._begin(self.state, n, now, verdict.trusted)
        elif isinstance(self.state, Judging) and verdict.trusted:
            yield from self._resume(self.state, n)
        added = n if isinstance(self.state, Running) else 0
        at = 0
        while at < added:
            at = feed.add(at, n, now)
            yield from self._closed(now)
        if pull.emptied and not self._held_up.waiting(now):
            yield from self.passed(now)
        if not n:
            return
        # What can wait is done after the cursor is published.
        if added:
            if pull.attentive:
                self.delay.observe(feed.columns.time, feed.columns.accepted, n, now)
            yield do.Record(feed, n, now)
        else:
            self.discarded += feed.n_accepted(n)
        feed.tally(n)
        if judge.learn(feed.columns.time, n, now, emptied=pull.emptied, attentive=pull.attentive):
            self.delay.forget()

    def passed(self, now: float) -> Instructions:
        """Close the bins whose time has come."""
        edges = edges_of(self.state)
        if edges is None:
            return
        if now - edges.bin_end_s(self.ring.open_bin) > LEAP_S:
            edges = yield from self._leap(now)
        grace_s = self._grace_s()
        while not edges.close_until(now - grace_s):
            yield from self._closed(now)
        yield from self._closed(now)

    def due_s(self, now: float) -> float:
        """When the open bin must be closed; infinite while there is none, or bins wait for samples."""
        edges = edges_of(self.state)
        if edges is None or (link_of(self.state) is not None and self._held_up.waiting(now)):
            return math.inf
        return edges.complete_at_s(self.ring.open_bin) + self._grace_s()

    def leapt(self, origin_s: float, now: float) -> Instructions:
        """Our clock has leapt, as another array has found: bins continue with its `origin_s`."""
        if edges_of(self.state) is not None:
            yield from self._leap(now, origin_s)

    def pause(self, paused: bool) -> Instructions:
        """Hold values from the next bin on, or no longer."""
        if paused != self.closing.paused:
            self.closing.paused = paused
            yield do.Held(self.next_bin, paused)

    @property
    def next_bin(self) -> int:
        """Number of the bin that is published next."""
        return max(self.ring.next_bin, self.closing.first_bin)

    @property
    def offset_s(self) -> float:
        """Seconds to add to the stamps of the attached source."""
        link = link_of(self.state)
        return 0.0 if link is None else link.judge.offset_s

    @property
    def left_out(self) -> npt.NDArray[np.int64]:
        """i8[N_IMPOSSIBLE], number of samples left out for their stamps, by reason (kernels/stamps.py)."""
        link = link_of(self.state)
        return self._left_out if link is None else self._left_out + link.judge.impossible

    # Transitions

    def _detach(self, reason: str, now: float) -> Instructions:
        link, edges = link_of(self.state), edges_of(self.state)
        if link is None:
            return
        if isinstance(self.state, Running):
            yield from self._break_off(reason, now)
        elif isinstance(self.state, Attaching) and self.state.origin_s is not None:
            edges = EventBinning(self.ring, self.state.origin_s)
            yield do.Started(0, self.state.origin_s)
            yield do.BrokeOff(0, reason)
        self.state = Waiting() if edges is None else Outage(edges)
        self._left_out += link.judge.impossible
        yield do.Dispose(link.feed)

    def _begin(self, state: Attaching, n: int, now: float, trusted: bool) -> Instructions:
        """The first pull: bin 0 starts at the oldest event in the queue, or now."""
        link, origin_s = state.link, state.origin_s
        first = first_edges(link.feed, self.ring, n, now, origin_s) if trusted else None
        self.closing.silence.fed(now)
        if self.closing.paused:
            yield do.Held(0, True)
        if first is None:
            start_s = now if origin_s is None else origin_s
            yield do.Started(0, start_s)
            yield do.BrokeOff(0, "no sample yet" if trusted else link.feed.unfit or DOUBTED)
            self.state = Judging(link, EventBinning(self.ring, start_s))
            return
        edges, self.closing.first_bin = first
        self.state = Running(link, edges)
        yield from _number(edges)
        yield do.Started(self.closing.first_bin, edges.origin_s)

    def _resume(self, state: Judging, n: int) -> Instructions:
        """Decode again from the first bin that is complete."""
        resume = self.ring.open_bin + 1
        edges = state.link.feed.resume(state.edges, n)
        if edges is None:
            return
        self.state = Running(state.link, edges, resume)
        self.closing.silence.fed(edges.bin_end_s(resume - 1))
        yield from _number(edges)

    def _follow(self, verdict: Verdict, now: float) -> Instructions:
        """Carry the judge's verdict out: shifted stamps, and a clock in doubt."""
        if verdict.jump_s:
            self.delay.forget()
            self.clock_jumps += 1
        if isinstance(self.state, Running):
            if verdict.jump_s:
                shifted = f"clock jump, stamps shifted by {verdict.jump_s:+.3f} s"
                yield from self._doubt(self.state, shifted, now)
            elif not verdict.trusted:
                yield from self._doubt(self.state, self.state.link.feed.unfit or DOUBTED, now)
        elif verdict.jump_s:
            yield do.Shifted(verdict.jump_s)

    def _doubt(self, state: Running, reason: str, now: float) -> Instructions:
        yield from self._break_off(reason, now)
        state.link.feed.restart()
        self.state = Judging(state.link, state.edges)

    def _leap(self, now: float, origin_s: float | None = None) -> Generator[do.Instruction, None, Binning]:
        """Our own clock has leapt: the open bin ends now, and bins continue, with `origin_s` if given."""
        self.clock_jumps += 1
        link = link_of(self.state)
        if isinstance(self.state, Running):
            yield from self._break_off("this machine slept or its clock leapt", now)
        if origin_s is None:
            origin_s = now - (self.ring.open_bin + 1) * self.ring.bin_width_s
        edges = EventBinning(self.ring, origin_s)
        if link is None:
            self.state = Outage(edges)
        else:
            link.judge.restart(now)
            link.feed.restart()
            self.state = Judging(link, edges)
        return edges

    def _break_off(self, reason: str, now: float) -> Instructions:
        yield from self._closed(now)
        self.ring.empty_open_bin()
        yield do.BrokeOff(self.ring.open_bin, reason)

    def _closed(self, now: float) -> Instructions:
        return self.closing.closed(self.state, now)

    def _grace_s(self) -> float:
        return 0.0 if link_of(self.state) is None else self.grace.seconds


def _number(edges: Binning) -> Instructions:
    if isinstance(edges, CountBinning):
        yield do.NumberSamples(edges.origin_s, edges.true_period_s)
