"""How old samples are when they arrive, over a few seconds of a source."""

from __future__ import annotations

import numpy as np

from rtdecode.kernels.stamps import lower_quartile

#: Delays of a period that are kept; a busier source has as many in less time.
MOST_DELAYS = 4096


class Period:
    """Delays of the newest samples of some pulls.

    Args:
        begun_s: when the first of them were pulled, on our clock.

    Attributes:
        n: number of pulls; of more than `MOST_DELAYS` the first are kept.
    """

    def __init__(self, begun_s: float) -> None:
        self.begun_s, self.n = begun_s, 0
        self._delay_s = np.zeros(MOST_DELAYS)

    def add(self, delay_s: float) -> None:
        if self.n < MOST_DELAYS:
            self._delay_s[self.n] = delay_s
        self.n += 1

    def fastest_s(self) -> float:
        """The second smallest, so that one wrong stamp does not set it."""
        return float(np.partition(self._delay_s[: self.n], 1)[1])

    def quartile_s(self) -> float:
        """The lower quartile: chance moves it little."""
        return float(lower_quartile(self._delay_s, min(self.n, MOST_DELAYS)))

    def scatter_s(self) -> float:
        """How far the fastest of another period may be from this one's by chance alone."""
        second, twelfth = np.partition(self._delay_s[: self.n], (1, 11))[[1, 11]]
        return float(twelfth - second)
