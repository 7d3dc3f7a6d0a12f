"""The recorder thread: writes the rings of the loop to a crash-safe session file."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rtdecode.errors import RtdecodeError
from rtdecode.files import unused
from rtdecode.helper_thread import HelperThread
from rtdecode.ingest.beside.fates import Fates
from rtdecode.ingest.connection.identity import lsl_source
from rtdecode.ingest.signals.broadband import BroadbandFeed
from rtdecode.ingest.signals.counts import CountFeed, SampleFeed
from rtdecode.ingest.signals.features import FeatureFeed
from rtdecode.ingest.signals.feed import Feed, samples_of
from rtdecode.ingest.signals.layouts import channel_labels
from rtdecode.ingest.signals.timed.features import TimedFeatureFeed
from rtdecode.ingest.signals.timed.power import TimedPower
from rtdecode.serve.recording.beside import Beside
from rtdecode.serve.recording.buffers import (
    DECODED_RING,
    EVENT_RING,
    FEATURE_RING,
    SAMPLE_RING,
    DecodedRing,
    EventRing,
    FeatureRing,
    RecordBuffers,
    SampleRing,
)
from rtdecode.session.arrays import labels_attrs
from rtdecode.session.contents import Contents, DecodedColumns, DecodedRows
from rtdecode.session.grow import SessionWriter
from rtdecode.session.layout import Markers
from rtdecode.session.trials import find_trials

#: A killed daemon loses at most this much, plus what the loop had not passed on yet.
FLUSH_EVERY_S = 0.25

#: Most rows taken from a ring at a time.
MAX_ROWS = 65_536


def contents_of(
    feeds: Sequence[Feed | None],
    buffers: RecordBuffers,
    beside: Beside,
    *,
    n_channels: int,
    attrs: Mapping[str, str],
    decoded: DecodedColumns | None = None,
    labelled: bool = True,
) -> Contents | None:
    """The contents of a file that records a stream; None before it is attached, of counts before it has a
    sample, and of voltage before its noise is known.

    Args:
        feeds: of the attached stream, or of each array; None for one that is away.
        buffers: that the loop fills.
        beside: what is recorded beside the spikes, started.
        n_channels: of the array.
        attrs: root attributes of the file, without the source.
        decoded: columns of /decoded, None for a recording without decoder.
        labelled: whether columns of streams are channels in their order, so that their labels are kept.
    """
    t0_s, behavior = buffers.samples.t0_s, beside.behavior
    there = [feed for feed in feeds if feed is not None]
    counts = any(isinstance(feed, CountFeed) for feed in there)
    samples = [*map(samples_of, there), *(of.power for of in there if isinstance(of, BroadbandFeed))]
    of_features = [of for of in samples if isinstance(of, FeatureFeed | TimedPower)]
    features = [(of.wanted, of.period_s) for of in of_features]
    # Noise of several arrays would need a place for each.
    detections = [feed.detection.recorded() for feed in feeds if isinstance(feed, BroadbandFeed)]
    detection = detections[0] if len(feeds) == len(detections) == 1 else None
    if not there or (counts and t0_s is None) or (len(feeds) == len(detections) == 1 and detection is None):
        return None
    streams = [feed.inlet.stream for feed in there]
    labels = [label for feed in there for label in channel_labels(feed.inlet.stream, feed.layout)]
    kept = labels_attrs(labels) if labelled and len(labels) == n_channels else {}
    return Contents(
        n_channels=n_channels,
        attrs={**attrs, **kept, "source": ", ".join(map(lsl_source, streams)), **beside.sources()},
        behavior=(behavior.names, behavior.units) if behavior else None,
        decoded=decoded,
        counts=(1.0 / streams[0].rate_hz, t0_s or 0.0) if counts else None,
        features=features[0] if features else None,
        events=any(not isinstance(each, SampleFeed | TimedFeatureFeed) for each in there),
        detection=detection,
        markers=beside.markers is not None,
        trials=beside.rules is not None,
    )


class Recorder:
    """Records until it is stopped.

    Args:
        path: session file.
        buffers: filled by the loop.
        beside: what is recorded beside the spikes, started.
        contents: returns the contents of the file, None while they are unknown.
        overwrite: whether to replace an existing file.

    Attributes:
        path: of the file; numbered if that name was taken after the start.
        error: reason why nothing is written at the moment, "" while it is.
        rows, events, samples, feature_samples, behavior_rows: number of bins, events, samples of counts, of
            features that were received, and of behaviour written.
        n_markers: number of markers written.
        trials: a sentence about the trials made of them at the end, "" before.
        out_of_order, features_out_of_order: number of samples of counts, and of features, left out because
            later ones were written already.
    """

    def __init__(
        self,
        path: Path,
        *,
        buffers: RecordBuffers,
        beside: Beside,
        contents: Callable[[], Contents | None],
        overwrite: bool,
    ) -> None:
        self.path, self.error, self.trials = path, "", ""
        self.rows = self.events = self.samples = self.behavior_rows = self.out_of_order = 0
        self.feature_samples = self.features_out_of_order = 0
        self._buffers, self._beside = buffers, beside
        self._markers: list[Markers] = []
        self.n_markers = 0
        self._contents, self._overwrite = contents, overwrite
        self._writer: SessionWriter | None = None
        self._of_voltage = False
        self._next_sample_row, self._row_end_s = 0, 0.0
        self._stop = threading.Event()
        self.thread = HelperThread("record", self._run)

    def start(self) -> None:
        """Start to record."""
        self.thread.start()

    def stop(self) -> None:
        """Write all remaining rows and close the file."""
        self._stop.set()
        self.thread.join(5.0)

    @property
    def begun(self) -> bool:
        """Whether there is a file: not before its contents are known."""
        return self._writer is not None

    def status(self) -> dict[str, Any]:
        """The recorder's part of the status map."""
        behavior, markers = (
            reader.fates if reader else Fates() for reader in (self._beside.behavior, self._beside.markers)
        )
        return {
            "path": str(self.path),
            "error": self.error or self.thread.fault,
            "bins": self.rows,
            "dropped": self._buffers.dropped,
            "behavior_samples": behavior.kept,
            "behavior_dropped": behavior.n_left_out,
            "markers": markers.kept,
            "markers_dropped": markers.n_left_out,
        }

    def _run(self) -> None:
        while not self._stop.wait(FLUSH_EVERY_S):
            self._attempt(self._pass)
        self._attempt(self._pass)
        if self._writer is not None:
            self._attempt(self._write_trials)
            self._attempt(self._writer.close)

    def _attempt(self, step: Callable[[], None]) -> None:
        """Run a step; after an error of the disk, which must not end the session, it is tried again."""
        try:
            step()
            self.error = ""
        except OSError as error:
            self.error = f"{self.path}: {error.strerror or error}; decoding continues, writing is tried again"
        except RtdecodeError as error:
            self.error = str(error)

    def _pass(self) -> None:
        writer = self._writer
        if writer is None:
            contents = self._contents()
            if contents is None:
                return
            if not self._overwrite:
                # Another recording may have taken the name since it was checked.
                self.path = unused(self.path)
            self._of_voltage = contents.detection is not None
            self._writer = writer = SessionWriter(self.path, contents, overwrite=self._overwrite)
        self._write_events(writer)
        self._write_samples(writer)
        self._write_features(writer)
        self._write_behavior(writer)
        self._write_markers(writer)
        self._write_decoded(writer)
        self._write_log(writer)
        writer.flush()

    def _write_events(self, writer: SessionWriter) -> None:
        ring = self._buffers.events
        for rows in _taken(ring, ring.head, EVENT_RING):
            writer.append_events(ring.time[rows], ring.channel[rows], ring.unit[rows])
            self.events += rows.stop - rows.start

    def _write_samples(self, writer: SessionWriter) -> None:
        ring = self._buffers.samples
        for rows in _taken(ring, ring.head, SAMPLE_RING):
            row, counts, end_s = ring.row[rows], ring.counts[rows], ring.end_s[rows]
            latest = np.maximum.accumulate(np.concatenate(([self._next_sample_row - 1], row)))[:-1]
            # Rows that are written already, of samples out of order, are not written again.
            fresh = np.flatnonzero(row > latest)
            self.out_of_order += len(row) - len(fresh)
            if not len(fresh):
                continue
            for run in np.split(fresh, np.flatnonzero(np.diff(row[fresh]) != 1) + 1):
                self._fill_gap(writer, int(row[run[0]]), float(end_s[run[0]]))
                ends_s = np.maximum.accumulate(end_s[run])
                writer.append_counts(counts[run], ends_s)
                self.samples += len(run)
                self._next_sample_row, self._row_end_s = int(row[run[-1]]) + 1, float(ends_s[-1])

    def _fill_gap(self, writer: SessionWriter, first: int, end_s: float) -> None:
        """Write zeros for an outage before row `first`, which ends at `end_s`. /log has an entry."""
        missing = first - self._next_sample_row
        begins_s = writer.counts_t0_s if self._next_sample_row == 0 else self._row_end_s
        ends_s = np.linspace(begins_s, end_s, missing + 2)[1:-1]
        for at in range(0, missing, 4096):
            piece = ends_s[at : at + 4096]
            writer.append_counts(
                np.zeros((len(piece), self._buffers.samples.counts.shape[1]), np.uint8), piece
            )

    def _write_features(self, writer: SessionWriter) -> None:
        ring = self._buffers.features
        for rows in _taken(ring, ring.head, FEATURE_RING):
            n = writer.append_features(ring.end_s[rows], ring.values[rows])
            if self._of_voltage:
                # Power is made here, and was not received.
                continue
            self.feature_samples += n
            self.features_out_of_order += rows.stop - rows.start - n

    def _write_behavior(self, writer: SessionWriter) -> None:
        blocks = self._beside.behavior.blocks if self._beside.behavior else ()
        while blocks:
            writer.append_behavior(*blocks[0])
            self.behavior_rows += len(blocks.popleft().time)

    def _write_markers(self, writer: SessionWriter) -> None:
        blocks = self._beside.markers.blocks if self._beside.markers else ()
        while blocks:
            writer.append_markers(blocks[0])
            self.n_markers += len(blocks[0].text)
            self._markers.append(blocks.popleft())

    def _write_trials(self) -> None:
        if self._beside.rules is None or self._writer is None:
            return
        time = np.concatenate([np.zeros(0), *(block.time for block in self._markers)])
        markers = Markers(time, tuple(text for block in self._markers for text in block.text))
        trials, self.trials = find_trials(markers, self._beside.rules)
        self._writer.append_trials(trials)

    def _write_decoded(self, writer: SessionWriter) -> None:
        ring, head = self._buffers.decoded, self._buffers.decoded.head
        # A row may only name a model that the file lists already.
        writer.list_models(self._buffers.models)
        for rows in _taken(ring, head, DECODED_RING):
            bins = DecodedRows(
                ring.bin[rows],
                ring.t_bin[rows],
                ring.values[rows],
                ring.flags[rows],
                ring.model[rows],
                ring.late[rows],
                ring.lost[rows],
                ring.counts[rows],
                ring.out[rows] if ring.out.shape[1] else None,
                ring.codes[rows] if ring.codes.shape[1] else None,
            )
            writer.append_decoded(bins)
            self.rows += rows.stop - rows.start

    def _write_log(self, writer: SessionWriter) -> None:
        for log in (self._buffers.log, *self._beside.logs()):
            entries = [log[i] for i in range(len(log))]
            if entries:
                writer.append_log(entries)
            for _ in entries:
                log.popleft()


def _taken(ring: EventRing | SampleRing | FeatureRing | DecodedRing, head: int, size: int) -> Iterator[slice]:
    """Slices of the rows up to `head`, in order; the loop may use one again once it is written."""
    while ring.tail < head:
        start = ring.tail % size
        n = min(head - ring.tail, size - start, MAX_ROWS)
        yield slice(start, start + n)
        ring.tail += n
