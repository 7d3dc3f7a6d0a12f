"""`rtdecode record`: write spikes and behaviour to a session file, without a decoder."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pylsl

from rtdecode.artifact import ElectrodeArray
from rtdecode.binning import BinRing
from rtdecode.errors import RtdecodeError
from rtdecode.files import check_writable
from rtdecode.ingest.beside.behavior import BehaviorReader
from rtdecode.ingest.beside.markers import MarkerReader
from rtdecode.ingest.connection.own_source import check_sources
from rtdecode.ingest.signals.feed import make_array_feed, make_feed
from rtdecode.ingest.source import OpenSource
from rtdecode.serve.array_settings import ArraySettings
from rtdecode.serve.flags import joined
from rtdecode.serve.loop.core import LoopCore
from rtdecode.serve.loop.events import CoreSettings
from rtdecode.serve.loop.hot_loop import SLICE_S
from rtdecode.serve.loop.pump import MAX_WAIT_S, Pump
from rtdecode.serve.recording.beside import Beside
from rtdecode.serve.recording.buffers import RecordBuffers
from rtdecode.serve.recording.recorder import Recorder, contents_of
from rtdecode.serve.waiting import Stop, await_streams
from rtdecode.session.arrays import arrays_attrs
from rtdecode.session.contents import recording_attrs
from rtdecode.tools.record.array import RecordedArray
from rtdecode.tools.record.progress import Progress
from rtdecode.tools.record.sink import RecordSink
from rtdecode.tools.record.tally import Tally
from rtdecode.trial_rules import TrialRules

#: Width of the bins by which outages are noticed; nothing is decoded from them.
BIN_WIDTH_S = 0.02


@dataclass(kw_only=True)
class StreamRecording:
    """Records one stream, or several arrays, until `stopping` is set.

    Attributes:
        arrays: the spike streams, channels in this order.
        features: a stream of features beside them, or None.
        output: session file to write.
        print_line: prints a line.
        show: shows a text in place of the one before, on a terminal; None prints lines now and then.
        behavior: name of a behaviour stream, or None.
        markers: name of a marker stream, or None.
        trials: rules that make /trials of the markers, or None.
        behavior_source_id, markers_source_id: of the outlets to record, None for any single one.
        n_channels: of each array, for events streams that do not state them; empty for none.
        timeout_s: longest wait for the streams at the start, s.
        overwrite: True to replace an existing file.
        sources: of one's own, by the name of their stream; the other streams are those of LSL.
        stopping: set it to True to end `run`.

    Raises:
        RtdecodeError: the output cannot be written, or n_channels is for another number of arrays.
    """

    arrays: Sequence[ArraySettings]
    features: ArraySettings | None = None
    output: Path
    print_line: Callable[[str], None]
    show: Callable[[str], None] | None = None
    behavior: str | None = None
    markers: str | None = None
    trials: TrialRules | None = None
    behavior_source_id: str | None = None
    markers_source_id: str | None = None
    n_channels: Sequence[int] = ()
    timeout_s: float = 60.0
    overwrite: bool = False
    sources: Mapping[str, OpenSource] = field(default_factory=dict)
    stopping: bool = False

    def __post_init__(self) -> None:
        check_writable(self.output, overwrite=self.overwrite)
        if self.n_channels and len(self.n_channels) != len(self.arrays):
            raise RtdecodeError(
                f"is given {len(self.n_channels)} times for {len(self.arrays)} streams",
                where="--channels",
                fix="give it once for each --stream, in their order",
            )
        beside = [] if self.features is None else [self.features]
        check_sources(self.sources, [of.stream for of in (*self.arrays, *beside)])
        given: Sequence[int | None] = self.n_channels or [None] * len(self.arrays)
        self._arrays = [
            RecordedArray(of, n, self.print_line, self.sources)
            for of, n in zip(self.arrays, given, strict=True)
        ]
        self._n_arrays = len(self._arrays)
        if self.features is not None:
            self._arrays.append(RecordedArray(self.features, None, self.print_line, self.sources))
        self._connectors = [array.connector for array in self._arrays]
        self._beside = Beside(
            BehaviorReader(self.behavior, self.behavior_source_id) if self.behavior else None,
            MarkerReader(self.markers, self.markers_source_id) if self.markers else None,
            self.trials,
        )

    @property
    def _n_channels(self) -> int:
        return sum(array.n_channels for array in self._arrays)

    def run(self) -> None:
        """Record until `stopping`.

        Raises:
            RtdecodeError: a stream was not found within the timeout or cannot be recorded, or writing failed.
        """
        for connector in self._connectors:
            connector.start()
        self._beside.start()
        recorder = None
        try:
            behavior = self._beside.behavior
            asked = {array.settings.asked: array.connector for array in self._arrays}
            await_streams(asked, behavior, self.timeout_s, self._check_stop, self.print_line)
            n_features = sum(len(array.rules.features) for array in self._arrays)
            has_power = self._arrays[0].rules.detection.power is not None
            n_power = self._n_channels if has_power else 0
            buffers = RecordBuffers(self._n_channels, 0, n_features=n_features, n_power=n_power)
            pumps = self._make_pumps(buffers)
            recorder = self._start_recorder(pumps, buffers)
            tally = Tally(pumps, recorder, buffers, self._beside)
            progress = Progress(self.print_line, self.show)
            longest_s = MAX_WAIT_S if len(pumps) == 1 else SLICE_S
            while not self.stopping:
                for pump in pumps:
                    pump.turn(longest_s)
                for array in self._arrays:
                    for line in array.rules.detection.news():
                        self.print_line(line)
                progress.update(tally)
        except Stop:
            self.print_line("nothing was recorded: it ended while it waited for its streams")
            return
        finally:
            for connector in self._connectors:
                connector.stop()
            self._beside.stop()
            if recorder is not None:
                recorder.stop()
        if recorder.error:
            fix = None if "Fix: " in recorder.error else "free space on the disk, or record elsewhere"
            raise RtdecodeError(recorder.error, fix=fix)
        progress.finish(tally, recorder.path if recorder.begun else None)

    def _check_stop(self) -> None:
        if self.stopping:
            raise Stop

    def _make_pumps(self, buffers: RecordBuffers) -> list[Pump]:
        pumps, first_channel = [], 0
        for array in self._arrays:
            of = array.settings
            core = LoopCore(CoreSettings(), BinRing(array.n_channels, BIN_WIDTH_S))
            sink = RecordSink(of.stream, self.output, buffers, self.print_line, first_channel)
            make = make_feed if self._n_arrays == 1 or array.rules.features else make_array_feed
            pumps.append(Pump(core, sink, array.connector, pylsl.local_clock, rules=array.rules, make=make))
            first_channel += array.n_channels
        return pumps

    def _start_recorder(self, pumps: Sequence[Pump], buffers: RecordBuffers) -> Recorder:
        stream = joined([of.stream for of in self.arrays])
        attrs = recording_attrs(self.output, "record", stream, datetime.now(UTC))
        spikes = self._arrays[: self._n_arrays]
        if len(spikes) > 1:
            attrs |= arrays_attrs(
                [ElectrodeArray(array.settings.stream, array.n_channels) for array in spikes]
            )
        recorder = Recorder(
            self.output,
            buffers=buffers,
            beside=self._beside,
            contents=lambda: contents_of(
                [pump.feed for pump in pumps],
                buffers,
                self._beside,
                n_channels=self._n_channels,
                attrs=attrs,
                labelled=all(of.channel_map is None for of in self.arrays),
            ),
            overwrite=self.overwrite,
        )
        recorder.start()
        return recorder
