"""The hot loop: pull, bin, decode, publish; everything else happens on other threads.

One turn waits for the next sample or until the open bin must close, whichever is first,
and then publishes every bin that has closed. Nothing here allocates per event, writes to disk,
logs, or waits for another thread.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rtdecode.artifact import ModelArtifact
from rtdecode.binning import Binning, BinRing, ClosedBin, CountBinning, EventBinning
from rtdecode.decode.recent import Mark
from rtdecode.decode.stage import DecodeStage
from rtdecode.ingest.clock_watch import MAX_AGE_S, ClockWatch
from rtdecode.ingest.connector import Connector
from rtdecode.ingest.delay import AutoGrace, DeliveryDelay, FixedGrace
from rtdecode.ingest.feed import Feed, make_feed
from rtdecode.ingest.inlet import MAX_PULL, Inlet, StreamLost
from rtdecode.ingest.layouts import Layout
from rtdecode.messages import Flag
from rtdecode.output.stage import OutputStage
from rtdecode.serve.commands import Candidate, Command
from rtdecode.serve.lsl_out import CursorOutlet
from rtdecode.serve.meters import Meters
from rtdecode.serve.publisher import CursorPublisher
from rtdecode.serve.recording.buffers import RecordBuffers
from rtdecode.serve.settings import STALE_AFTER_S, ServeSettings
from rtdecode.session.layout import LogEntry
from rtdecode.session.schema import MAX_MODELS

#: Longest wait of a turn, so that commands and signals are answered.
MAX_WAIT_S = 0.02

#: A sleep ends late by a few tenths of a millisecond, so it is asked to end early and the rest is spent
#: polling: at most one or two per cent of a core at 50 bins/s.
WAKE_EARLY_S = 0.0003

#: Longest wait for the first sample of a counts stream, which sets the edges of its bins.
FIRST_SAMPLE_S = 0.25

#: A clock correction that moves by more re-anchors the bins; less is noise of the estimate.
CORRECTION_JUMP_S = 0.005

#: Arrivals are only measured when the loop was waiting for them.
ATTENTIVE_S = 0.002

#: After a pause of the process that is longer than this, the loop waits for the events of the pause before
#: it closes bins by the clock: liblsl's thread was held up too and has still to fetch them. It waits as
#: long as the pause was, but not longer than until a stream counts as silent.
HELD_UP_S = 0.010

#: Further behind with nothing to decode, the machine slept or its clock leapt: nobody waits for
#: thousands of empty bins.
LEAP_S = 10.0

NEVER = 1 << 62

#: While catching up, the loop pauses after this number of bins for ZeroMQ's thread: the queue of a
#: subscriber holds one second, and a longer burst would be lost even to a fast subscriber.
BURST_BINS = 16
BURST_PAUSE_S = 0.001

#: Most bins that a new model may have to catch up on between two bins: half a millisecond's work.
MOST_BEHIND = 16


@dataclass(frozen=True)
class Sinks:
    """Receivers of each decoded bin.

    Attributes:
        publisher: bound.
        output: computes the cursor from the decoded value, None without one.
        outlet: sends every bin over LSL, None without one.
        buffers: of the recording, None without one.
    """

    publisher: CursorPublisher
    output: OutputStage | None = None
    outlet: CursorOutlet | None = None
    buffers: RecordBuffers | None = None


class HotLoop:
    """Decodes one stream until it is stopped.

    Args:
        settings: of the daemon.
        stage: decoder and fail-safe, warmed up and reset.
        artifact: the model that `stage` decodes with at first.
        model_path: file of that model.
        connector: started.
        sinks: receive each bin.
        clock: the LSL clock, seconds.

    Attributes:
        ring: the recent bins.
        meters: counters and latencies.
        output: computes the cursor from the decoded value, None without one.
        artifact, model_path: the model that decodes now.
        feed: the attached stream, None while there is none.
        binning: sets the edges of the bins, None before the first connection.
        commands: from other threads, to be carried out between two bins.
        notices: lines for the person at the rig, newest last.
        pending_status: an encoded status map to publish.
        pending_spikes: an encoded spikes map to publish.
    """

    def __init__(
        self,
        settings: ServeSettings,
        stage: DecodeStage,
        artifact: ModelArtifact,
        model_path: Path,
        connector: Connector,
        sinks: Sinks,
        clock: Callable[[], float],
    ) -> None:
        self.feed: Feed | None = None
        self.binning: Binning | None = None
        self.ring = BinRing(artifact.n_channels, artifact.bin_width_s)
        self.stage, self.meters = stage, Meters()
        self.artifact, self.model_path = artifact, model_path
        self.delay = DeliveryDelay()
        self.grace: AutoGrace | FixedGrace = (
            AutoGrace(self.delay) if settings.grace_s is None else FixedGrace(settings.grace_s)
        )
        self.paused = False
        self.last_flags = 0
        self.commands: deque[Command] = deque()
        self.notices: deque[str] = deque(maxlen=1000)
        self.pending_status: bytes | None = None
        self.pending_spikes: bytes | None = None
        self.stopping = False
        self._settings, self._connector, self._clock = settings, connector, clock
        self._publisher, self.output = sinks.publisher, sinks.output
        self._outlet, self._buffers = sinks.outlet, sinks.buffers
        self._watch = ClockWatch(max(MAX_AGE_S, 2 * (settings.grace_s or 0.0)))
        self._first_published = 0
        self._decode_from = -1
        self._fed_until_s = -np.inf
        self._last_turn_s = 0.0
        self._patience_s = 0.0
        self._patient_until_s = 0.0
        self._correction_s = 0.0
        self._searching = False
        self._burst = 0
        self._backlog: list[list[list[int]]] = []
        self._model_row = 0
        self._swapped = False
        if self._buffers is not None:
            self._buffers.models.append(artifact.model_id)

    @property
    def state(self) -> str:
        """One of waiting, running, paused, stale, failsafe and reconnecting."""
        if self.binning is None:
            return "waiting"
        if self._decode_from == NEVER:
            return "reconnecting"
        if self.paused:
            return "paused"
        if self.last_flags & Flag.FAILSAFE:
            return "failsafe"
        return "stale" if self.last_flags & Flag.STALE else "running"

    def run(self) -> None:
        """Run turns until `stopping`."""
        while not self.stopping:
            self.turn()

    def turn(self) -> None:
        """One round: commands, one pull, and all bins that have closed."""
        self._burst = 0
        while self.commands:
            self.apply(self.commands.popleft())
        if self.pending_status is not None:
            encoded, self.pending_status = self.pending_status, None
            self._publisher.status(encoded)
        if self.pending_spikes is not None:
            encoded, self.pending_spikes = self.pending_spikes, None
            self._publisher.spikes(encoded)
        if self._connector.ready.is_set() and (taken := self._connector.take()) is not None:
            self._attach(*taken)
        if self.binning is None:
            self._connector.ready.wait(MAX_WAIT_S)
            return
        grace_s = self.grace.seconds if self.feed is not None else 0.0
        begun = self._clock()
        remaining_s = self.binning.complete_at_s(self.ring.open_bin) + grace_s - begun
        wait_s = min(max(remaining_s - WAKE_EARLY_S, 0.0), MAX_WAIT_S)
        if self.feed is None:
            self._connector.ready.wait(wait_s)
            self._close(self._clock(), 0.0)
            return
        if self._patient_until_s > begun:
            wait_s = MAX_WAIT_S
        try:
            n = self.feed.pull(wait_s)
        except StreamLost:
            self._lose("its outlet is gone")
            return
        now = self._clock()
        self._update_patience(n, now, now - self._last_turn_s - wait_s)
        if n:
            attentive = begun - self._last_turn_s < ATTENTIVE_S and n < MAX_PULL
            self._add(n, now, attentive)
        if n < MAX_PULL and self._patient_until_s <= now:
            self._close(now, grace_s)
        self._last_turn_s = self._clock()

    def _update_patience(self, n: int, now: float, held_up_s: float) -> None:
        """Whether the clock may close bins, or delayed events are still arriving."""
        assert self.feed is not None
        if held_up_s > HELD_UP_S:
            self._patience_s = min(held_up_s, STALE_AFTER_S)
            self._patient_until_s = now + self._patience_s
        elif self._patient_until_s > now and n:
            caught_up = now - float(self.feed.inlet.time[n - 1]) < self.grace.seconds
            self._patient_until_s = 0.0 if caught_up else now + self._patience_s

    def _attach(self, inlet: Inlet, layout: Layout) -> None:
        if self.feed is not None:
            self._lose("another outlet took its place")
        self._use(inlet, layout)
        assert self.feed is not None
        if self.binning is None:
            self._begin(self.feed)
        else:
            self.meters.reconnects += 1
            if layout is not Layout.COUNTS:
                self._reanchor(0)

    def _use(self, inlet: Inlet, layout: Layout) -> None:
        self.feed = make_feed(
            layout, inlet, self.ring, carry=self._settings.carry_late, counters=self.meters.sequence
        )
        self._correction_s = inlet.correction_s
        self._watch.restart()
        self._searching = False
        self._last_turn_s = self._clock()

    def _begin(self, feed: Feed) -> None:
        """The first connection: bin 0 starts at the oldest event in the queue, or now."""
        try:
            n = feed.pull(FIRST_SAMPLE_S if feed.layout is Layout.COUNTS else 0.0)
        except StreamLost:
            n = 0
        now = self._clock()
        width_s = self.ring.bin_width_s
        oldest = feed.first_bin_start(n, now - self.ring.n_bins * width_s, now)
        self._fed_until_s = now
        if self.paused:
            self._log("pause", 0)
        if feed.layout is not Layout.COUNTS:
            backlog = 0 if oldest is None else int(np.ceil((now - oldest) / width_s))
            self._first_published = min(backlog, self.ring.n_bins)
            self.binning = feed.anchor(now - self._first_published * width_s, n)
        elif oldest is None:
            # The edges of its bins are unknown: the fail-safe is published until a sample arrives.
            self.binning = EventBinning(self.ring, now)
            self._log_start(0, now)
            self._break_off("no sample yet")
            return
        else:
            self.binning = feed.anchor(oldest, n)
            self._first_published = max(0, int((now - self.binning.origin_s) / width_s))
        self._record_samples_from(self.binning)
        self._log_start(self._first_published, self.binning.origin_s)
        if n:
            self._add(n, now, attentive=False)

    def _log_start(self, bin_number: int, origin_s: float) -> None:
        where = {"model": self.artifact.model_id, "path": str(self.model_path)}
        self._log("reset", bin_number, reason="start", origin_s=origin_s, **where)

    def _reanchor(self, n: int) -> bool:
        """Continue after an outage: decode again from the first bin that is complete."""
        assert self.feed is not None
        assert self.binning is not None
        resume = self.ring.open_bin + 1
        if not self.feed.resume(self.binning, n):
            return False
        assert self.feed.binning is not None
        self.binning = self.feed.binning
        self._record_samples_from(self.binning)
        self._decode_from = resume
        self._fed_until_s = self.binning.bin_end_s(resume - 1)
        return True

    def _record_samples_from(self, binning: Binning) -> None:
        if self._buffers is not None and isinstance(binning, CountBinning):
            self._buffers.samples.begin(binning.origin_s, binning.period_s)

    def _lose(self, reason: str) -> None:
        """The stream is gone: from the open bin on the fail-safe is published until it is back."""
        if self.feed is not None:
            self._connector.dispose(self.feed.inlet)
        self.feed = None
        self._connector.request()
        self._break_off(reason)

    def _break_off(self, reason: str) -> None:
        self._publish_closed(self._clock())
        self.ring.empty_open_bin()
        if self._decode_from != NEVER:
            self._decode_from = NEVER
            self._log("outage", self.ring.open_bin, reason=reason)
            self.notices.append(
                f"stream {self._settings.stream}: {reason}; fail-safe output from bin {self.ring.open_bin}"
            )

    def _jump(self, offset_s: float, reason: str) -> None:
        """Stamps have moved against our clock: shift them back and bin again from the next bin."""
        feed = self.feed
        assert feed is not None
        feed.inlet.offset_s += offset_s
        self.delay.forget()
        self.meters.clock_jumps += 1
        self._break_off(f"{reason}, stamps shifted by {offset_s:+.3f} s")
        self._use(feed.inlet, feed.layout)
        if feed.layout is not Layout.COUNTS:
            self._reanchor(0)

    def _leap(self, now: float) -> None:
        """Our own clock has leapt: the open bin ends now, and bins continue from here."""
        self.meters.clock_jumps += 1
        self._break_off("this machine slept or its clock leapt")
        self.binning = EventBinning(self.ring, now - (self.ring.open_bin + 1) * self.ring.bin_width_s)
        if self.feed is not None:
            self._use(self.feed.inlet, self.feed.layout)
            if self.feed.layout is not Layout.COUNTS:
                self._reanchor(0)

    def _add(self, n: int, now: float, attentive: bool) -> None:
        """Bin what was pulled at `now`; measure its delays if the loop was waiting for it (`attentive`)."""
        feed = self.feed
        assert feed is not None
        if abs(feed.inlet.correction_s - self._correction_s) > CORRECTION_JUMP_S:
            self._jump(0.0, "clock correction moved")
            return
        self._correction_s = feed.inlet.correction_s
        # A full pull is the old end of a queue: its newest event gives no information on the clock.
        newest_s = float(feed.inlet.time[n - 1])
        jump_s = self._watch.observe(newest_s, now) if n < MAX_PULL else None
        if jump_s is not None:
            typical_s = self.delay.quantile_s(0.5)
            self._jump(jump_s - (typical_s if typical_s == typical_s else 0.0), "clock jump")
            return
        if feed.binning is None and not self._reanchor(n):
            return
        at = 0
        while at < n:
            at = feed.add(at, n, now)
            self._publish_closed(now)
        # What can wait is done after the cursor is published.
        if attentive:
            self.delay.observe(feed.inlet.time, feed.columns.accepted, n, now)
        if self._buffers is not None:
            self._buffers.add_samples(feed, n, now)

    def _close(self, now: float, grace_s: float) -> None:
        assert self.binning is not None
        if now - self.binning.bin_end_s(self.ring.open_bin) > LEAP_S:
            self._leap(now)
        while not self.binning.close_until(now - grace_s):
            self._publish_closed(now)
        self._publish_closed(now)

    def _publish_closed(self, now: float) -> None:
        while (closed := self.ring.take()) is not None:
            if closed.bin < self._first_published:
                self._warm(closed)
            else:
                self._publish(closed, now)

    def _warm(self, closed: ClosedBin) -> None:
        self.stage.warm(closed.counts)
        self.meters.backlog_bins += 1
        if self._buffers is not None:
            nonzero = np.flatnonzero(closed.counts)
            self._backlog.append([[int(c), int(closed.counts[c])] for c in nonzero])

    def _publish(self, closed: ClosedBin, now: float) -> None:
        binning, stage, meters = self.binning, self.stage, self.meters
        assert binning is not None
        b = closed.bin
        self._log_backlog(b)
        t_bin = binning.bin_end_s(b)
        flags = 0
        outage = b < self._decode_from
        if outage:
            flags = int(Flag.FAILSAFE)
        else:
            if b == self._decode_from:
                flags = int(Flag.GAP)
                stage.reset()
                self._log("gap", b, origin_s=binning.bin_end_s(b - 1))
                self._log("reset", b, reason="gap")
                self.notices.append(f"stream {self._settings.stream}: decoding again from bin {b}")
            self._fed_until_s = max(self._fed_until_s, closed.fed_until_s)
            flags |= self._silence(t_bin - self._fed_until_s)
        if self.paused:
            flags |= Flag.PAUSED
        if self._swapped:
            flags |= Flag.SWAPPED
            self._swapped = False
        if now > binning.complete_at_s(b) + self.grace.seconds + self.ring.bin_width_s:
            flags |= Flag.CATCH_UP
            meters.catch_up += 1
        nonfinite = stage.nonfinite
        flags = stage.skip(flags) if outage else stage.step(closed.counts, flags)
        if stage.nonfinite != nonfinite:
            self._log("nonfinite", b)
        value = stage.value.tolist()
        out = None
        if self.output is not None:
            self.output.step(stage.value, flags)
            out = self.output.value.tolist()
        published = self._publisher.cursor(
            closed,
            t_bin=t_bin,
            t_close=now,
            value=value,
            flags=flags,
            model=self.artifact.model_id,
            out=out,
        )
        if self._outlet is not None:
            self._outlet.push(value, out, t_bin, b, flags)
        if self._buffers is not None:
            recorded_out = None if self.output is None else self.output.value
            self._buffers.decoded.add(closed, t_bin, stage.value, recorded_out, flags, self._model_row)
        self._burst += 1
        if self._burst % BURST_BINS == 0:
            time.sleep(BURST_PAUSE_S)
        meters.bins += 1
        meters.spikes += closed.spikes
        meters.stale += bool(flags & Flag.STALE)
        meters.failsafe += bool(flags & Flag.FAILSAFE)
        meters.latency(now - t_bin, published - t_bin)
        self.last_flags = flags
        self.grace.update()

    def _silence(self, silent_s: float) -> int:
        """Flags for an attached stream that has sent nothing for `silent_s`."""
        if silent_s < STALE_AFTER_S:
            if self._searching:
                self._searching = False
                self._connector.withdraw()
            return 0
        if not self._searching and self.feed is not None:
            # A dead outlet is noticed only when TCP closes; search for it elsewhere meanwhile.
            self._searching = True
            self._connector.request(replacing=self.feed.inlet)
        stale = int(Flag.STALE)
        return stale | Flag.FAILSAFE if silent_s >= self._settings.failsafe_after_s else stale

    def apply(self, command: Command) -> None:
        """Carry out a command before the next bin."""
        command.bin = max(self.ring.next_bin, self._first_published)
        if command.name == "stop":
            self.stopping = True
        elif command.name == "reset":
            self.stage.reset()
            if self.output is not None:
                self.output.reset()
            self._log("reset", command.bin, reason="control")
        elif command.name in ("pause", "resume"):
            paused = command.name == "pause"
            if paused != self.paused:
                self.paused = paused
                self._log(command.name, command.bin)
        elif command.name == "swap_refused":
            self._log("swap_refused", command.bin, **command.about)
        elif command.candidate is not None:
            if command.name == "prepare":
                self._prepare(command.candidate)
            else:
                self._swap(command, command.candidate)
        command.done.set()

    def _prepare(self, candidate: Candidate) -> None:
        """Give a decoder that is to replace this one the bins that it has to step first."""
        recent = self.stage.recent
        candidate.fresh, n = recent.lag(candidate.mark)
        candidate.bins = recent.last(n)
        warmed = n if candidate.fresh or candidate.mark is None else candidate.mark.warmed + n
        candidate.mark = Mark(recent.resets, recent.stepped, warmed)

    def _swap(self, command: Command, candidate: Candidate) -> None:
        """Let another decoder continue from the next bin, once it has stepped all bins that this one has."""
        assert candidate.mark is not None
        fresh, behind = self.stage.recent.lag(candidate.mark)
        if (fresh and behind) or behind > MOST_BEHIND:
            command.error = f"{behind} bins have closed while it was being warmed up"
            return
        artifact = candidate.artifact
        row = self._row_of(artifact.model_id)
        if row is None:
            command.error = f"this recording already has {MAX_MODELS} models, and can hold no more"
            return
        if fresh:
            candidate.decoder.reset()
        # The old decoder is returned with the candidate: freeing its memory takes time.
        candidate.decoder = self.stage.adopt(candidate.decoder, behind)
        warmed = behind if fresh else candidate.mark.warmed + behind
        self._log_backlog(command.bin)
        self._log("swap", command.bin, model=artifact.model_id, path=str(candidate.path), warmed=warmed)
        self.artifact, self.model_path = artifact, candidate.path
        self._model_row = row
        self._swapped = True
        self.meters.swaps += 1
        self.notices.append(f"model {artifact.model_id} decodes from bin {command.bin}")

    def _row_of(self, model_id: str) -> int | None:
        """Index of a model in the models of /decoded, to which it is added; None if they are full."""
        if self._buffers is None:
            return 0
        models = self._buffers.models
        if model_id not in models:
            if len(models) == MAX_MODELS:
                return None
            models.append(model_id)
        return models.index(model_id)

    def _log_backlog(self, bin_number: int) -> None:
        for counts in self._backlog:
            self._log("warmup", bin_number, counts=counts)
        self._backlog.clear()

    def _log(self, kind: str, bin_number: int, **data: Any) -> None:
        if self._buffers is not None:
            self._buffers.log.append(LogEntry(self._clock(), bin_number, kind, data))
