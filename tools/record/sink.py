"""Records what the loop receives; bins are closed as in `serve`, but not decoded."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pylsl

from rtdecode.binning import ClosedBin
from rtdecode.ingest.connection.source_log import SourceLog
from rtdecode.ingest.signals.feed import Feed, reading_of
from rtdecode.serve.loop.instructions import Publish
from rtdecode.serve.recording.buffers import RecordBuffers
from rtdecode.session.layout import LogEntry


class RecordSink:
    """Records what is received; bins are closed as in `serve`, but not decoded.

    Args:
        stream: name of the stream.
        output: session file.
        buffers: of the recorder.
        print_line: prints a line.
        first_channel: number of channels of the arrays before.

    Attributes:
        source: of the stream.
    """

    def __init__(
        self,
        stream: str,
        output: Path,
        buffers: RecordBuffers,
        print_line: Callable[[str], None],
        first_channel: int = 0,
    ) -> None:
        self._output, self._buffers, self._print_line = output, buffers, print_line
        self._first_channel = first_channel
        self.source = SourceLog(f"stream {stream}", print_line, self._log)

    def record(self, feed: Feed, n: int, now: float) -> None:
        """Record the samples of a pull."""
        self._buffers.add_samples(feed, n, now, self._first_channel)

    def number_samples(self, origin_s: float, period_s: float) -> None:
        """Number the samples of a counts stream from `origin_s` on."""
        self._buffers.samples.begin(origin_s, period_s)

    def attached(self, feed: Feed) -> None:
        """A source of the stream is attached."""
        stream = feed.inlet.stream
        self.source.attached(stream, 0)
        self._print_line(
            f"recording {stream} as {reading_of(feed)} to {self._output}, source {self.source.name}"
        )

    def started(self, bin_number: int, origin_s: float) -> None:
        """The first bin is known."""

    def broke_off(self, bin_number: int, reason: str) -> None:
        """Nothing is recorded from now on."""
        self.source.tell("outage", 0, f"{reason}; waiting for it", reason=reason)

    def resumed(self, bin_number: int, origin_s: float) -> None:
        """The stream is recorded again."""
        self.source.tell("gap", 0, "is recorded again", reason="stream is back")

    def shifted(self, seconds: float) -> None:
        """The stamps of the stream were shifted before anything was recorded."""
        shifted = f"its stamps are shifted by {seconds:+.3f} s onto our clock"
        self.source.tell("shifted", 0, shifted, seconds=seconds)

    def publish(self, bin_: Publish) -> None:
        """Nothing is decoded."""

    def warm(self, closed: ClosedBin) -> None:
        """Nothing is decoded."""

    def held(self, bin_number: int, paused: bool) -> None:
        """Nothing is held."""

    def _log(self, kind: str, bin_number: int, data: Mapping[str, Any]) -> None:
        self._buffers.log.append(LogEntry(pylsl.local_clock(), bin_number, kind, dict(data)))
