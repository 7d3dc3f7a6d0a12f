"""What has become of each received sample of a recording: written, or left out by reason."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from rtdecode.ingest.beside.behavior import BehaviorReader
from rtdecode.ingest.beside.markers import MarkerReader
from rtdecode.kernels import sequence, stamps
from rtdecode.kernels.arrays import I8
from rtdecode.serve.loop.pump import Pump
from rtdecode.serve.recording.beside import Beside
from rtdecode.serve.recording.buffers import RecordBuffers
from rtdecode.serve.recording.recorder import Recorder
from rtdecode.serve.reporting.losses import LEFT_OUT, loss_warnings, of_source, stream_counters
from rtdecode.serve.reporting.signal import signal_warnings
from rtdecode.serve.reporting.streams import by_kind


@dataclass(frozen=True)
class Fates:
    """Numbers of samples.

    Attributes:
        received: all; written: of them, in the file.
        left_out: of the others, by reason; 0 for what did not happen.
        waiting: still on their way into the file.
    """

    received: int
    written: int
    left_out: dict[str, int] = field(default_factory=dict)

    @property
    def waiting(self) -> int:
        """Number of samples on their way into the file."""
        return self.received - self.written - sum(self.left_out.values())


@dataclass(frozen=True)
class Tally:
    """Counts of a running recording.

    Attributes:
        pumps: of the streams of spikes, and of features.
        recorder, buffers, beside: of the recording.
    """

    pumps: Sequence[Pump]
    recorder: Recorder
    buffers: RecordBuffers
    beside: Beside

    def fates(self) -> dict[str, Fates]:
        """Of the samples of all streams, by what they carry."""
        recorder, dropped, features = self.recorder, self.buffers.dropped, self.buffers.features.dropped
        found = {}
        for what, pumps in by_kind(self.pumps).items():
            written, out_of_order, lost = {
                "spikes": (recorder.events + recorder.samples, recorder.out_of_order, dropped - features),
                "features": (recorder.feature_samples, recorder.features_out_of_order, features),
            }[what]
            left_out = _left_out(pumps) | {
                "out of order": out_of_order,
                "because the disk was too slow": lost,
            }
            found[what] = Fates(int(_counters(pumps)[sequence.RECEIVED]), written, left_out)
        beside = self.beside
        if beside.behavior is not None:
            found["behaviour"] = _beside(beside.behavior, recorder.behavior_rows)
        if beside.markers is not None:
            found["markers"] = _beside(beside.markers, recorder.n_markers)
        return found

    def trials(self) -> str:
        """A sentence about the trials made of the markers at the end; "" before, or without rules."""
        return self.recorder.trials

    def units(self) -> dict[int, int]:
        """Number of events of each sorted unit; empty for counts."""
        by_unit = np.sum([pump.by_unit for pump in self.pumps], axis=0)
        return {int(unit): int(by_unit[unit]) for unit in np.flatnonzero(by_unit)}

    def warnings(self) -> list[str]:
        """What makes the file wrong or incomplete."""
        lines = []
        for pump in self.pumps:
            totals = stream_counters(pump.counters, pump.core)
            # The bins of a recording are not decoded: their late events are in the file all the same.
            totals |= {"late_carried": 0, "late_dropped": 0, "discarded": pump.core.discarded}
            feed = pump.last_feed
            lines += [*pump.connector.problems(), *of_source(loss_warnings(totals, 0, feed), feed)]
            lines += of_source(signal_warnings(feed, pump.core), feed)
        lines += self.beside.problems()
        if self.recorder.error or self.recorder.thread.fault:
            lines.append(f"NOT RECORDING: {self.recorder.error or self.recorder.thread.fault}")
        return lines

    def lost(self) -> int:
        """Number of samples lost before they arrived."""
        return int(_counters(self.pumps)[sequence.LOST])


def _counters(pumps: Sequence[Pump]) -> I8:
    total: I8 = np.sum([pump.counters for pump in pumps], axis=0)
    return total


def _left_out(pumps: Sequence[Pump]) -> dict[str, int]:
    """Samples that the loop left out, by reason."""
    counters = _counters(pumps)
    impossible = np.sum([pump.core.left_out for pump in pumps], axis=0)
    return {
        "stamped ahead of now": int(impossible[stamps.AHEAD]),
        "stamped long ago": int(impossible[stamps.BEHIND]),
        "stamped NaN or infinite": int(impossible[stamps.NOT_FINITE]),
        "while their clock was judged, or that are no counts": sum(pump.core.discarded for pump in pumps),
        "repeated": int(counters[sequence.DUPLICATE]),
        "of a channel out of range": int(counters[sequence.OUT_OF_RANGE]),
        "of a unit that is dropped": int(counters[sequence.DROPPED_UNIT]),
        LEFT_OUT["not_whole"]: int(counters[sequence.NOT_WHOLE]),
        LEFT_OUT["unmapped"]: int(counters[sequence.UNMAPPED]),
        LEFT_OUT["quiet"]: int(counters[sequence.QUIET]),
    }


def _beside(reader: BehaviorReader | MarkerReader, written: int) -> Fates:
    return Fates(reader.fates.received, written, reader.fates.left_out)
