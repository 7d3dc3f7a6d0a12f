"""After a pause of the whole process, bins wait for the samples of the pause."""

from __future__ import annotations

#: A longer pause holds liblsl's thread up too, which has still to fetch what was sent meanwhile.
HELD_UP_S = 0.010


class HeldUp:
    """Whether bins may be closed by the clock, or delayed samples are still arriving.

    Args:
        longest_s: bins wait as long as the pause was, but not longer than this.
    """

    def __init__(self, longest_s: float) -> None:
        self._longest_s = longest_s
        self._patience_s = 0.0
        self._until_s = 0.0

    def waiting(self, now: float) -> bool:
        """Whether bins wait at `now`."""
        return self._until_s > now

    def paused(self, held_up_s: float, now: float) -> bool:
        """Report how much later than meant a pull ended; returns whether that was a pause."""
        if held_up_s <= HELD_UP_S:
            return False
        self._patience_s = min(held_up_s, self._longest_s)
        self._until_s = now + self._patience_s
        return True

    def received(self, age_s: float, grace_s: float, now: float) -> None:
        """Report the age of the newest sample of a pull: with one as young as the grace, all have arrived."""
        if self.waiting(now):
            self._until_s = 0.0 if age_s < grace_s else now + self._patience_s
