"""Whether samples of a counts stream can be counts, at the rate that it announces."""

from __future__ import annotations

import numpy as np

from rtdecode.kernels.arrays import F8, I4
from rtdecode.kernels.sequence import MOST_OFF

#: Nothing is decoded where more than this part of the latest samples, some 50, hold what is no count, until
#: fewer than the lower part do.
UNFIT, FIT_AGAIN, UNFIT_GAIN = 0.25, 0.05, 0.02

#: Number of the latest stamps by whose intervals the rate is judged; pauses and losses do not matter.
N_STAMPS = 64


class Fitness:
    """Judges one source.

    Args:
        period_s: that it announces.

    Attributes:
        n_saturated: number of counts above 255, which are read as 255.
    """

    def __init__(self, period_s: float) -> None:
        self.n_saturated = 0
        self._period_s, self._part_unfit = period_s, 0.0
        self._values = self._rate = ""
        self._stamps: F8 = np.zeros(0)
        self._n_unjudged = 0

    @property
    def unfit(self) -> str:
        """Why nothing is decoded of what it sends, "" while all is."""
        return self._values or self._rate

    def values(self, rows: I4) -> None:
        """One sample that holds no counts is counted; many are rates or z-scores.

        Args:
            rows: i4[n, n_channels], negative for a value that is no count.
        """
        self.n_saturated += int(np.count_nonzero(rows > 255))
        for is_unfit in np.any(rows < 0, axis=1).tolist():
            self._part_unfit += UNFIT_GAIN * (is_unfit - self._part_unfit)
        if self._part_unfit > UNFIT:
            self._values = "its values are fractions or negative or NaN, no counts"
        elif self._part_unfit < FIT_AGAIN:
            self._values = ""

    def stamps(self, time: F8) -> None:
        """A rate too far from the announced one cannot be followed: samples would be taken for lost.

        Args:
            time: f8[n], possible stamps of the latest samples, s.
        """
        self._stamps = np.concatenate((self._stamps, time))[-N_STAMPS:]
        self._n_unjudged += len(time)
        if len(self._stamps) < N_STAMPS or self._n_unjudged < N_STAMPS // 4:
            return
        self._n_unjudged = 0
        interval_s = float(np.median(np.diff(self._stamps)))
        self._rate = ""
        if interval_s > 0.0 and abs(interval_s / self._period_s - 1.0) > MOST_OFF:
            announced_hz = 1.0 / self._period_s
            self._rate = (
                f"it sends at {1.0 / interval_s:.1f} Hz, not at the {announced_hz:g} Hz that it announces"
            )

    def restart(self) -> None:
        """The stamps have moved."""
        self._stamps = np.zeros(0)
