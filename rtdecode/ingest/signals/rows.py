"""Reads one pull of an event layout into columns: channel, unit, accepted, lost before.

The layouts differ in their columns, and in whether an event carries a sequence number. Any other columns,
types and numbers of channels are brought into that form first (`mapped_rows.py`).
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from rtdecode.binning import EventColumns
from rtdecode.ingest.signals.layouts import Layout
from rtdecode.kernels import sequence
from rtdecode.kernels.arrays import I8, U1

#: Recent sequence numbers that are kept to distinguish a duplicate from an event out of order.
SEQUENCE_WINDOW = 4096

#: Where more than this part of the latest events, some 50, repeat a number, it is none: a source that sends
#: every event twice repeats half of them.
REPEATED, REPEATED_GAIN = 0.6, 0.02


class EventRows(Protocol):
    """Reads the rows of one stream, from its first to its last."""

    @property
    def numbered(self) -> bool:
        """Whether a running number shows losses and duplicates."""
        ...

    def read(self, samples: npt.NDArray[Any], n: int, possible: U1, columns: EventColumns, unit: U1) -> None:
        """Write the first `n` rows of `samples` into all columns but `time`, and count what is wrong.

        Args:
            samples: [>=n, n_columns], the rows of a pull.
            n: number of rows.
            possible: u1[>=n], 0 for a row whose stamp is not to be used; it is not accepted.
            columns, unit: written.
        """
        ...


class PlainRows:
    """`snippets` and `channel`: without a sequence number losses cannot be detected.

    Args:
        n_channels, counters: as in `NumberedRows`.
        has_unit: whether the second column is the sorted unit.
    """

    numbered = False

    def __init__(self, n_channels: int, counters: I8, *, has_unit: bool) -> None:
        self._n_channels, self._counters, self._has_unit = n_channels, counters, has_unit

    def read(self, samples: npt.NDArray[Any], n: int, possible: U1, columns: EventColumns, unit: U1) -> None:
        """The first column is the channel, the second the unit if there is one."""
        channel, accepted = columns.channel[:n], columns.accepted[:n]
        # Clipped first: a number beyond int32 must not wrap round to a valid channel.
        np.clip(samples[:n, 0], -1, self._n_channels + 1, out=channel, casting="unsafe")
        np.copyto(accepted, possible[:n] & (channel >= 0) & (channel < self._n_channels))
        if self._has_unit:
            np.clip(samples[:n, 1], 0, 255, out=unit[:n], casting="unsafe")
        columns.lost_before[:n] = 0
        self._counters[sequence.RECEIVED] += n
        left_out = np.count_nonzero(possible[:n]) - np.count_nonzero(accepted)
        self._counters[sequence.OUT_OF_RANGE] += left_out


class NumberedRows:
    """`events`: int32 [channel, unit, seq], so that losses and duplicates can be counted.

    A third column that repeats itself in most events is no running number, and is not used from then on.

    Args:
        n_channels: of the array.
        counters: i8[N_SEQUENCE_COUNTERS], added to.
    """

    def __init__(self, n_channels: int, counters: I8) -> None:
        self.numbered = True
        self._n_channels, self._counters = n_channels, counters
        self._plain = PlainRows(n_channels, counters, has_unit=True)
        self._part_repeated = 0.0
        self._state: I8 = np.zeros(2, np.int64)
        self._seen: U1 = np.ones(SEQUENCE_WINDOW, np.uint8)

    def read(self, samples: npt.NDArray[Any], n: int, possible: U1, columns: EventColumns, unit: U1) -> None:
        """See `rtdecode.kernels.sequence.check_events`."""
        if not self.numbered:
            self._plain.read(samples, n, possible, columns, unit)
            return
        written = columns[1:]  # all but the time
        before = int(self._counters[sequence.DUPLICATE])
        sequence.check_events(
            samples, n, possible, self._n_channels, self._state, self._seen, unit, *written, self._counters
        )
        repeated = (int(self._counters[sequence.DUPLICATE]) - before) / n
        self._part_repeated += (1.0 - (1.0 - REPEATED_GAIN) ** n) * (repeated - self._part_repeated)
        self.numbered = self._part_repeated < REPEATED


def rows_of(layout: Layout, n_channels: int, counters: I8) -> EventRows:
    """A reader for a new stream of this layout."""
    if layout is Layout.EVENTS:
        return NumberedRows(n_channels, counters)
    return PlainRows(n_channels, counters, has_unit=layout is Layout.SNIPPETS)
