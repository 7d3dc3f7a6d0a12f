"""Reading one pull of an event layout into columns: channel, unit, accepted, lost before.

Each reader has the same `read`; the layouts differ in their columns, and in whether an event carries
a running number.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from rtdecode.ingest.layouts import Layout
from rtdecode.kernels import sequence

I4 = npt.NDArray[np.int32]
I8 = npt.NDArray[np.int64]
U1 = npt.NDArray[np.uint8]
U4 = npt.NDArray[np.uint32]

#: Running numbers looked back on to tell a duplicate from an event out of order.
SEQUENCE_WINDOW = 4096


class EventRows(Protocol):
    """Reads the rows of one stream, from its first to its last."""

    def read(
        self,
        samples: npt.NDArray[Any],
        n: int,
        n_channels: int,
        channel: I4,
        unit: U1,
        accepted: U1,
        lost_before: U4,
        counters: I8,
    ) -> None:
        """Write the columns of the first `n` rows of `samples` and count what is wrong with them."""
        ...


class NumberedRows:
    """`events`: int32 [channel, unit, seq], so losses and duplicates are known."""

    def __init__(self) -> None:
        self._state: I8 = np.zeros(2, np.int64)
        self._seen: U1 = np.ones(SEQUENCE_WINDOW, np.uint8)

    def read(
        self,
        samples: npt.NDArray[Any],
        n: int,
        n_channels: int,
        channel: I4,
        unit: U1,
        accepted: U1,
        lost_before: U4,
        counters: I8,
    ) -> None:
        """See `rtdecode.kernels.sequence.check_events`."""
        sequence.check_events(
            samples, n, n_channels, self._state, self._seen, channel, unit, accepted, lost_before, counters
        )


class PlainRows:
    """`snippets` and `channel`: no running number, so what is lost on the way cannot be known.

    Args:
        has_unit: whether the second column is the sorted unit.
    """

    def __init__(self, *, has_unit: bool) -> None:
        self._has_unit = has_unit

    def read(
        self,
        samples: npt.NDArray[Any],
        n: int,
        n_channels: int,
        channel: I4,
        unit: U1,
        accepted: U1,
        lost_before: U4,
        counters: I8,
    ) -> None:
        """The first column is the channel, the second the unit if there is one."""
        # Clipped first: a number beyond int32 must not come back as a channel there is.
        np.clip(samples[:n, 0], -1, n_channels, out=channel[:n], casting="unsafe")
        np.copyto(accepted[:n], (channel[:n] >= 0) & (channel[:n] < n_channels))
        if self._has_unit:
            np.clip(samples[:n, 1], 0, 255, out=unit[:n], casting="unsafe")
        lost_before[:n] = 0
        counters[sequence.RECEIVED] += n
        counters[sequence.OUT_OF_RANGE] += n - int(np.count_nonzero(accepted[:n]))


def rows_of(layout: Layout) -> EventRows:
    """A reader for a stream of this layout, at its beginning."""
    if layout is Layout.EVENTS:
        return NumberedRows()
    return PlainRows(has_unit=layout is Layout.SNIPPETS)
