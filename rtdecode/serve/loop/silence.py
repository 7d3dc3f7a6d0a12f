"""A source that sends nothing: flags for its bins, and a search for another."""

from __future__ import annotations

import math
from collections.abc import Generator

from rtdecode.messages import Flag
from rtdecode.serve.loop.instructions import Search, StopSearch
from rtdecode.serve.settings import STALE_AFTER_S


class Silence:
    """How long the attached source has sent nothing, by the stamps of its samples.

    Args:
        failsafe_after_s: silence from which values are flagged FAILSAFE.
    """

    def __init__(self, failsafe_after_s: float) -> None:
        self._failsafe_after_s = failsafe_after_s
        self._fed_until_s = -math.inf
        self._searching = False

    def found(self) -> None:
        """Another source was attached."""
        self._searching = False

    def fed(self, until_s: float) -> None:
        """Count silence from `until_s`."""
        self._fed_until_s = until_s

    def flags(self, t_bin: float, fed_until_s: float) -> Generator[Search | StopSearch, None, int]:
        """Flags of the bin that ends at `t_bin` and has its latest sample at `fed_until_s`."""
        self._fed_until_s = max(self._fed_until_s, fed_until_s)
        silent_s = t_bin - self._fed_until_s
        if silent_s < STALE_AFTER_S:
            if self._searching:
                self._searching = False
                yield StopSearch()
            return 0
        if not self._searching:
            # A dead outlet is noticed only when TCP closes; search for it elsewhere meanwhile.
            self._searching = True
            yield Search(replacing=True)
        stale = int(Flag.STALE)
        return stale | Flag.FAILSAFE if silent_s >= self._failsafe_after_s else stale
