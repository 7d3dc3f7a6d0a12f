"""The spikes of the last bins for monitors, read from the ring while the loop continues.

The loop only sends what is encoded here: a bin that was taken from the ring stays in
its row until the row is used again, two seconds later at 20 ms.
"""

from __future__ import annotations

import msgspec
import numpy as np

from rtdecode.binning import BinRing
from rtdecode.messages import MESSAGE_VERSION, Spikes

SPIKES_EVERY_S = 0.1

#: Most bins of a message, so that `offset` fits a byte and no row of the ring is used again meanwhile.
MAX_BINS = 50


class SpikesReport:
    """Encodes the bins that have closed since the last call; for one thread other than the loop's.

    Args:
        ring: of the loop; read, never written.
    """

    def __init__(self, ring: BinRing) -> None:
        self._ring = ring
        self._next = 0
        self._encode = msgspec.msgpack.Encoder().encode

    def encoded(self) -> bytes | None:
        """The spikes of the bins since the last call, at most the newest 50.

        None if none has closed, and of features alone.
        """
        ring, end = self._ring, self._ring.next_bin if self._ring.n_channels else 0
        first = max(self._next, end - min(MAX_BINS, ring.n_bins // 2))
        if first >= end:
            return None
        self._next = end
        counts = ring.counts[np.arange(first, end) % ring.n_bins]
        if ring.open_bin >= first + ring.n_bins:
            # The loop has caught up with a backlog meanwhile: these rows hold other bins by now.
            return None
        offset, channel = np.nonzero(counts)
        return self._encode(
            Spikes(
                v=MESSAGE_VERSION,
                bin=first,
                n_bins=end - first,
                n_channels=ring.n_channels,
                offset=offset.astype(np.uint8).tobytes(),
                channel=channel.astype("<u2").tobytes(),
                count=counts[offset, channel].tobytes(),
            )
        )
