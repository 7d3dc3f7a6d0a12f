"""`rtdecode record`: write spikes and behaviour to a session file, without a decoder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pylsl

from rtdecode.binning import BinRing
from rtdecode.errors import RtdecodeError
from rtdecode.ingest.behavior import BehaviorReader
from rtdecode.ingest.connector import Connector
from rtdecode.ingest.feed import CountFeed, Feed, make_feed
from rtdecode.ingest.inlet import Inlet, StreamLost
from rtdecode.ingest.layouts import Layout, array_channels
from rtdecode.kernels.sequence import LOST, N_SEQUENCE_COUNTERS, RECEIVED
from rtdecode.serve.recording.buffers import RecordBuffers
from rtdecode.serve.recording.recorder import Recorder, contents_of
from rtdecode.serve.waiting import Stop, await_streams
from rtdecode.session.contents import recording_attrs
from rtdecode.session.layout import LogEntry
from rtdecode.session.target import check_writable

#: Longest wait for samples, so that the end of the recording is noticed soon.
PULL_S = 0.05

#: Width of the bins that the feed counts into; nothing is decoded from them.
BIN_WIDTH_S = 0.02


@dataclass(kw_only=True)
class StreamRecording:
    """Records one stream until `stopping` is set.

    Attributes:
        stream: name of the spike stream.
        output: session file to write.
        print_line: prints a line.
        behavior: name of a behaviour stream, or None.
        source_id: source_id of the outlet to record, None for any.
        layout: layout of the spike stream, None to derive it from its type and shape.
        n_channels: channels of the array, for an events stream that does not state them.
        timeout_s: longest wait for the streams at the start, s.
        overwrite: True to replace an existing file.
        stopping: set it to True to end `run`.

    Raises:
        RtdecodeError: the output cannot be written.
    """

    stream: str
    output: Path
    print_line: Callable[[str], None]
    behavior: str | None = None
    source_id: str | None = None
    layout: Layout | None = None
    n_channels: int | None = None
    timeout_s: float = 60.0
    overwrite: bool = False
    stopping: bool = False

    def __post_init__(self) -> None:
        check_writable(self.output, overwrite=self.overwrite)
        self._counters = np.zeros(N_SEQUENCE_COUNTERS, np.int64)
        self._connector = Connector(self.stream, self.layout, self._accept, self.source_id)
        self._behavior = BehaviorReader(self.behavior) if self.behavior else None
        self._feed: Feed | None = None
        self._n_channels = self.n_channels or 0

    def run(self) -> None:
        """Record until `stopping`.

        Raises:
            RtdecodeError: a stream was not found within the timeout or cannot be recorded, or writing failed.
        """
        self._connector.start()
        if self._behavior is not None:
            self._behavior.start()
        recorder = None
        try:
            await_streams(self._connector, self._behavior, self.timeout_s, self._check_stop)
            if (taken := self._connector.take()) is None:
                return
            buffers = RecordBuffers(self._n_channels, 0)
            self._ring = BinRing(self._n_channels, BIN_WIDTH_S)
            self._use(*taken)
            recorder = self._start_recorder(buffers)
            error = ""
            while not self.stopping:
                self._turn(buffers)
                if recorder.error != error:
                    error = recorder.error
                    self.print_line(
                        f"NOT RECORDING: {error}" if error else "recording again, nothing is missing"
                    )
        except Stop:
            return
        finally:
            self._connector.stop()
            if self._behavior is not None:
                self._behavior.stop()
            if recorder is not None:
                recorder.stop()
        if recorder.error:
            raise RtdecodeError(recorder.error, fix="free space on the disk, or record elsewhere")
        received, lost = int(self._counters[RECEIVED]), int(self._counters[LOST])
        self.print_line(f"recorded {received} samples ({lost} lost) to {self.output}")

    def _accept(self, inlet: Inlet, layout: Layout) -> None:
        stated = array_channels(inlet.stream, layout)
        recorded = self._n_channels or stated
        if recorded is None:
            raise RtdecodeError(
                "the stream does not state the number of channels of the array",
                where=f"stream {inlet.stream}",
                fix="add --channels N",
            )
        if stated is not None and stated != recorded:
            raise RtdecodeError(
                f"the stream has {stated} channels, but {recorded} are being recorded",
                where=f"stream {inlet.stream}",
                fix=f"give --channels {stated}, or send the stream of an array of {recorded}",
            )
        self._n_channels = recorded

    def _check_stop(self) -> None:
        if self.stopping:
            raise Stop

    def _start_recorder(self, buffers: RecordBuffers) -> Recorder:
        attrs = recording_attrs(self.output, "record", self.stream, datetime.now(UTC))
        recorder = Recorder(
            self.output,
            buffers=buffers,
            behavior=self._behavior,
            contents=lambda: contents_of(
                self._feed, buffers, self._behavior, n_channels=self._n_channels, attrs=attrs
            ),
            overwrite=self.overwrite,
        )
        recorder.start()
        return recorder

    def _use(self, inlet: Inlet, layout: Layout) -> None:
        self._feed = make_feed(layout, inlet, self._ring, carry=True, counters=self._counters)
        self.print_line(f"recording {inlet.stream} as {layout} to {self.output}")

    def _turn(self, buffers: RecordBuffers) -> None:
        if self._feed is None:
            self._connector.ready.wait(PULL_S)
        if (taken := self._connector.take()) is not None:
            self._use(*taken)
            buffers.log.append(LogEntry(pylsl.local_clock(), 0, "gap", {"reason": "stream is back"}))
        feed = self._feed
        if feed is None:
            return
        try:
            n = feed.pull(PULL_S)
        except StreamLost:
            self._connector.dispose(feed.inlet)
            self._feed = None
            self._connector.request()
            self.print_line(f"stream {self.stream}: its outlet is gone; waiting for it")
            buffers.log.append(LogEntry(pylsl.local_clock(), 0, "outage", {"reason": "its outlet is gone"}))
            return
        if not n:
            return
        if isinstance(feed, CountFeed) and feed.binning is None:
            binning = feed.anchor(float(feed.inlet.time[0]) - feed.period_s, n)
            buffers.samples.begin(binning.origin_s, feed.period_s)
        buffers.add_samples(feed, n, pylsl.local_clock())
