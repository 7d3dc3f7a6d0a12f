"""Which bins of a day are known when its last fifth begins."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rtdecode.calibrate.data.sessions import LabelledSession
from rtdecode.calibrate.data.splits import chronological_split

HOLDOUT = 0.2

#: Which minutes of a day are known: the last before its last fifth, or its first.
KNOWN = ("last", "first")


@dataclass(frozen=True, eq=False)
class KnownTime:
    """A day whose last fifth is held out.

    Attributes:
        held_out: bool[T], the bins that are scored.
        first, stop: of the bins before them with behaviour.
        known: which minutes of those are known, see `KNOWN`.
        bin_width_s: seconds.
    """

    held_out: NDArray[np.bool_]
    first: int
    stop: int
    known: str
    bin_width_s: float

    def has(self, minutes: float) -> bool:
        """Whether there are as many before what is held out."""
        return self._bins(minutes) <= self.stop - self.first

    def of(self, minutes: float) -> slice:
        """The bins of so many minutes, or of as many as there are."""
        n = min(self._bins(minutes), self.stop - self.first)
        if self.known == "first":
            return slice(self.first, self.first + n)
        return slice(self.stop - n, self.stop)

    def _bins(self, minutes: float) -> int:
        return round(minutes * 60.0 / self.bin_width_s)


def known_time(day: LabelledSession, known: str) -> KnownTime:
    """Hold the last fifth of a day's behaviour out.

    Args:
        day: as it was read.
        known: see `KNOWN`.
    """
    before, held_out = chronological_split(day.known, HOLDOUT)
    rows = np.flatnonzero(before)
    return KnownTime(held_out, int(rows[0]), int(rows[-1]) + 1, known, day.binned.bin_width_s)
