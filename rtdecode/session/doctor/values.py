"""Whether numbers can be counts, or are rates in Hz."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

#: A source slower than this has no rates in Hz that are told from counts: most are multiples of its rate.
LEAST_RATE_HZ = 5.0

#: Number of values other than 0 by which rates in Hz are known, and how far each may be from a whole number
#: of spikes.
ENOUGH_VALUES, WHOLE = 20, 1e-3


class ValueJudge:
    """Whether numbers can be counts, and whether they are rates in Hz, by all that were seen.

    Args:
        rate_hz: of the source: rows a second.

    Attributes:
        fractions: whether a value is no whole number.
    """

    def __init__(self, rate_hz: float) -> None:
        self._rate_hz, self.fractions = rate_hz, False
        self._multiples, self._n_nonzero = rate_hz >= LEAST_RATE_HZ, 0

    def see(self, values: NDArray[Any]) -> None:
        """Take values of any shape."""
        known = values[np.isfinite(values) & (values != 0)]
        self.fractions = self.fractions or bool(np.any(known != np.rint(known)))
        if self._multiples:
            spikes = known / self._rate_hz
            self._multiples = bool(np.all((known > 0) & (np.abs(spikes - np.rint(spikes)) < WHOLE)))
        self._n_nonzero += len(known)

    @property
    def settled(self) -> bool:
        """Whether more values will not change that."""
        return self.fractions and not self._multiples

    @property
    def are_rates(self) -> bool:
        """Whether all are multiples of 1/interval, as the rates in Hz of whole numbers of spikes."""
        return self._multiples and self._n_nonzero >= ENOUGH_VALUES
