"""The last bins that a decoder stepped: another decoder steps them before it takes over."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from rtdecode.kernels.arrays import Inputs

#: How much of the past a decoder steps before it takes over.
LOOK_BACK_S = 2.0

#: Kept beyond that: bins that close while another decoder warms up.
MARGIN_S = 3.0


class Mark(NamedTuple):
    """How far the warm-up of a decoder is.

    Attributes:
        resets, stepped: those of `RecentBins` then.
        warmed: bins that the decoder stepped since its reset.
    """

    resets: int
    stepped: int
    warmed: int


class RecentBins:
    """A ring of the last bins since the decoder was reset.

        recent = RecentBins(n_inputs=96, bin_width_s=0.02)
        recent.add(counts)
        recent.last(recent.look_back)                # u1[n, n_inputs], the newest last

    Args:
        n_inputs: columns.
        bin_width_s: Δ.
        dtype: of a bin.

    Attributes:
        look_back: bins of 2 s, one at least.
        capacity: bins that are kept.
        stepped: bins since the reset.
        resets: number of resets.
    """

    def __init__(self, n_inputs: int, bin_width_s: float, dtype: npt.DTypeLike = np.uint8) -> None:
        self.look_back = max(1, round(LOOK_BACK_S / bin_width_s))
        self.capacity = self.look_back + max(1, round(MARGIN_S / bin_width_s))
        self.stepped = self.resets = 0
        # Written, so that no page is missing when a bin is added.
        self._ring: Inputs = np.full((self.capacity, n_inputs), 0, dtype)

    def reset(self) -> None:
        """Forget everything."""
        self.stepped = 0
        self.resets += 1

    def add(self, counts: Inputs) -> None:
        """Add a bin, [n_inputs]."""
        self._ring[self.stepped % self.capacity] = counts
        self.stepped += 1

    def last(self, n: int) -> Inputs:
        """A copy of the last `n` bins, [n, n_inputs].

        Raises:
            ValueError: `n` bins are not kept.
        """
        if not 0 <= n <= min(self.stepped, self.capacity):
            raise ValueError(f"{n} bins of {min(self.stepped, self.capacity)}")
        return self._ring[np.arange(self.stepped - n, self.stepped) % self.capacity]

    def convert(self, rows: Callable[[Inputs], Inputs]) -> None:
        """Replace every bin kept, [n, n_inputs], by what `rows` makes of them."""
        self._ring[:] = rows(self._ring)

    def lag(self, mark: Mark | None) -> tuple[bool, int]:
        """What a decoder at `mark` still has to step; None for a decoder that has stepped nothing.

        Returns:
            Whether to reset it first, and the number of the last bins that it then steps.
        """
        if mark is not None and mark.resets == self.resets:
            behind = self.stepped - mark.stepped
            if mark.warmed + behind <= self.capacity:
                return False, behind
        return True, min(self.stepped, self.look_back)
