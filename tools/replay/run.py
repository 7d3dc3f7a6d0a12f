"""Replay a recorded session as a live LSL stream, its timestamps shifted to now."""

from __future__ import annotations

import heapq
import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np
import pylsl

from rtdecode.errors import RtdecodeError
from rtdecode.ingest.signals.layouts import Layout
from rtdecode.session.arrays import session_arrays
from rtdecode.session.bins import events_of
from rtdecode.session.layout import Events, Session
from rtdecode.tools.replay.gaps import replayed_session
from rtdecode.tools.replay.lateness import Lateness
from rtdecode.tools.replay.outlets import (
    ArraySpikes,
    ReplayOutlet,
    Round,
    replay_behavior,
    replay_counts,
    replay_events,
    replay_features,
    source_id,
)
from rtdecode.tools.replay.schedule import (
    Delivery,
    Draw,
    kept_samples,
    plan_deliveries,
    random_stream,
)
from rtdecode.tools.replay.settings import ReplaySettings, check_burst

#: The last push must reach the inlets before the outlet is closed.
LINGER_S = 0.5

#: Longest sleep, so that Ctrl-C ends the replay soon.
NAP_S = 0.05


class Replay:
    """Replays one session.

    Args:
        session: with spikes, features or both.
        settings: checked.
        clock: the LSL clock, seconds.
        sleep: sleeps for a number of seconds.

    Attributes:
        duration_s: session seconds in one round.
        n_events: spikes in one round; 0 of features alone.
        synthetic_times: True if the times of events within their recorded bins are synthetic.
        pushed, dropped: samples pushed and lost so far, over all outlets.
        session_s, elapsed_s: session seconds replayed, and the time that it took.
        lateness: delays of the pushes.

    Raises:
        RtdecodeError: the session lacks what a stream needs, or has no duration for a loop.
    """

    def __init__(
        self,
        session: Session,
        settings: ReplaySettings,
        *,
        clock: Callable[[], float] = pylsl.local_clock,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        events, self.synthetic_times = None, False
        if session.features_alone is None:
            events, self.synthetic_times = events_of(session, settings.seed)
        session, events = replayed_session(session, events, settings.gaps)
        self.duration_s = session.end_s - session.start_s
        self.n_events = 0
        self.pushed = self.dropped = 0
        self.session_s = self.elapsed_s = 0.0
        self.lateness = Lateness()
        self._settings, self._clock, self._sleep = settings, clock, sleep
        self._stopping = False
        where = str(session.path or session.name)
        if settings.loop and self.duration_s <= 0:
            raise RtdecodeError("the session has no duration", where=where, fix="leave --loop out")
        end_s = self.duration_s / settings.speed
        # These first, so that a program that finds the spikes finds them too.
        faultless = replace(settings, drop=0.0, jitter_s=0.0, burst=1)
        beside = [_Stream(outlet, faultless, end_s) for outlet in _beside(session, settings, where)]
        main = self._main(session, events, settings, where)
        self._streams = [*beside, *(_Stream(outlet, settings, end_s) for outlet in main)]

    def _main(
        self, session: Session, events: Events | None, settings: ReplaySettings, where: str
    ) -> list[ReplayOutlet]:
        """The streams of the spikes, or that of features alone."""
        name, speed, layout = settings.stream, settings.speed, settings.layout
        if session.features_alone is not None:
            if settings.features is not None or layout is not Layout.EVENTS:
                what = "the session holds features alone, which are the stream of --stream"
                raise RtdecodeError(what, where=where, fix="leave --features and --layout out")
            check_burst(settings.burst, speed / session.features_alone.nominal_period_s, "features")
            return [replay_features(name, source_id(name, session), session, session.features_alone, speed)]
        assert events is not None
        self.n_events = len(events.time)
        spikes = spikes_of_arrays(settings.streams, session, events, where)
        if layout in (Layout.COUNTS, Layout.RASTER):
            raster = layout is Layout.RASTER
            return [replay_counts(each, session, settings.period_s, speed, raster=raster) for each in spikes]
        return [replay_events(each, session, layout, speed) for each in spikes]

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


def spikes_of_arrays(
    streams: Sequence[str], session: Session, events: Events, where: str
) -> list[ArraySpikes]:
    """The spikes of each stream: all of one, or those of an array of the session each.

    Raises:
        RtdecodeError: there are several streams, and not as many arrays.
    """
    if len(streams) == 1:
        return [ArraySpikes(streams[0], events, session.n_channels)]
    arrays = session_arrays(session)
    if len(streams) != len(arrays):
        raise RtdecodeError(
            f"{len(streams)} streams are named, and the session has {max(len(arrays), 1)} arrays",
            where=where,
            fix="give one --stream for all channels, or one for each array",
        )
    found, first = [], 0
    for stream, array in zip(streams, arrays, strict=True):
        own = (events.channel >= first) & (events.channel < first + array.n_channels)
        unit = None if events.unit is None else events.unit[own]
        channel = (events.channel[own] - first).astype(np.uint16)
        found.append(ArraySpikes(stream, Events(events.time[own], channel, unit), array.n_channels))
        first += array.n_channels
    return found


def _beside(session: Session, settings: ReplaySettings, where: str) -> Iterator[ReplayOutlet]:
    """The streams of behaviour and features that were asked for."""
    if settings.behavior is not None:
        if session.behavior is None:
            raise RtdecodeError("the session has no behaviour", where=where, fix="leave --behavior out")
        yield replay_behavior(settings.behavior, settings.stream, session, session.behavior, settings.speed)
    if settings.features is not None and session.features_alone is None:
        if session.features is None:
            raise RtdecodeError("the session has no features", where=where, fix="leave --features out")
        source = source_id(settings.stream, session) + ":features"
        yield replay_features(settings.features, source, session, session.features, settings.speed)


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
