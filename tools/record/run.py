"""`rtdecode record`: write spikes and behaviour to a session file, without a decoder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pylsl

from rtdecode.artifact import FEATURE_KINDS, FeatureColumn
from rtdecode.binning import BinRing
from rtdecode.errors import RtdecodeError
from rtdecode.files import check_writable
from rtdecode.ingest.beside.behavior import BehaviorReader
from rtdecode.ingest.beside.markers import MarkerReader
from rtdecode.ingest.connection.choice import NeedsOption, spike_stream
from rtdecode.ingest.connection.connector import Connector
from rtdecode.ingest.connection.inlet import Inlet
from rtdecode.ingest.signals.events import EventRules
from rtdecode.ingest.signals.features import ValueJudge, check_columns, described_columns, first_values
from rtdecode.ingest.signals.layouts import (
    INTEGER_FORMATS,
    SAMPLED,
    Layout,
    StreamDescription,
    array_channels,
    check_units,
)
from rtdecode.ingest.signals.numbering import AS_DESCRIBED, Numbering, check_numbering
from rtdecode.ingest.signals.raster import check_raster
from rtdecode.kernels.sequence import N_SEQUENCE_COUNTERS
from rtdecode.serve.loop.core import LoopCore
from rtdecode.serve.loop.events import CoreSettings
from rtdecode.serve.loop.pump import Pump
from rtdecode.serve.recording.beside import Beside
from rtdecode.serve.recording.buffers import RecordBuffers
from rtdecode.serve.recording.recorder import Recorder, contents_of
from rtdecode.serve.waiting import Stop, await_streams
from rtdecode.session.contents import recording_attrs
from rtdecode.tools.record.progress import Progress
from rtdecode.tools.record.sink import RecordSink
from rtdecode.tools.record.tally import Tally
from rtdecode.trial_rules import TrialRules

#: Width of the bins by which outages are noticed; nothing is decoded from them.
BIN_WIDTH_S = 0.02


@dataclass(kw_only=True)
class StreamRecording:
    """Records one stream until `stopping` is set.

    Attributes:
        stream: name of the spike stream.
        output: session file to write.
        print_line: prints a line.
        show: shows a text in place of the one before, on a terminal; None prints lines now and then.
        behavior: name of a behaviour stream, or None.
        markers: name of a marker stream, or None.
        trials: rules that make /trials of the markers, or None.
        source_id, behavior_source_id, markers_source_id: of the outlets to record, None for any single one.
        drop_units: sorted units that are left out.
        numbering: what the numbers in the rows of the spike stream mean.
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
    show: Callable[[str], None] | None = None
    behavior: str | None = None
    markers: str | None = None
    trials: TrialRules | None = None
    source_id: str | None = None
    behavior_source_id: str | None = None
    markers_source_id: str | None = None
    drop_units: frozenset[int] = frozenset()
    numbering: Numbering = AS_DESCRIBED
    layout: Layout | None = None
    n_channels: int | None = None
    timeout_s: float = 60.0
    overwrite: bool = False
    stopping: bool = False

    def __post_init__(self) -> None:
        check_writable(self.output, overwrite=self.overwrite)
        if self.layout is not None:
            check_units(self.layout, self.drop_units, f"--layout {self.layout}")
        check_numbering(self.layout or Layout.EVENTS, self.numbering, self.drop_units)
        self._counters = np.zeros(N_SEQUENCE_COUNTERS, np.int64)
        self._connector = Connector(self.stream, self._classify, self._accept, self.source_id)
        self._beside = Beside(
            BehaviorReader(self.behavior, self.behavior_source_id) if self.behavior else None,
            MarkerReader(self.markers, self.markers_source_id) if self.markers else None,
            self.trials,
        )
        self._n_channels = self.n_channels or 0
        self._features: tuple[FeatureColumn, ...] = ()

    def run(self) -> None:
        """Record until `stopping`.

        Raises:
            RtdecodeError: a stream was not found within the timeout or cannot be recorded, or writing failed.
        """
        self._connector.start()
        self._beside.start()
        recorder = None
        try:
            behavior = self._beside.behavior
            await_streams(self._connector, behavior, self.timeout_s, self._check_stop, self.print_line)
            buffers = RecordBuffers(self._n_channels, 0, n_features=len(self._features))
            pump = self._make_pump(buffers)
            recorder = self._start_recorder(pump, buffers)
            tally = Tally(pump, recorder, buffers, self._beside, self._connector, self._counters)
            progress = Progress(self.print_line, self.show)
            while not self.stopping:
                pump.turn()
                progress.update(tally)
        except Stop:
            self.print_line("nothing was recorded: it ended while it waited for its streams")
            return
        finally:
            self._connector.stop()
            self._beside.stop()
            if recorder is not None:
                recorder.stop()
        if recorder.error:
            fix = None if "Fix: " in recorder.error else "free space on the disk, or record elsewhere"
            raise RtdecodeError(recorder.error, fix=fix)
        progress.finish(tally, recorder.path)

    def _classify(self, stream: StreamDescription) -> tuple[Layout, int]:
        features = bool(self._features)
        layout, rank = spike_stream(stream, self.layout, self.numbering.columns, features=features)
        check_units(layout, self.drop_units, f"stream {stream}")
        check_numbering(layout, self.numbering, self.drop_units, stream)
        return layout, rank

    def _accept(self, inlet: Inlet, layout: Layout) -> Layout:
        # By its full description, with the kinds of its columns.
        layout, _ = self._classify(inlet.stream)
        if layout in SAMPLED and not (self._features or self._n_channels):
            layout = self._recognised(inlet, layout)
        if layout is Layout.FEATURES:
            check_columns(inlet.stream, self._features)
        check_numbering(layout, self.numbering, self.drop_units, inlet.stream)
        channel_map = self.numbering.channel_map
        stated = array_channels(inlet.stream, layout) if channel_map is None else None
        if channel_map is not None:
            # A channel of the file may be one that the map leaves out; --channels says how many there are.
            self._n_channels = max(self._n_channels, channel_map.n_channels)
        recorded = self._n_channels or stated
        if recorded is None:
            raise NeedsOption(
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
        check_raster(inlet, layout)
        self._n_channels = recorded
        return layout

    def _recognised(self, inlet: Inlet, layout: Layout) -> Layout:
        """Tell features from counts by the first values of an opened stream."""
        stream = inlet.stream
        if layout is Layout.COUNTS and (self.layout is not None or stream.format in INTEGER_FORMATS):
            return layout
        known = layout is Layout.FEATURES and stream.kinds and set(FEATURE_KINDS).issuperset(stream.kinds)
        seen = ValueJudge(stream.rate_hz) if known else first_values(inlet)
        if layout is Layout.COUNTS and (seen.fractions or seen.are_rates):
            layout = Layout.FEATURES
            what = "are rates in Hz" if seen.are_rates else "are no whole numbers"
            self.print_line(
                f"the values of {stream.name} {what}, so it is recorded as features; --layout counts records "
                "counts"
            )
        if layout is Layout.FEATURES:
            self._features = described_columns(stream, otherwise="rate" if seen.are_rates else "other")
        return layout

    def _check_stop(self) -> None:
        if self.stopping:
            raise Stop

    def _make_pump(self, buffers: RecordBuffers) -> Pump:
        core = LoopCore(CoreSettings(), BinRing(self._n_channels, BIN_WIDTH_S))
        sink = RecordSink(self.stream, self.output, buffers, self.print_line)
        clock = pylsl.local_clock
        rules = EventRules(drop_units=self.drop_units, numbering=self.numbering, features=self._features)
        return Pump(core, sink, self._connector, clock, rules=rules, counters=self._counters)

    def _start_recorder(self, pump: Pump, buffers: RecordBuffers) -> Recorder:
        attrs = recording_attrs(self.output, "record", self.stream, datetime.now(UTC))
        recorder = Recorder(
            self.output,
            buffers=buffers,
            beside=self._beside,
            contents=lambda: contents_of(
                pump.feed, buffers, self._beside, n_channels=self._n_channels, attrs=attrs
            ),
            overwrite=self.overwrite,
        )
        recorder.start()
        return recorder
