"""What has become of each received sample of a recording: written, or left out by reason."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from rtdecode.ingest.beside.behavior import BehaviorReader
from rtdecode.ingest.beside.markers import MarkerReader
from rtdecode.ingest.connection.connector import Connector
from rtdecode.ingest.signals.layouts import Layout
from rtdecode.kernels import sequence, stamps
from rtdecode.serve.loop.pump import Pump
from rtdecode.serve.recording.beside import Beside
from rtdecode.serve.recording.buffers import RecordBuffers
from rtdecode.serve.recording.recorder import Recorder
from rtdecode.serve.reporting.losses import LEFT_OUT, loss_warnings, of_source, stream_counters
from rtdecode.serve.reporting.signal import signal_warnings


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
        pump, recorder, buffers, beside, connector: of the recording.
        counters: i8[N_SEQUENCE_COUNTERS].
    """

    pump: Pump
    recorder: Recorder
    buffers: RecordBuffers
    beside: Beside
    connector: Connector[Layout]
    counters: npt.NDArray[np.int64]

    def spikes(self) -> Fates:
        """Of the spike stream."""
        core, recorder = self.pump.core, self.recorder
        impossible = core.left_out
        return Fates(
            int(self.counters[sequence.RECEIVED]),
            recorder.events + recorder.samples,
            {
                "stamped ahead of now": int(impossible[stamps.AHEAD]),
                "stamped long ago": int(impossible[stamps.BEHIND]),
                "stamped NaN or infinite": int(impossible[stamps.NOT_FINITE]),
                "while their clock was judged, or that are no counts": core.discarded,
                "repeated": int(self.counters[sequence.DUPLICATE]),
                "of a channel out of range": int(self.counters[sequence.OUT_OF_RANGE]),
                "of a unit that is dropped": int(self.counters[sequence.DROPPED_UNIT]),
                LEFT_OUT["not_whole"]: int(self.counters[sequence.NOT_WHOLE]),
                LEFT_OUT["unmapped"]: int(self.counters[sequence.UNMAPPED]),
                LEFT_OUT["quiet"]: int(self.counters[sequence.QUIET]),
                "out of order": recorder.out_of_order,
                "because the disk was too slow": self.buffers.dropped,
            },
        )

    def behavior_samples(self) -> Fates | None:
        """Of the behaviour stream, None without one."""
        return _beside(self.beside.behavior, self.recorder.behavior_rows)

    def markers(self) -> Fates | None:
        """Of the marker stream, None without one."""
        return _beside(self.beside.markers, self.recorder.n_markers)

    def trials(self) -> str:
        """A sentence about the trials made of the markers at the end; "" before, or without rules."""
        return self.recorder.trials

    def units(self) -> dict[int, int]:
        """Number of events of each sorted unit; empty for counts."""
        by_unit = self.pump.by_unit
        return {int(unit): int(by_unit[unit]) for unit in np.flatnonzero(by_unit)}

    def warnings(self) -> list[str]:
        """What makes the file wrong or incomplete."""
        totals = stream_counters(self.counters, self.pump.core)
        # The bins of a recording are not decoded: their late events are in the file all the same.
        totals |= {"late_carried": 0, "late_dropped": 0, "discarded": self.pump.core.discarded}
        feed = self.pump.last_feed
        lines = [*self.connector.problems(), *of_source(loss_warnings(totals, 0, feed), feed)]
        lines += of_source(signal_warnings(feed, self.pump.core), feed)
        lines += self.beside.problems()
        if self.recorder.error or self.recorder.thread.fault:
            lines.append(f"NOT RECORDING: {self.recorder.error or self.recorder.thread.fault}")
        return lines

    def lost(self) -> int:
        """Number of samples lost before they arrived."""
        return int(self.counters[sequence.LOST])


def _beside(reader: BehaviorReader | MarkerReader | None, written: int) -> Fates | None:
    return None if reader is None else Fates(reader.fates.received, written, reader.fates.left_out)
