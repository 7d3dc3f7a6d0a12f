"""The LSL outlets of a bridge: spikes, and continuous data on request."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pylsl

from rtdecode.serve.lsl_out import describe_columns
from rtdecode.tools.bridge.items import Block, ContinuousFormat, Spike

#: LSL's buffer of an outlet; × 100 samples for an irregular stream, so 300,000 spikes.
SPIKES_BUFFERED = 3000
CONTINUOUS_BUFFERED_S = 10

COLUMNS = ("channel", "unit", "seq")


class BridgeOutlets:
    """Sends stamped items.

    Args:
        stream: name of the stream of spikes.
        n_channels: of the array.
        source_id: of the stream of spikes, the same at every start.

    Attributes:
        spikes, samples: number of spikes and of continuous samples sent.
    """

    def __init__(self, stream: str, n_channels: int, source_id: str) -> None:
        info = pylsl.StreamInfo(stream, "Spikes", len(COLUMNS), pylsl.IRREGULAR_RATE, "int32", source_id)
        info.desc().append_child_value("n_channels", str(n_channels))
        describe_columns(info, COLUMNS, ("",) * len(COLUMNS))
        self.spikes = self.samples = 0
        self._events = pylsl.StreamOutlet(info, max_buffered=SPIKES_BUFFERED)
        self._continuous: pylsl.StreamOutlet | None = None
        self._source_id, self._seq, self._lost = source_id, 0, 0

    def open_continuous(self, stream: str, form: ContinuousFormat) -> None:
        """Open the outlet of continuous data, unless it is open; before, blocks are not sent."""
        if self._continuous is not None:
            return
        source_id = f"{self._source_id}:continuous"
        info = pylsl.StreamInfo(stream, "Broadband", len(form.labels), form.rate_hz, form.dtype, source_id)
        describe_columns(info, form.labels, (form.unit,) * len(form.labels))
        self._continuous = pylsl.StreamOutlet(info, max_buffered=CONTINUOUS_BUFFERED_S)

    def send(self, stamped: Iterable[tuple[Spike | Block, float]], lost_spikes: int) -> None:
        """Send items with their stamps; of `lost_spikes` in all the new ones leave a gap in `seq`."""
        rows, stamps = [], []
        gap, self._lost = lost_spikes - self._lost, lost_spikes
        for item, stamp in stamped:
            if isinstance(item, Spike):
                rows.append((item.channel, item.unit))
                stamps.append(stamp)
            elif self._continuous is not None:
                self._continuous.push_chunk(item.values, stamp)
                self.samples += len(item.values)
        self._seq += gap
        if not rows:
            return
        n = len(rows)
        events = np.empty((n, len(COLUMNS)), np.int32)
        events[:, :2] = rows
        # The running number is an int32 and wraps around.
        seq = np.arange(self._seq, self._seq + n) & 0xFFFFFFFF
        events[:, 2] = seq.astype(np.uint32).view(np.int32)
        self._events.push_chunk(events, np.array(stamps))
        self._seq += n
        self.spikes += n
