"""The recorder thread: writes the rings of the loop to a crash-safe session file."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rtdecode.errors import RtdecodeError
from rtdecode.ingest.behavior import BehaviorReader
from rtdecode.ingest.feed import CountFeed, Feed
from rtdecode.serve.recording.buffers import DECODED_RING, EVENT_RING, SAMPLE_RING, RecordBuffers
from rtdecode.session.contents import Contents, DecodedColumns, DecodedRows
from rtdecode.session.grow import SessionWriter

#: A killed daemon loses at most this much, plus what the loop had not passed on yet.
FLUSH_EVERY_S = 0.25

#: Most rows taken from a ring at a time.
MAX_ROWS = 65_536


@dataclass(frozen=True)
class RecordedStream:
    """Properties of the stream that the layout of the file depends on.

    Attributes:
        layout: "events" or "counts".
        source: text for the file's `source` attribute.
        period_s, t0_s: of a counts stream; None for events.
        decoded: columns of /decoded, None for a recording without decoder.
    """

    layout: str
    source: str
    period_s: float | None
    t0_s: float | None
    decoded: DecodedColumns | None


def recorded_stream(
    feed: Feed | None, buffers: RecordBuffers, decoded: DecodedColumns | None = None
) -> RecordedStream | None:
    """The properties of the stream that a feed reads; None without one, or before the first of its counts."""
    counts = isinstance(feed, CountFeed)
    if feed is None or (counts and buffers.samples.t0_s is None):
        return None
    stream = feed.inlet.stream
    return RecordedStream(
        layout=str(feed.layout),
        source=f"LSL stream {stream.name} (source {stream.source_id or 'unnamed'} on {stream.hostname})",
        period_s=1.0 / stream.rate_hz if counts else None,
        t0_s=buffers.samples.t0_s if counts else None,
        decoded=decoded,
    )


class Recorder:
    """Records until it is stopped.

    Args:
        path: session file.
        n_channels: of the array.
        attrs: root attributes of the file.
        buffers: filled by the loop.
        behavior: a started reader, or None.
        stream: returns the properties of the stream, None while they are unknown.
        overwrite: whether to replace an existing file.

    Attributes:
        error: reason why nothing is written at the moment, "" while it is.
        rows: number of bins written.
    """

    def __init__(
        self,
        path: Path,
        *,
        n_channels: int,
        attrs: Mapping[str, str],
        buffers: RecordBuffers,
        behavior: BehaviorReader | None,
        stream: Callable[[], RecordedStream | None],
        overwrite: bool,
    ) -> None:
        self.path, self.error, self.rows = path, "", 0
        self._n_channels, self._attrs, self._overwrite = n_channels, dict(attrs), overwrite
        self._buffers, self._behavior, self._stream = buffers, behavior, stream
        self._writer: SessionWriter | None = None
        self._next_sample_row = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="rtdecode-record", daemon=True)

    def start(self) -> None:
        """Start to record."""
        self._thread.start()

    def stop(self) -> None:
        """Write all remaining rows and close the file."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(5.0)

    def status(self) -> dict[str, Any]:
        """The recorder's part of the status map."""
        behavior = self._behavior
        return {
            "path": str(self.path),
            "error": self.error or (str(behavior.failure) if behavior and behavior.failure else ""),
            "bins": self.rows,
            "dropped": self._buffers.dropped,
            "behavior_dropped": behavior.dropped if behavior else 0,
        }

    def _run(self) -> None:
        while not self._stop.wait(FLUSH_EVERY_S):
            self._attempt(self._pass)
        self._attempt(self._pass)
        if self._writer is not None:
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
            stream = self._stream()
            if stream is None:
                return
            self._writer = writer = self._lay_out(stream)
        self._write_events(writer)
        self._write_samples(writer)
        self._write_behavior(writer)
        self._write_decoded(writer)
        self._write_log(writer)
        writer.flush()

    def _lay_out(self, stream: RecordedStream) -> SessionWriter:
        behavior = self._behavior
        contents = Contents(
            n_channels=self._n_channels,
            attrs=self._attrs | {"source": stream.source},
            behavior=(behavior.names, behavior.units) if behavior else None,
            decoded=stream.decoded,
            counts=None if stream.period_s is None else (stream.period_s, stream.t0_s or 0.0),
            events=stream.layout != "counts",
        )
        return SessionWriter(self.path, contents, overwrite=self._overwrite)

    def _write_events(self, writer: SessionWriter) -> None:
        ring = self._buffers.events
        for rows in _pending(ring.tail, ring.head, EVENT_RING):
            writer.append_events(ring.time[rows], ring.channel[rows], ring.unit[rows])
            ring.tail += rows.stop - rows.start

    def _write_samples(self, writer: SessionWriter) -> None:
        ring = self._buffers.samples
        for rows in _pending(ring.tail, ring.head, SAMPLE_RING):
            for first, counts in self._contiguous(ring.row[rows], ring.counts[rows]):
                self._fill_gap(writer, first)
                writer.append_counts(counts)
                self._next_sample_row = first + len(counts)
            ring.tail += rows.stop - rows.start

    def _contiguous(self, row: Any, counts: Any) -> list[tuple[int, Any]]:
        """Runs of consecutive samples, without rows that are written already."""
        latest = np.maximum.accumulate(np.concatenate(([self._next_sample_row - 1], row)))[:-1]
        fresh = row > latest
        row, counts = row[fresh], counts[fresh]
        if not len(row):
            return []
        cuts = np.flatnonzero(np.diff(row) != 1) + 1
        return [(int(r[0]), c) for r, c in zip(np.split(row, cuts), np.split(counts, cuts), strict=True)]

    def _fill_gap(self, writer: SessionWriter, first: int) -> None:
        """Write zeros for an outage: rows of /counts follow the clock. /log has an entry."""
        while self._next_sample_row < first:
            n = min(first - self._next_sample_row, 4096)
            writer.append_counts(np.zeros((n, self._n_channels), np.uint8))
            self._next_sample_row += n

    def _write_behavior(self, writer: SessionWriter) -> None:
        blocks = self._behavior.blocks if self._behavior else ()
        while blocks:
            writer.append_behavior(*blocks[0])
            blocks.popleft()

    def _write_decoded(self, writer: SessionWriter) -> None:
        ring = self._buffers.decoded
        pending = _pending(ring.tail, ring.head, DECODED_RING)
        # A row may only name a model that the file lists already.
        writer.list_models(self._buffers.models)
        for rows in pending:
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
            )
            writer.append_decoded(bins)
            ring.tail += rows.stop - rows.start
            self.rows += rows.stop - rows.start

    def _write_log(self, writer: SessionWriter) -> None:
        log = self._buffers.log
        entries = [log[i] for i in range(len(log))]
        if entries:
            writer.append_log(entries)
        for _ in entries:
            log.popleft()


def _pending(tail: int, head: int, size: int) -> list[slice]:
    """Slices of a ring that hold rows tail … head-1, in order."""
    slices = []
    while tail < head:
        start = tail % size
        n = min(head - tail, size - start, MAX_ROWS)
        slices.append(slice(start, start + n))
        tail += n
    return slices
