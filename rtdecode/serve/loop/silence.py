"""A source that sends nothing: flags for its bins, and a search for another."""

from __future__ import annotations

import math

from rtdecode.messages import Flag
from rtdecode.serve.loop.instructions import Search, StopSearch
from rtdecode.serve.settings import STALE_AFTER_S

STALE, STALE_FAILSAFE = int(Flag.STALE), int(Flag.STALE | Flag.FAILSAFE)


class Silence:
    """How long the attached source has sent nothing, by the stamps of its samples.

    Args:
        failsafe_after_s: silence from which values are flagged FAILSAFE.

    Attributes:
        too_long: whether the last bin was flagged FAILSAFE for it.
    """

    def __init__(self, failsafe_after_s: float) -> None:
        self._failsafe_after_s = failsafe_after_s
        self._fed_until_s = -math.inf
        self._searching = self._silent = self.too_long = False

    def found(self) -> None:
        """Another source was attached."""
        self._searching = self._silent = self.too_long = False

    def fed(self, until_s: float) -> None:
        """Count silence from `until_s`."""
        self._fed_until_s = until_s

    def flags(self, t_bin: float, fed_until_s: float) -> int:
        """Flags of the bin that ends at `t_bin` and has its latest sample at `fed_until_s`."""
        self._fed_until_s = max(self._fed_until_s, fed_until_s)
        silent_s = t_bin - self._fed_until_s
        self._silent = silent_s >= STALE_AFTER_S
        self.too_long = self._silent and silent_s >= self._failsafe_after_s
        if not self._silent:
            return 0
        return STALE_FAILSAFE if self.too_long else STALE

    def search(self) -> Search | StopSearch | None:
        """What to do where silence has begun or ended with the last bin."""
        if self._silent == self._searching:
            return None
        self._searching = self._silent
        # A dead outlet is noticed only when TCP closes; it is searched for elsewhere meanwhile.
        return Search(replacing=True) if self._silent else StopSearch()
