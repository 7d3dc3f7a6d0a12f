"""From a closed bin to the published cursor: decoder, output stage, sockets, recording."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rtdecode.artifact import ModelArtifact
from rtdecode.binning import ClosedBin
from rtdecode.decode.inputs import InputRows
from rtdecode.decode.recent import Mark
from rtdecode.decode.stage import DecodeStage
from rtdecode.ingest.connection.source_log import SourceLog
from rtdecode.ingest.signals.feed import Feed, reading_of
from rtdecode.messages import Flag
from rtdecode.output.stage import OutputStage
from rtdecode.serve.commands import Candidate, Command
from rtdecode.serve.loop.instructions import Publish
from rtdecode.serve.lsl_out import CursorOutlet
from rtdecode.serve.meters import Meters
from rtdecode.serve.publisher import CursorPublisher
from rtdecode.serve.recording.buffers import RecordBuffers
from rtdecode.serve.reporting.connection import labels_line, model_line, stream_report
from rtdecode.session.layout import LogEntry
from rtdecode.session.schema import MAX_MODELS

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


class Decoding:
    """Decodes bins with the model in use and passes them on; exchanges the model between two bins.

    Args:
        stage: decoder and fail-safe, warmed up and reset.
        artifact, path: the model that `stage` decodes with at first, and its file.
        sinks: receive each bin.
        clock: the LSL clock, seconds.
        stream: name of the stream, for lines.

    Attributes:
        artifact, path: the model that decodes now.
        flags: of the bin published last.
        meters: counters and latencies.
        notices: lines for the person at the rig, newest last.
        source: of the stream.
    """

    def __init__(
        self,
        stage: DecodeStage,
        artifact: ModelArtifact,
        path: Path,
        sinks: Sinks,
        clock: Callable[[], float],
        *,
        stream: str,
    ) -> None:
        self.stage, self.artifact, self.path, self.sinks = stage, artifact, path, sinks
        self.flags = 0
        self.meters = Meters()
        self.notices: deque[str] = deque(maxlen=1000)
        self.source = SourceLog(f"stream {stream}", self.notices.append, self.log)
        self._clock = clock
        self._rows = InputRows(artifact)
        self._backlog: list[dict[str, Any]] = []
        self._model_row = 0
        self._swapped = False
        self._burst = 0
        if sinks.buffers is not None:
            sinks.buffers.models.append(artifact.model_id)

    def begin_turn(self) -> None:
        """A new turn of the loop: its first bins are published without a pause."""
        self._burst = 0

    def attached(self, feed: Feed) -> None:
        """A source of the stream is attached."""
        stream, inlet = feed.inlet.stream, feed.inlet
        self.source.attached(stream, self._next_bin())
        columns = [feature.column for feature in self.artifact.features]
        self.notices.extend(stream_report(stream, feed.layout, inlet.correction_s, reading_of(feed), columns))
        self.notices.extend(labels_line(stream, feed.layout, self.artifact.channel_labels))
        self.notices.append(model_line(self.artifact))

    def warm(self, closed: ClosedBin) -> None:
        """Step a bin of backlog."""
        self.stage.warm(self._rows.row(closed.counts, closed.features))
        self.meters.backlog_bins += 1
        self.meters.backlog_spikes += closed.spikes
        if self.sinks.buffers is not None:
            nonzero = np.flatnonzero(closed.counts)
            entry: dict[str, Any] = {"counts": [[int(c), int(closed.counts[c])] for c in nonzero]}
            if self.artifact.features:
                entry["codes"] = self._rows.codes.tolist()
            self._backlog.append(entry)

    def publish(self, bin_: Publish) -> None:
        """Decode and publish a bin."""
        stage, sinks, meters, closed = self.stage, self.sinks, self.meters, bin_.closed
        self._log_backlog(closed.bin)
        flags, nonfinite = bin_.flags, stage.nonfinite
        if self._swapped:
            flags |= Flag.SWAPPED
            self._swapped = False
        if bin_.decoded:
            flags = stage.step(self._rows.row(closed.counts, closed.features), flags)
        else:
            self._rows.skip()
            flags = stage.skip(flags)
        if stage.nonfinite != nonfinite:
            self.log("nonfinite", closed.bin)
        value = stage.value.tolist()
        out = None
        if sinks.output is not None:
            sinks.output.step(stage.value, flags)
            out = sinks.output.value.tolist()
        published = sinks.publisher.cursor(
            closed,
            t_bin=bin_.t_bin,
            t_close=bin_.now,
            value=value,
            flags=flags,
            model=self.artifact.model_id,
            out=out,
        )
        if sinks.outlet is not None:
            sinks.outlet.push(value, out, bin_.t_bin, closed.bin, flags)
        if sinks.buffers is not None:
            recorded_out = None if sinks.output is None else sinks.output.value
            codes = self._rows.codes if self.artifact.features else None
            sinks.buffers.decoded.add(
                closed, bin_.t_bin, stage.value, recorded_out, flags, self._model_row, codes
            )
        self._burst += 1
        if self._burst % BURST_BINS == 0:
            time.sleep(BURST_PAUSE_S)
        meters.bins += 1
        meters.spikes += closed.spikes
        meters.stale += bool(flags & Flag.STALE)
        meters.failsafe += bool(flags & Flag.FAILSAFE)
        meters.catch_up += bool(flags & Flag.CATCH_UP)
        meters.latency(bin_.now - bin_.t_bin, published - bin_.t_bin)
        self.flags = flags

    def feature_counters(self) -> dict[str, int]:
        """Number of features in decoded bins that were unknown, and of those beyond their largest code."""
        missing, beyond = self._rows.counters.tolist()
        return {"features_missing": missing, "features_beyond": beyond}

    def reset(self, bin_number: int, reason: str) -> None:
        """Reset the decoder before bin `bin_number`."""
        self.stage.reset()
        self.log("reset", bin_number, {"reason": reason})

    def reset_cursor(self) -> None:
        """Set the cursor of the output stage to home."""
        if self.sinks.output is not None:
            self.sinks.output.reset()

    def record(self, feed: Feed, n: int, now: float, first_channel: int = 0) -> None:
        """Record the samples of a pull; `first_channel` of an array behind others."""
        if self.sinks.buffers is not None:
            self.sinks.buffers.add_samples(feed, n, now, first_channel)

    def number_samples(self, origin_s: float, period_s: float) -> None:
        """Number the samples of a counts stream from `origin_s` on."""
        if self.sinks.buffers is not None:
            self.sinks.buffers.samples.begin(origin_s, period_s)

    def log(self, kind: str, bin_number: int, data: Mapping[str, Any] | None = None) -> None:
        """Add an entry to /log."""
        if self.sinks.buffers is not None:
            self.sinks.buffers.log.append(LogEntry(self._clock(), bin_number, kind, dict(data or {})))

    def started(self, bin_number: int, origin_s: float) -> None:
        """The first published bin is known: log it, with the model that decodes."""
        model = {"model": self.artifact.model_id, "path": str(self.path)}
        self.log("reset", bin_number, {"reason": "start", "origin_s": origin_s, **model})

    def broke_off(self, bin_number: int, reason: str) -> None:
        """Nothing is decoded from this bin on."""
        self.source.reason = reason
        said = f"{reason}; fail-safe output from bin {bin_number}"
        self.source.tell("outage", bin_number, said, reason=reason)

    def resumed(self, bin_number: int, origin_s: float) -> None:
        """Decode again from this bin on."""
        self.source.reason = ""
        self.source.tell("gap", bin_number, f"decoding again from bin {bin_number}", origin_s=origin_s)
        self.reset(bin_number, "gap")

    def held(self, bin_number: int, paused: bool) -> None:
        """Values are held from this bin on, or no longer."""
        self.log("pause" if paused else "resume", bin_number)

    def shifted(self, seconds: float) -> None:
        """The stamps of the stream were shifted while nothing was decoded."""
        shifted = f"its stamps are shifted by {seconds:+.3f} s onto our clock"
        self.source.tell("shifted", self._next_bin(), shifted, seconds=seconds)

    def _next_bin(self) -> int:
        return 0 if self.sinks.buffers is None else self.sinks.buffers.next_bin

    def prepare(self, candidate: Candidate) -> None:
        """Give a decoder that is to replace this one the bins that it has to step first."""
        recent = self.stage.recent
        candidate.fresh, n = recent.lag(candidate.mark)
        candidate.bins, candidate.coded_by = recent.last(n), self.artifact.features
        warmed = n if candidate.fresh or candidate.mark is None else candidate.mark.warmed + n
        candidate.mark = Mark(recent.resets, recent.stepped, warmed)

    def swap(self, command: Command, candidate: Candidate) -> None:
        """Let another decoder continue from the next bin, once it has stepped all bins that this one has.

        If it cannot, `command.error` has the reason.
        """
        fresh, behind = self.stage.recent.lag(candidate.mark)
        if candidate.mark is None or (fresh and behind) or behind > MOST_BEHIND:
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
        candidate.decoder = self.stage.adopt(candidate.decoder, behind, artifact.features)
        self._rows = InputRows(artifact, self._rows.counters)
        warmed = behind if fresh else candidate.mark.warmed + behind
        self._log_backlog(command.bin)
        about = {"model": artifact.model_id, "path": str(candidate.path), "warmed": warmed}
        self.log("swap", command.bin, about)
        self.artifact, self.path = artifact, candidate.path
        self._model_row = row
        self._swapped = True
        self.meters.swaps += 1
        self.notices.append(f"model {artifact.model_id} decodes from bin {command.bin}")

    def _row_of(self, model_id: str) -> int | None:
        """Index of a model in the models of /decoded, to which it is added; None if they are full."""
        if self.sinks.buffers is None:
            return 0
        models = self.sinks.buffers.models
        if model_id not in models:
            if len(models) == MAX_MODELS:
                return None
            models.append(model_id)
        return models.index(model_id)

    def _log_backlog(self, bin_number: int) -> None:
        for entry in self._backlog:
            self.log("warmup", bin_number, entry)
        self._backlog.clear()
