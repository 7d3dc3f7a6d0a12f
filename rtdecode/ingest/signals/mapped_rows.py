"""Events with other columns, types or channel numbers than the `events` layout has by itself."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from rtdecode.binning import EventColumns
from rtdecode.ingest.connection.inlet import MAX_PULL
from rtdecode.ingest.signals.event_columns import RowColumns
from rtdecode.ingest.signals.layouts import Layout, StreamDescription
from rtdecode.ingest.signals.numbering import Numbering, columns_of
from rtdecode.ingest.signals.rows import EventRows, NumberedRows, PlainRows, rows_of
from rtdecode.kernels import sequence
from rtdecode.kernels.arrays import I4, I8, U1

CHANNEL, UNIT, SEQ = range(3)

#: Columns of the `events` layout.
PLAIN = RowColumns(0, 1, 2)

#: From here on float32 has not every whole number, and float64 from the next.
FLOAT32_END, FLOAT64_END = 1 << 24, 1 << 53


def rows_for(
    stream: StreamDescription, layout: Layout, numbering: Numbering, n_channels: int, counters: I8
) -> EventRows:
    """A reader for a new stream.

    Args:
        stream: its full description.
        layout: of single spikes.
        numbering: what the numbers in its rows mean.
        n_channels: of the array.
        counters: i8[N_SEQUENCE_COUNTERS], added to.
    """
    columns = columns_of(stream, layout, numbering)
    known = layout is not Layout.EVENTS or (
        columns == PLAIN and (stream.n_columns, stream.format) == (3, "int32")
    )
    if known and not numbering.first_channel and numbering.channel_map is None:
        return rows_of(layout, n_channels, counters)
    return MappedRows(columns, numbering, n_channels, counters)


class MappedRows:
    """Brings rows into the form of the `events` layout, whole numbers of channels from 0, and reads them so.

    A row with a fraction, NaN or infinity in a column that is used is counted and left out, and so is one of
    a channel that the channel map does not name.

    Args:
        columns: which column is what.
        numbering: of the channels.
        n_channels, counters: as in `NumberedRows`.

    Attributes:
        of: as `columns`.
    """

    def __init__(self, columns: RowColumns, numbering: Numbering, n_channels: int, counters: I8) -> None:
        self.of, self._first, self._counters = columns, numbering.first_channel, counters
        self._n_channels = n_channels
        self._without: EventRows = PlainRows(n_channels, counters, has_unit=True)
        self._reader: EventRows = self._without
        if columns.seq is not None:
            self._reader = NumberedRows(n_channels, counters)
        self._rows: I4 = np.zeros((MAX_PULL, 3), np.int32)
        self._last_sent = self._last = 0
        pairs = sorted(numbering.channel_map.by_number().items()) if numbering.channel_map else []
        self._mapped = bool(pairs)
        self._sent: I8 = np.array([sent for sent, _ in pairs], np.int64)
        self._channels: I8 = np.array([channel for _, channel in pairs], np.int64)

    @property
    def numbered(self) -> bool:
        """Whether a running number shows losses and duplicates."""
        return self._reader.numbered

    def read(self, samples: npt.NDArray[Any], n: int, possible: U1, columns: EventColumns, unit: U1) -> None:
        """See `EventRows`."""
        of, rows, counters = self.of, self._rows[:n], self._counters
        channel, usable = _whole(samples[:n, of.channel])
        if self._mapped:
            at = np.minimum(np.searchsorted(self._sent, channel), len(self._sent) - 1)
            known = self._sent[at] == channel
            rows[:, CHANNEL] = self._channels[at]
        else:
            # Clipped first: a number beyond int32 must not wrap round to a valid channel.
            top = self._n_channels + 1
            rows[:, CHANNEL] = np.clip(np.clip(channel, -1 << 40, 1 << 40) - self._first, -1, top)
            known = np.ones(n, np.bool_)
        if of.unit is not None:
            units, whole = _whole(samples[:n, of.unit])
            rows[:, UNIT] = np.clip(units, 0, 255)
            usable &= whole
        if of.seq is not None and self._reader.numbered:
            usable &= self._number(samples[:n, of.seq])
        asked = possible[:n] != 0
        counters[sequence.NOT_WHOLE] += np.count_nonzero(asked & ~usable)
        counters[sequence.UNMAPPED] += np.count_nonzero(asked & usable & ~known)
        accepted = (asked & usable & known).astype(np.uint8)
        self._reader.read(self._rows, n, accepted, columns, unit)

    def _number(self, values: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
        """Write the running numbers as those of the `events` layout: they wrap around as an int32 does.

        Returns:
            Which are numbers; one that is none takes the place after the one before.
        """
        numbers, whole = _whole(values)
        if values.dtype == np.float32 and np.abs(numbers).max() >= FLOAT32_END:
            # Consecutive ones are one number from here on.
            self._reader = self._without
            return whole
        if not whole.all():
            for i in np.flatnonzero(~whole):
                numbers[i] = (numbers[i - 1] if i else self._last_sent) + 1
        steps = np.diff(numbers, prepend=self._last_sent)
        if values.dtype in (np.int8, np.int16):
            steps = steps.astype(values.dtype).astype(np.int64)
        self._last_sent = int(numbers[-1])
        running = (self._last + np.cumsum(steps)) & 0xFFFFFFFF
        self._last = int(running[-1])
        self._rows[: len(values), SEQ] = running.astype(np.uint32).view(np.int32)
        return whole


def _whole(values: npt.NDArray[Any]) -> tuple[I8, npt.NDArray[np.bool_]]:
    """Values of any type as i8, 0 for those that are no whole numbers, and which are."""
    if not np.issubdtype(values.dtype, np.floating):
        return values.astype(np.int64), np.ones(len(values), np.bool_)
    whole = (np.abs(values) < FLOAT64_END) & (values == np.rint(values))
    return np.where(whole, values, 0).astype(np.int64), whole
