"""`rtdecode record`: write spikes and behaviour to a session file, without a decoder."""

from __future__ import annotations

from collections.abc import Callable
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
from rtdecode.serve.recording.recorder import Recorder, contents_of, session_attrs
from rtdecode.serve.settings import ServeSettings
from rtdecode.serve.waiting import Stop, await_streams
from rtdecode.session.layout import LogEntry
from rtdecode.session.target import check_writable

#: Longest wait for samples, so that the end of the recording is noticed soon.
PULL_S = 0.05

#: Width of the bins that the feed counts into; nothing is decoded from them.
BIN_WIDTH_S = 0.02


class StreamRecording:
    """Records one stream until `stopping` is set.

    Args:
        settings: of the recording: what is read of them is stream, source_id, layout, behavior, timeout_s
            and overwrite.
        output: session file to write.
        n_channels: of the array, for an events stream that does not state them.
        print_line: prints a line.

    Attributes:
        stopping: set it to True to end `run`.
        counters: i8, indexed by the constants of rtdecode.kernels.sequence.

    Raises:
        RtdecodeError: the output cannot be written.
    """

    def __init__(
        self,
        settings: ServeSettings,
        output: Path,
        n_channels: int | None,
        print_line: Callable[[str], None],
    ) -> None:
        check_writable(output, overwrite=settings.overwrite)
        self.settings, self._output, self._print_line = settings, output, print_line
        self.stopping = False
        self.counters = np.zeros(N_SEQUENCE_COUNTERS, np.int64)
        self._connector = Connector(settings.stream, settings.layout, self._accept, settings.source_id)
        self._behavior = BehaviorReader(settings.behavior) if settings.behavior else None
        self._feed: Feed | None = None
        self._n_channels = n_channels or 0

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
            await_streams(self._connector, self._behavior, self.settings.timeout_s, self._check_stop)
            if (taken := self._connector.take()) is None:
                return
            buffers = RecordBuffers(self._n_channels, 0)
            self._ring = BinRing(self._n_channels, BIN_WIDTH_S)
            self._use(*taken, buffers)
            recorder = self._start_recorder(buffers)
            error = ""
            while not self.stopping:
                self._turn(buffers)
                if recorder.error != error:
                    error = recorder.error
                    self._print_line(
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
        received, lost = int(self.counters[RECEIVED]), int(self.counters[LOST])
        self._print_line(f"recorded {received} samples ({lost} lost) to {self._output}")

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
        attrs = session_attrs(self._output, "record", self.settings.stream)
        recorder = Recorder(
            self._output,
            buffers=buffers,
            behavior=self._behavior,
            contents=lambda: contents_of(
                self._feed, buffers, self._behavior, n_channels=self._n_channels, attrs=attrs
            ),
            overwrite=self.settings.overwrite,
        )
        recorder.start()
        return recorder

    def _use(self, inlet: Inlet, layout: Layout, buffers: RecordBuffers) -> None:
        self._feed = make_feed(layout, inlet, self._ring, carry=True, counters=self.counters)
        self._print_line(f"recording {inlet.stream} as {layout} to {self._output}")

    def _turn(self, buffers: RecordBuffers) -> None:
        if self._feed is None:
            self._connector.ready.wait(PULL_S)
        if (taken := self._connector.take()) is not None:
            self._use(*taken, buffers)
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
            self._print_line(f"stream {self.settings.stream}: its outlet is gone; waiting for it")
            buffers.log.append(LogEntry(pylsl.local_clock(), 0, "outage", {"reason": "its outlet is gone"}))
            return
        if not n:
            return
        if isinstance(feed, CountFeed) and feed.binning is None:
            binning = feed.anchor(float(feed.inlet.time[0]) - feed.period_s, n)
            buffers.samples.begin(binning.origin_s, feed.period_s)
        buffers.add_samples(feed, n, pylsl.local_clock())
