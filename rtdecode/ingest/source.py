"""A source of one's own, in the process of the daemon or the recorder (docs/own-source.md)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from rtdecode.ingest.signals.layouts import StreamDescription


class SourceLost(Exception):
    """Raised by a source that is gone, with the reason, such as "the headstage is unplugged"."""


class Source(Protocol):
    """An open device, memory or connection that rows are pulled from.

    Attributes:
        stream: what it sends: type, columns, rate and format decide the layout, as for a stream of LSL
            (docs/messages.md).
    """

    @property
    def stream(self) -> StreamDescription: ...

    def pull(self, samples: NDArray[Any], time: NDArray[np.float64], timeout_s: float) -> int:
        """Wait up to `timeout_s` for a first row, then write all that have arrived, as many as fit.

        Args:
            samples: [n, n_columns] of the stream's format; rows go to its beginning.
            time: f8[n], for the stamp of each: when it happened, seconds of `pylsl.local_clock()`.
            timeout_s: longest wait, 0 for none.

        Returns:
            Number of rows written, 0 if none has come.

        Raises:
            SourceLost: it is gone, and is to be opened again.
        """
        ...

    def close(self) -> None:
        """Release the device; called once, when it is gone or at the end, from another thread than `pull`."""


#: Opens a source; called again after each loss. It may wait, and may raise what it likes: that is reported,
#: and it is called again.
OpenSource = Callable[[], Source]
