"""A recorded session as a fake LSL stream, with its stamps moved to now."""

from __future__ import annotations

import heapq
import itertools
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pylsl

from rtdecode.errors import RtdecodeError
from rtdecode.ingest.layouts import MAX_COUNTS_RATE_HZ, Layout
from rtdecode.session.bins import events_of
from rtdecode.session.layout import Session
from rtdecode.tools.replay.outlets import (
    OUTLET_BUFFER_S,
    BehaviorOutlet,
    CountOutlet,
    EventOutlet,
    Outlet,
    Round,
)
from rtdecode.tools.replay.schedule import (
    Delivery,
    DeliveryRule,
    Draw,
    kept_samples,
    plan_deliveries,
    random_stream,
)

#: What was pushed last must reach the inlets before the outlet goes.
LINGER_S = 0.5

#: No sleep is longer, so that Ctrl-C is heard.
NAP_S = 0.05

#: A push this late is one the options did not ask for: no bin waits longer by itself.
BEHIND_S = 0.010

#: Half of what LSL's queues hold of a regular stream.
MAX_COUNTS_BURST_S = OUTLET_BUFFER_S / 2


@dataclass(frozen=True, kw_only=True)
class ReplaySettings:
    """How a session is replayed.

    Attributes:
        stream: name of the spike stream.
        behavior: name of a second stream with the behaviour, None for none.
        layout: what the spike stream carries.
        push_s: how often what is due is pushed; 0: every sample by itself as soon as it is due.
        period_s: interval of one sample of a counts stream, session seconds.
        speed: session seconds per second.
        seed: of all that is drawn at random.
        loop: begin again at the end, for ever.
        wait_s: how long to wait for someone to listen before starting.
        drop: each sample of the spike stream is lost with this probability, after it was numbered.
        jitter_s: each push of the spike stream is held back by up to so long; the stamps stay.
        burst: the spike stream's samples go out so many at a time.

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
        on_grid = 0.0001 <= self.push_s <= 10
        ranges = (
            ("--push", on_grid or self.push_s == 0, "be 0, or lie between 0.1 and 10000 milliseconds"),
            ("--period", 1 / MAX_COUNTS_RATE_HZ <= self.period_s <= 1, "lie between 1 and 1000 milliseconds"),
            ("--speed", 0 < self.speed <= 1000, "lie above 0 and up to 1000"),
            ("--seed", self.seed >= 0, "be 0 or more"),
            ("--wait", 0 <= self.wait_s < math.inf, "be 0 or more seconds"),
            ("--drop", 0 <= self.drop <= 1, "lie between 0 and 1"),
            ("--jitter", 0 <= self.jitter_s <= 10, "lie between 0 and 10000 milliseconds"),
            ("--burst", 1 <= self.burst <= 100_000, "lie between 1 and 100000 samples"),
        )
        for flag, fine, what in ranges:
            if not fine:
                raise RtdecodeError(f"must {what}", where=flag)
        if self.layout is Layout.COUNTS:
            self._check_counts()
        if self.behavior == self.stream:
            raise RtdecodeError("needs another name than the spike stream", where="--behavior")

    def _check_counts(self) -> None:
        rate_hz = self.speed / self.period_s
        if rate_hz > MAX_COUNTS_RATE_HZ:
            raise RtdecodeError(
                f"gives counts at {rate_hz:g} Hz, and {MAX_COUNTS_RATE_HZ:g} is the most",
                where="--speed",
                fix=f"add --period {1e3 * self.speed / MAX_COUNTS_RATE_HZ:g}",
            )
        if self.burst / rate_hz > MAX_COUNTS_BURST_S:
            raise RtdecodeError(
                f"holds {self.burst / rate_hz:g} s of counts, and {MAX_COUNTS_BURST_S:g} s is the most",
                where="--burst",
                fix=f"give --burst {math.floor(MAX_COUNTS_BURST_S * rate_hz)} or less",
            )


class Replay:
    """Replays one session.

    Args:
        session: with spikes.
        settings: checked.
        clock: the LSL clock, seconds.
        sleep: waits so many seconds.

    Attributes:
        duration_s: session seconds in one round.
        n_events: spikes in it.
        synthetic_times: True where the events' times inside their recorded bins are made up.
        pushed, dropped: samples sent and lost so far, over all outlets.
        session_s, elapsed_s: session seconds that have gone out, and how long that took.
        pushes, behind, worst_behind_s: pushes so far, those more than `BEHIND_S` after their time, and
            how much the worst was.

    Raises:
        RtdecodeError: no behaviour in the session although a stream of it is asked for, or nothing to loop.
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
        self.pushed = self.dropped = self.pushes = self.behind = 0
        self.session_s = self.elapsed_s = self.worst_behind_s = 0.0
        self._settings, self._clock, self._sleep = settings, clock, sleep
        self._stopping = False
        where = str(session.path or session.name)
        if settings.loop and self.duration_s <= 0:
            raise RtdecodeError("the session has no duration", where=where, fix="leave --loop out")
        self._streams: list[_Stream] = []
        end_s, speed = self.duration_s / settings.speed, settings.speed
        # Behaviour first: who finds the spikes finds the behaviour too.
        if settings.behavior is not None:
            if session.behavior is None:
                raise RtdecodeError("the session holds no behaviour", where=where, fix="leave --behavior out")
            hand = BehaviorOutlet(settings.behavior, settings.stream, session, session.behavior, speed)
            self._streams.append(
                _Stream(hand, DeliveryRule(push_s=settings.push_s), 0.0, settings.seed, end_s)
            )
        spikes: Outlet
        if settings.layout is Layout.COUNTS:
            spikes = CountOutlet(settings.stream, session, events, settings.period_s, speed)
        else:
            spikes = EventOutlet(settings.stream, session, events, settings.layout, speed)
        rule = DeliveryRule(push_s=settings.push_s, burst=settings.burst, jitter_s=settings.jitter_s)
        self._streams.append(_Stream(spikes, rule, settings.drop, settings.seed, end_s))

    def stop(self) -> None:
        """End `run` at its next push."""
        self._stopping = True

    def run(self) -> None:
        """Push until the session's end, or `stop`; with `loop` round after round."""
        if self._settings.wait_s:
            self._await_listener()
        begun_s = self._clock()
        round_s = self.duration_s / self._settings.speed
        for number in itertools.count():
            self._play(Round(number, begun_s + number * round_s), round_s)
            if self._stopping or not self._settings.loop:
                break
        self.elapsed_s = self._clock() - begun_s
        if not self._stopping:
            self._sleep(LINGER_S)

    def _await_listener(self) -> None:
        deadline = time.monotonic() + self._settings.wait_s
        while not self._stopping and time.monotonic() < deadline:
            if all(stream.outlet.outlet.wait_for_consumers(0.05) for stream in self._streams):
                return

    def _play(self, in_round: Round, round_s: float) -> None:
        plans = [stream.begin(in_round.number) for stream in self._streams]
        for delivery, stream in heapq.merge(*plans, key=lambda planned: planned[0].due_s):
            behind_s = self._wait_until(in_round.start_s + delivery.due_s)
            if self._stopping:
                return
            self.worst_behind_s = max(self.worst_behind_s, behind_s)
            self.behind += behind_s > BEHIND_S
            pushed = stream.push(delivery, in_round)
            self.pushes += 1
            self.pushed += pushed
            self.dropped += delivery.last - delivery.first - pushed
            self._reached(in_round, min(delivery.due_s, round_s))
        self._wait_until(in_round.start_s + round_s)
        if not self._stopping:
            self._reached(in_round, round_s)

    def _reached(self, in_round: Round, due_s: float) -> None:
        self.session_s = in_round.number * self.duration_s + due_s * self._settings.speed

    def _wait_until(self, due_s: float) -> float:
        """Wait until `due_s`, or `stop`; returns how much later it is."""
        while True:
            behind_s = self._clock() - due_s
            if behind_s >= 0 or self._stopping:
                return behind_s
            self._sleep(min(-behind_s, NAP_S))


class _Stream:
    """One outlet, how its samples are pushed, and what is lost on the way."""

    def __init__(self, outlet: Outlet, rule: DeliveryRule, drop: float, seed: int, end_s: float) -> None:
        self.outlet = outlet
        self._rule, self._drop, self._seed, self._end_s = rule, drop, seed, end_s
        self._losses = random_stream(seed, Draw.LOSS, 0)
        self._last_due_s = 0.0

    def begin(self, round_number: int) -> Iterator[tuple[Delivery, _Stream]]:
        """The pushes of a round, each with this stream; a push held back beyond a round delays the next."""
        self._losses = random_stream(self._seed, Draw.LOSS, round_number)
        plan = plan_deliveries(
            self.outlet.times,
            self._rule,
            end_s=self._end_s,
            rng=random_stream(self._seed, Draw.JITTER, round_number),
            not_before_s=max(0.0, self._last_due_s - self._end_s),
        )
        return ((delivery, self) for delivery in plan)

    def push(self, delivery: Delivery, in_round: Round) -> int:
        """Push what is not lost; returns how many samples that is."""
        self._last_due_s = delivery.due_s
        kept = None
        if self._drop:
            kept = kept_samples(delivery.last - delivery.first, self._drop, self._losses)
        return self.outlet.push(delivery, kept, in_round)
