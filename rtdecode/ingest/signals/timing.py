"""Number and time of each sample of a regular stream, by its stamps (docs/time.md)."""

from __future__ import annotations

import numpy as np

from rtdecode.kernels import sequence
from rtdecode.kernels.arrays import F8, I8, U1

#: Number of samples after which the timing has settled, from where on its rate is measured.
SETTLED = 100


class RegularTiming:
    """The timing of one source.

    Args:
        period_s: that it announces.

    Attributes:
        period_s: as given.
        timing, state: f8[4] and i8[5], as of `rtdecode.kernels.sequence.place_sample`.
    """

    def __init__(self, period_s: float) -> None:
        self.period_s = period_s
        self.timing: F8 = np.zeros(4)
        self.state: I8 = np.array([-1, 0, 0, 0, 0], np.int64)
        self._measured_from = 0
        self._measured_from_s = 0.0

    def begun(self, time: F8, possible: U1, n: int) -> bool:
        """Whether samples can be numbered: from the first of the `n` pulled with a possible stamp on."""
        if self.state[sequence.STARTED]:
            return True
        usable = np.flatnonzero(possible[:n])
        if len(usable):
            first = int(usable[0])
            sequence.start_timing(time[first], first, self.period_s, self.timing, self.state)
        return len(usable) > 0

    @property
    def started(self) -> bool:
        """Whether a sample was numbered since the start."""
        return bool(self.state[sequence.STARTED])

    @property
    def last(self) -> int:
        """Number of the latest sample in order."""
        return int(self.state[sequence.LAST])

    @property
    def end_s(self) -> float:
        """Estimated end of its interval, s."""
        return float(self.timing[sequence.END])

    @property
    def true_period_s(self) -> float:
        """Period of the source by its stamps; the nominal one before the first sample."""
        return float(self.timing[sequence.PERIOD]) or self.period_s

    @property
    def n_timed(self) -> int:
        """Number of samples, lost ones included, by which the rate is measured."""
        return self.last - self._measured_from if self._measured_from_s else 0

    @property
    def measured_period_s(self) -> float:
        """Period over all samples since the timing had settled, s; the nominal one before."""
        return (self.end_s - self._measured_from_s) / self.n_timed if self.n_timed else self.period_s

    def measure(self) -> None:
        """Note what has been numbered, after each pull."""
        if not self._measured_from_s and self.state[sequence.SEEN] >= SETTLED:
            self._measured_from, self._measured_from_s = self.last, self.end_s

    def renumber(self, index: int) -> None:
        """Number samples again, so that sample `index` becomes 0."""
        self.state[sequence.LAST] -= index
        self._measured_from -= index

    def restart(self) -> None:
        """The stamps have moved: number samples from the next one with a possible stamp."""
        self.state[:] = -1, 0, 0, 0, 0
        self._measured_from_s = 0.0


def next_sample_end_s(timing: RegularTiming) -> float:
    """The earliest end of the next sample, s: jitter of its stamps moves what is estimated of it."""
    return timing.end_s + timing.true_period_s - 4.0 * float(timing.timing[sequence.JITTER])
