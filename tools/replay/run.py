"""Replay a recorded session as a live LSL stream, its timestamps shifted to now."""

from __future__ import annotations

import heapq
import itertools
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import pylsl

from rtdecode.errors import RtdecodeError
from rtdecode.ingest.signals.layouts import MAX_COUNTS_RATE_HZ, Layout
from rtdecode.session.bins import events_of
from rtdecode.session.layout import Session
from rtdecode.tools.ranges import check_range
from rtdecode.tools.replay.lateness import Lateness
from rtdecode.tools.replay.outlets import (
    OUTLET_BUFFER_S,
    ReplayOutlet,
    Round,
    replay_behavior,
    replay_counts,
    replay_events,
)
from rtdecode.tools.replay.schedule import (
    Delivery,
    Draw,
    kept_samples,
    plan_deliveries,
    random_stream,
)

#: The last push must reach the inlets before the outlet is closed.
LINGER_S = 0.5

#: Longest sleep, so that Ctrl-C ends the replay soon.
NAP_S = 0.05

#: Half of the capacity of LSL's queues for a regular stream.
MAX_COUNTS_BURST_S = OUTLET_BUFFER_S / 2

#: Fastest raster: that of 30-kHz voltage.
MAX_RASTER_RATE_HZ = 1 / 3e-5


@dataclass(frozen=True, kw_only=True)
class ReplaySettings:
    """How a session is replayed.

    Attributes:
        stream: name of the spike stream.
        behavior: name of a second stream with the behaviour, None for none.
        layout: layout of the spike stream.
        push_s: interval between pushes, s; 0 to push every sample by itself as soon as it is due.
        period_s: interval of one sample of a counts stream, session seconds.
        speed: session seconds per second.
        seed: random seed.
        loop: True to start again at the end, until it is stopped.
        wait_s: longest wait for a subscriber before starting, s.
        drop: probability that a sample of the spike stream is lost after it was numbered.
        jitter_s: largest random delay of a push of the spike stream, s; timestamps are not changed.
        burst: number of spike samples that are pushed together.

    Raises:
        RtdecodeError: a value is out of its range.
    """

    stream: str
    behavior: str | None = None
    layout: Layout = Layout.EVENTS
    push_s: float = 0.001
    period_s: float = 0.001
    speed: float = 1.0
    seed: int = 0
    loop: bool = False
    wait_s: float = 0.0
    drop: float = 0.0
    jitter_s: float = 0.0
    burst: int = 1

    def __post_init__(self) -> None:
        push_s, period_s, jitter_s = self.push_s, self.period_s, self.jitter_s
        pushes = push_s == 0 or 0.0001 <= push_s <= 10
        check_range("--push", pushes, "0, or between 0.1 and 10000 ms", 1e3 * push_s)
        if self.layout is Layout.BROADBAND:
            raise RtdecodeError(
                "a session holds spikes, and no voltage to send", where="--layout broadband", fix="omit it"
            )
        if self.layout is Layout.RASTER:
            raster = 1 / MAX_RASTER_RATE_HZ <= period_s < 1 / MAX_COUNTS_RATE_HZ
            check_range("--period", raster, "at least 0.03 and below 1 ms for a raster", 1e3 * period_s)
        else:
            counts = 1 / MAX_COUNTS_RATE_HZ <= period_s <= 1
            check_range("--period", counts, "between 1 and 1000 ms", 1e3 * period_s)
        check_range("--speed", 0 < self.speed <= 1000, "above 0 and at most 1000", self.speed)
        check_range("--seed", self.seed >= 0, "0 or more", self.seed)
        check_range("--wait", 0 <= self.wait_s < math.inf, "0 s or more", self.wait_s)
        check_range("--drop", 0 <= self.drop <= 1, "between 0 and 1", self.drop)
        check_range("--jitter", 0 <= jitter_s <= 10, "between 0 and 10000 ms", 1e3 * jitter_s)
        check_range("--burst", 1 <= self.burst <= 100_000, "between 1 and 100000 samples", self.burst)
        if self.layout is Layout.COUNTS:
            self._check_counts()
        if self.layout is Layout.RASTER and self.speed != 1:
            raise RtdecodeError(
                f"must be 1 for a raster, not {self.speed:g}", where="--speed", fix="omit --speed"
            )
        if self.behavior == self.stream:
            raise RtdecodeError(
                f"must differ from --stream, but both are {self.stream}",
                where="--behavior",
                fix=f"give --behavior {self.stream}-hand",
            )

    def _check_counts(self) -> None:
        rate_hz = self.speed / self.period_s
        if rate_hz > MAX_COUNTS_RATE_HZ:
            raise RtdecodeError(
                f"gives counts at {rate_hz:g} Hz, more than {MAX_COUNTS_RATE_HZ:g} Hz",
                where="--speed",
                fix=f"add --period {1e3 * self.speed / MAX_COUNTS_RATE_HZ:g}",
            )
        if self.burst / rate_hz > MAX_COUNTS_BURST_S:
            raise RtdecodeError(
                f"holds {self.burst / rate_hz:g} s of counts, more than {MAX_COUNTS_BURST_S:g} s",
                where="--burst",
                fix=f"give --burst {math.floor(MAX_COUNTS_BURST_S * rate_hz)} or less",
            )


class Replay:
    """Replays one session.

    Args:
        session: with spikes.
        settings: checked.
        clock: the LSL clock, seconds.
        sleep: sleeps for a number of seconds.

    Attributes:
        duration_s: session seconds in one round.
        n_events: spikes in one round.
        synthetic_times: True if the times of events within their recorded bins are synthetic.
        pushed, dropped: samples pushed and lost so far, over all outlets.
        session_s, elapsed_s: session seconds replayed, and the time that it took.
        lateness: delays of the pushes.

    Raises:
        RtdecodeError: the session has no behaviour for a behaviour stream, or no duration for a loop.
    """

    def __init__(
        self,
        session: Session,
        settings: ReplaySettings,
        *,
        clock: Callable[[], float] = pylsl.local_clock,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        events, self.synthetic_times = events_of(session, settings.seed)
        self.duration_s = session.end_s - session.start_s
        self.n_events = len(events.time)
        self.pushed = self.dropped = 0
        self.session_s = self.elapsed_s = 0.0
        self.lateness = Lateness()
        self._settings, self._clock, self._sleep = settings, clock, sleep
        self._stopping = False
        where = str(session.path or session.name)
        if settings.loop and self.duration_s <= 0:
            raise RtdecodeError("the session has no duration", where=where, fix="leave --loop out")
        self._streams: list[_Stream] = []
        end_s, speed = self.duration_s / settings.speed, settings.speed
        # Behaviour first, so that a program that finds the spikes finds the behaviour too.
        if settings.behavior is not None:
            if session.behavior is None:
                raise RtdecodeError("the session has no behaviour", where=where, fix="leave --behavior out")
            hand = replay_behavior(settings.behavior, settings.stream, session, session.behavior, speed)
            self._streams.append(_Stream(hand, replace(settings, drop=0.0, jitter_s=0.0, burst=1), end_s))
        if settings.layout in (Layout.COUNTS, Layout.RASTER):
            raster = settings.layout is Layout.RASTER
            spikes = replay_counts(settings.stream, session, events, settings.period_s, speed, raster=raster)
        else:
            spikes = replay_events(settings.stream, session, events, settings.layout, speed)
        self._streams.append(_Stream(spikes, settings, end_s))

    def stop(self) -> None:
        """End `run` at its next push."""
        self._stopping = True

    def run(self) -> None:
        """Push until the session's end or `stop`; with `loop` round after round."""
        if self._settings.wait_s:
            self._await_subscriber()
        started_s = self._clock()
        round_s = self.duration_s / self._settings.speed
        for number in itertools.count():
            self._play(Round(number, started_s + number * round_s), round_s)
            if self._stopping or not self._settings.loop:
                break
        self.elapsed_s = self._clock() - started_s
        if not self._stopping:
            self._sleep(LINGER_S)

    def _await_subscriber(self) -> None:
        deadline = time.monotonic() + self._settings.wait_s
        while not self._stopping and time.monotonic() < deadline:
            if all(stream.replayed.outlet.wait_for_consumers(0.05) for stream in self._streams):
                return

    def _play(self, in_round: Round, round_s: float) -> None:
        plans = [stream.begin(in_round.number) for stream in self._streams]
        for delivery, stream in heapq.merge(*plans, key=lambda planned: planned[0].due_s):
            late_s = self._wait_until(in_round.start_s + delivery.due_s)
            if self._stopping:
                return
            self.lateness.add(late_s)
            pushed = stream.push(delivery, in_round)
            self.pushed += pushed
            self.dropped += delivery.last - delivery.first - pushed
            self._reached(in_round, min(delivery.due_s, round_s))
        self._wait_until(in_round.start_s + round_s)
        if not self._stopping:
            self._reached(in_round, round_s)

    def _reached(self, in_round: Round, due_s: float) -> None:
        self.session_s = in_round.number * self.duration_s + due_s * self._settings.speed

    def _wait_until(self, due_s: float) -> float:
        """Wait until `due_s` or `stop`; returns the delay after `due_s`."""
        while True:
            late_s = self._clock() - due_s
            if late_s >= 0 or self._stopping:
                return late_s
            self._sleep(min(-late_s, NAP_S))


class _Stream:
    """One outlet, its plan of pushes, and the samples that are lost."""

    def __init__(self, replayed: ReplayOutlet, settings: ReplaySettings, end_s: float) -> None:
        self.replayed = replayed
        self._settings, self._end_s = settings, end_s
        self._losses = random_stream(settings.seed, Draw.LOSS, 0)
        self._last_due_s = 0.0

    def begin(self, round_number: int) -> Iterator[tuple[Delivery, _Stream]]:
        """The pushes of a round, each with this stream; a push delayed beyond a round delays the next."""
        settings = self._settings
        self._losses = random_stream(settings.seed, Draw.LOSS, round_number)
        plan = plan_deliveries(
            self.replayed.times,
            push_s=settings.push_s,
            burst=settings.burst,
            jitter_s=settings.jitter_s,
            end_s=self._end_s,
            rng=random_stream(settings.seed, Draw.JITTER, round_number),
            not_before_s=max(0.0, self._last_due_s - self._end_s),
        )
        return ((delivery, self) for delivery in plan)

    def push(self, delivery: Delivery, in_round: Round) -> int:
        """Push the samples that are not lost, in one chunk; returns their number."""
        self._last_due_s = delivery.due_s
        rows, stamps = self.replayed.chunk(delivery, in_round)
        if self._settings.drop:
            kept = kept_samples(len(rows), self._settings.drop, self._losses)
            rows, stamps = rows[kept], stamps if isinstance(stamps, float) else stamps[kept]
        if len(rows):
            self.replayed.outlet.push_chunk(np.ascontiguousarray(rows), stamps)
        return len(rows)
