"""An open stream, and that of LSL: preallocated samples, event times on our clock."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pylsl

from rtdecode.ingest.connection.streams import describe
from rtdecode.ingest.signals.layouts import StreamDescription

#: Samples taken in one pull; a busier source is drained in several.
MAX_PULL = 4096

#: liblsl buffers ×100 samples of an irregular stream and drops older ones without a warning, so this
#: holds 300,000: three seconds at 100,000 events/s. Seconds for a regular stream.
IRREGULAR_BUFFER = 3000
REGULAR_BUFFER_S = 60

#: A clock correction that moves by more is another clock; less is noise of the estimate.
CORRECTION_JUMP_S = 0.005


class StreamLost(Exception):
    """A stream has ended, such as that of an outlet whose process ended or whose connection broke.

    Args:
        what: has happened.
        reason: as the person at the rig is told.
    """

    def __init__(self, what: str = "", reason: str = "its outlet is gone") -> None:
        super().__init__(what)
        self.reason = reason


class Inlet(Protocol):
    """An open stream.

    Attributes:
        stream: description of the stream.
        correction_s: seconds from the sender's clock to ours; updated by `ClockKeeper`.
        offset_s: seconds to add on top, after the source's clock has jumped.
        added_s: what was added to the stamps of the last pull.
        at_least: number of samples that a pull waits for; a few ms of voltage, so that there are fewer pulls.
        opened_s: when it was opened, on our clock: nothing arrived earlier.
        samples: [MAX_PULL, n_columns] in the stream's own dtype, the last pull's; texts are bytes.
        time: f8[MAX_PULL], event times of the last pull on our clock.
    """

    stream: StreamDescription
    correction_s: float
    offset_s: float
    added_s: float
    at_least: int
    opened_s: float
    samples: npt.NDArray[Any]
    time: npt.NDArray[np.float64]

    def pull(self, timeout_s: float) -> int:
        """Wait up to `timeout_s` for a first sample, or `at_least` so many, then take all that have arrived.

        Returns:
            Number of samples in `samples` and `time`; MAX_PULL means that there may be more.

        Raises:
            StreamLost: it has ended.
        """
        ...


class LslInlet:
    """An inlet of LSL; attributes as in `Inlet`.

    Args:
        info: pylsl.StreamInfo from a resolve; for number of channels and labels the full one is fetched.
        correction_s: seconds to add to stamps; None measures it (about 0.6 s).
        timeout_s: for each step of the connection.

    Raises:
        StreamLost: it ended while we connected.
    """

    def __init__(self, info: Any, *, correction_s: float | None = None, timeout_s: float = 5.0) -> None:
        # recover=False: liblsl's own recovery takes 2 s without a report, and matches by source_id only.
        buffered = REGULAR_BUFFER_S if info.nominal_srate() else IRREGULAR_BUFFER
        self._inlet = pylsl.StreamInlet(info, max_buflen=buffered, recover=False)
        try:
            step = "its description does not arrive (a firewall that blocks TCP?)"
            self.stream: StreamDescription = describe(self._inlet.info(timeout_s))
            step = "its clock cannot be compared (a firewall that blocks UDP?)"
            if correction_s is None:
                correction_s = self._inlet.time_correction(timeout_s)
            step = "its samples cannot be asked for (a firewall that blocks TCP?)"
            self.opened_s: float = pylsl.local_clock()
            self._inlet.open_stream(timeout_s)
        except pylsl.util.TimeoutError:
            raise StreamLost(f"{step}, within {timeout_s:g} s") from None
        except pylsl.util.LostError as error:
            raise StreamLost(f"its outlet is gone ({error})") from None
        self.correction_s = float(correction_s)
        self.offset_s = 0.0
        self.added_s = 0.0
        self.at_least = 1
        self._texts = self.stream.format == "string"
        dtype = np.object_ if self._texts else self._inlet.np_dtype
        self.samples: npt.NDArray[Any] = np.zeros((MAX_PULL, self.stream.n_columns), dtype)
        self.time: npt.NDArray[np.float64] = np.zeros(MAX_PULL)

    def pull(self, timeout_s: float) -> int:
        """As `Inlet.pull`."""
        try:
            # liblsl allocates texts itself.
            into = None if self._texts else self.samples
            rows, stamps = self._inlet.pull_chunk(
                timeout_s, MAX_PULL, dest_obj=into, as_numpy=True, min_samples=self.at_least
            )
        except (pylsl.util.LostError, pylsl.util.InternalError) as error:
            raise StreamLost(str(error)) from None
        n = len(stamps)
        if n and self._texts:
            self.samples[:n] = rows
        if n:
            self.added_s = self.correction_s + self.offset_s
            np.add(stamps, self.added_s, out=self.time[:n])
        return n

    def measure_correction(self, timeout_s: float = 2.0) -> float | None:
        """The clock correction now, None if the stream is lost; the first call blocks for about 0.6 s."""
        try:
            return float(self._inlet.time_correction(timeout_s))
        except (pylsl.util.LostError, pylsl.util.TimeoutError):
            return None
