"""`rtdecode record`: write spikes and behaviour to a session file, without a decoder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pylsl

from rtdecode.binning import BinRing, ClosedBin
from rtdecode.errors import RtdecodeError
from rtdecode.ingest.behavior import BehaviorReader
from rtdecode.ingest.connector import Connector
from rtdecode.ingest.feed import Feed
from rtdecode.ingest.inlet import Inlet
from rtdecode.ingest.layouts import Layout, array_channels
from rtdecode.kernels.sequence import LOST, N_SEQUENCE_COUNTERS, RECEIVED
from rtdecode.serve.loop.core import LoopCore
from rtdecode.serve.loop.events import CoreSettings
from rtdecode.serve.loop.instructions import Publish
from rtdecode.serve.loop.pump import Pump
from rtdecode.serve.recording.buffers import RecordBuffers
from rtdecode.serve.recording.recorder import Recorder, contents_of
from rtdecode.serve.waiting import Stop, await_streams
from rtdecode.session.contents import recording_attrs
from rtdecode.session.layout import LogEntry
from rtdecode.session.target import check_writable

#: Width of the bins by which outages are noticed; nothing is decoded from them.
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
            buffers = RecordBuffers(self._n_channels, 0)
            pump = self._make_pump(buffers)
            recorder = self._start_recorder(pump, buffers)
            error = ""
            while not self.stopping:
                pump.turn()
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

    def _make_pump(self, buffers: RecordBuffers) -> Pump:
        core = LoopCore(CoreSettings(), BinRing(self._n_channels, BIN_WIDTH_S))
        sink = RecordSink(self.stream, self.output, buffers, self.print_line)
        clock = pylsl.local_clock
        return Pump(core, sink, self._connector, clock, carry=True, counters=self._counters)

    def _start_recorder(self, pump: Pump, buffers: RecordBuffers) -> Recorder:
        attrs = recording_attrs(self.output, "record", self.stream, datetime.now(UTC))
        recorder = Recorder(
            self.output,
            buffers=buffers,
            behavior=self._behavior,
            contents=lambda: contents_of(
                pump.feed, buffers, self._behavior, n_channels=self._n_channels, attrs=attrs
            ),
            overwrite=self.overwrite,
        )
        recorder.start()
        return recorder


class RecordSink:
    """Records what is received; bins are closed as in `serve`, but not decoded.

    Args:
        stream: name of the stream.
        output: session file.
        buffers: of the recorder.
        print_line: prints a line.
    """

    def __init__(
        self, stream: str, output: Path, buffers: RecordBuffers, print_line: Callable[[str], None]
    ) -> None:
        self._stream, self._output, self._buffers = stream, output, buffers
        self._print_line = print_line

    def record(self, feed: Feed, n: int, now: float) -> None:
        """Record the samples of a pull."""
        self._buffers.add_samples(feed, n, now)

    def number_samples(self, origin_s: float, period_s: float) -> None:
        """Number the samples of a counts stream from `origin_s` on."""
        self._buffers.samples.begin(origin_s, period_s)

    def attached(self, feed: Feed) -> None:
        """A source of the stream is attached."""
        self._print_line(f"recording {feed.inlet.stream} as {feed.layout} to {self._output}")

    def started(self, bin_number: int, origin_s: float) -> None:
        """The first bin is known."""

    def broke_off(self, bin_number: int, reason: str) -> None:
        """Nothing is recorded from now on."""
        self._print(f"{reason}; waiting for it")
        self._log("outage", {"reason": reason})

    def resumed(self, bin_number: int, origin_s: float) -> None:
        """The stream is recorded again."""
        self._print("is recorded again")
        self._log("gap", {"reason": "stream is back"})

    def shifted(self, seconds: float) -> None:
        """The stamps of the stream were shifted before anything was recorded."""
        self._print(f"its stamps are shifted by {seconds:+.3f} s onto our clock")

    def publish(self, bin_: Publish) -> None:
        """Nothing is decoded."""

    def warm(self, closed: ClosedBin) -> None:
        """Nothing is decoded."""

    def held(self, bin_number: int, paused: bool) -> None:
        """Nothing is held."""

    def _log(self, kind: str, about: dict[str, str]) -> None:
        self._buffers.log.append(LogEntry(pylsl.local_clock(), 0, kind, about))

    def _print(self, text: str) -> None:
        self._print_line(f"stream {self._stream}: {text}")
