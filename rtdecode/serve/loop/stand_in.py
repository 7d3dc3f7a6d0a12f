"""Counts in place of those of an array that is away: its own recent mean, as whole numbers."""

from __future__ import annotations

import numpy as np

from rtdecode.kernels.arrays import F8, U1

#: Time constant of the mean: rates of an array change over minutes, and with what its subject does.
RECENT_S = 60.0

#: Duration from which on a mean is known.
KNOWN_S = 0.5


class StandIn:
    """Of one array.

    Args:
        n_channels: of the array.
        bin_width_s: of the bins, s.
    """

    def __init__(self, n_channels: int, bin_width_s: float) -> None:
        self._keep = 1.0 - min(bin_width_s / RECENT_S, 1.0)
        self._sum: F8 = np.zeros(n_channels)
        self._n, self._n_unknown = 0.0, round(KNOWN_S / bin_width_s) if n_channels else 0
        self._owed: F8 = np.zeros(n_channels)

    @property
    def known(self) -> bool:
        """Whether enough bins were seen, or there are no channels."""
        return self._n_unknown <= 0

    def learn(self, counts: U1) -> None:
        """Take a bin u1[n_channels] of the array while it is there."""
        self._sum *= self._keep
        self._sum += counts
        self._n = self._n * self._keep + 1.0
        self._n_unknown -= 1

    def fill(self, counts: U1) -> None:
        """Write the mean counts of a bin to u1[n_channels]; a mean of .3 is 0 0 0 1 0 0 1 …."""
        if self._n:
            self._owed += self._sum / self._n
        np.minimum(self._owed, 255.0, out=self._owed)
        whole = np.floor(self._owed)
        self._owed -= whole
        counts[:] = whole
