"""The LSL outlets of a bridge: spikes, and continuous data on request."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt
import pylsl

from rtdecode.serve.lsl_out import describe_columns
from rtdecode.tools.bridge.items import ContinuousFormat, Spike, Stamped

#: LSL's buffer of an outlet; × 100 samples for an irregular stream, so 300,000 spikes.
SPIKES_BUFFERED = 3000
CONTINUOUS_BUFFERED_S = 10

COLUMNS = ("channel", "unit", "seq")


class EventRows:
    """Rows of an events stream, numbered so that what is known to be lost leaves a gap.

    Attributes:
        n: number of rows so far.
    """

    def __init__(self) -> None:
        self.n = 0

    def make(self, spikes: Sequence[Spike], lost: Sequence[int]) -> npt.NDArray[np.int32]:
        """The next rows int32[n, 3]: channel, unit, seq; `lost` is how many were lost in all before each."""
        rows = np.empty((len(spikes), len(COLUMNS)), np.int32)
        rows[:, :2] = [(spike.channel, spike.unit) for spike in spikes]
        # The running number is an int32 and wraps around.
        seq = (np.arange(self.n, self.n + len(spikes)) + np.array(lost)) & 0xFFFFFFFF
        rows[:, 2] = seq.astype(np.uint32).view(np.int32)
        self.n += len(spikes)
        return rows


class BridgeOutlets:
    """Sends stamped items.

    Args:
        stream: name of the stream of spikes, None for none.
        n_channels: of the array.
        source_id: of the stream of spikes, the same at every start.

    Attributes:
        samples: number of continuous samples sent.
    """

    def __init__(self, stream: str | None, n_channels: int | None, source_id: str) -> None:
        self.samples = 0
        self._source_id, self._rows = source_id, EventRows()
        self._continuous: pylsl.StreamOutlet | None = None
        self._events: pylsl.StreamOutlet | None = None
        if stream is None:
            return
        info = pylsl.StreamInfo(stream, "Spikes", len(COLUMNS), pylsl.IRREGULAR_RATE, "int32", source_id)
        info.desc().append_child_value("n_channels", str(n_channels))
        describe_columns(info, COLUMNS, ("",) * len(COLUMNS))
        self._events = pylsl.StreamOutlet(info, max_buffered=SPIKES_BUFFERED)

    def open_continuous(self, stream: str, form: ContinuousFormat) -> None:
        """Open the outlet of continuous data, unless it is open; before, blocks are not sent."""
        if self._continuous is not None:
            return
        source_id = f"{self._source_id}:continuous"
        info = pylsl.StreamInfo(stream, "Broadband", len(form.labels), form.rate_hz, form.dtype, source_id)
        describe_columns(info, form.labels, (form.unit,) * len(form.labels))
        self._continuous = pylsl.StreamOutlet(info, max_buffered=CONTINUOUS_BUFFERED_S)

    def send(self, stamped: Iterable[Stamped]) -> None:
        """Send items with their stamps, spikes in the order of these, not by channel as in a block."""
        spikes, stamps, lost = [], [], []
        for each in stamped:
            if isinstance(each.item, Spike):
                spikes.append(each.item)
                stamps.append(each.stamp)
                lost.append(each.lost)
            elif self._continuous is not None:
                self._continuous.push_chunk(each.item.values, each.stamp)
                self.samples += len(each.item.values)
        if spikes and self._events is not None:
            order = np.argsort(stamps, kind="stable")
            rows = self._rows.make([spikes[i] for i in order], lost)
            self._events.push_chunk(rows, np.array(stamps)[order])

    @property
    def spikes(self) -> int:
        """Number of spikes sent."""
        return self._rows.n
