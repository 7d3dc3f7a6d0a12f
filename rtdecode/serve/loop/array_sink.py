"""Receives what becomes of one of several arrays' streams, and passes their joint bins on."""

from __future__ import annotations

from rtdecode.binning import ClosedBin
from rtdecode.ingest.connection.source_log import SourceLog
from rtdecode.ingest.signals.feed import Feed, reading_of
from rtdecode.serve.loop.decoding import Decoding
from rtdecode.serve.loop.instructions import BrokeOff, Publish, Resumed
from rtdecode.serve.loop.joint import Joint
from rtdecode.serve.reporting.connection import labels_line, model_line, stream_report


class ArraySink:
    """A `BinSink` of one array.

    Args:
        name: of its stream.
        array: its index.
        joint: of all arrays.
        decoding: receives the joint bins.

    Attributes:
        source: of its stream.
    """

    def __init__(self, name: str, array: int, joint: Joint, decoding: Decoding) -> None:
        self.name, self._array, self._joint, self._decoding = name, array, joint, decoding
        self.source = SourceLog(f"stream {name}", decoding.notices.append, decoding.log)

    def attached(self, feed: Feed) -> None:
        """A source of the stream is attached."""
        stream, inlet = feed.inlet.stream, feed.inlet
        self.source.attached(stream, self._joint.ring.next_bin)
        notices = self._decoding.notices
        columns = [feature.column for feature in self._decoding.artifact.features]
        notices.extend(stream_report(stream, feed.layout, inlet.correction_s, reading_of(feed), columns))
        labels = self._decoding.artifact.channel_labels[self._joint.channels[self._array]]
        notices.extend(labels_line(stream, feed.layout, labels))
        arrays = self._decoding.artifact.arrays
        of_model = arrays[self._array] if self._array < len(arrays) else None
        if of_model is not None and of_model.name != self.name:
            notices.append(f"stream {self.name} is decoded as the model's array {of_model}")

    def warm(self, closed: ClosedBin) -> None:
        """Arrays that share their bins have no backlog."""

    def publish(self, bin_: Publish) -> None:
        """A bin of this array; with the last array's it is decoded and published."""
        for instruction in self._joint.add(self._array, bin_):
            match instruction:
                case Publish():
                    self._decoding.publish(instruction)
                case Resumed(bin_number, origin_s):
                    self._decoding.resumed(bin_number, origin_s)
                case BrokeOff(bin_number, reason):
                    self._decoding.broke_off(bin_number, reason)

    def record(self, feed: Feed, n: int, now: float) -> None:
        """Record the samples of a pull, behind the channels of the arrays before."""
        self._decoding.record(feed, n, now, self._joint.channels[self._array].start)

    def number_samples(self, origin_s: float, period_s: float) -> None:
        """Samples of arrays are recorded as events."""

    def started(self, bin_number: int, origin_s: float) -> None:
        """The first bin is known: that of all arrays."""
        if self._joint.begin():
            self._decoding.notices.append(model_line(self._decoding.artifact))
            self._decoding.started(bin_number, origin_s)

    def broke_off(self, bin_number: int, reason: str) -> None:
        """The array is away from this bin on."""
        self.source.reason, self._joint.reasons[self._array] = reason, f"{self.name}: {reason}"
        self.source.tell("array_away", bin_number, f"{reason}; away from bin {bin_number}", reason=reason)

    def resumed(self, bin_number: int, origin_s: float) -> None:
        """The array is there again from this bin on."""
        self.source.reason = self._joint.reasons[self._array] = ""
        self.source.tell("array_back", bin_number, f"there again from bin {bin_number}", origin_s=origin_s)

    def held(self, bin_number: int, paused: bool) -> None:
        """Values are held from this bin on, or no longer; each array's core reports it."""
        if self._array == 0:
            self._decoding.held(bin_number, paused)

    def shifted(self, seconds: float) -> None:
        """The stamps of the stream were shifted while the array was away."""
        shifted = f"its stamps are shifted by {seconds:+.3f} s onto our clock"
        self.source.tell("shifted", self._joint.ring.next_bin, shifted, seconds=seconds)
