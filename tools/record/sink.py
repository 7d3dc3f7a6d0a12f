"""Records what the loop receives; bins are closed as in `serve`, but not decoded."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pylsl

from rtdecode.binning import ClosedBin
from rtdecode.ingest.feed import Feed
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
