"""Detects that the clock of a source has jumped."""

from __future__ import annotations

import math

from rtdecode.binning import FUTURE_TOLERANCE_S

#: All stamps must be impossible for this long before a jump is detected.
JUMP_CONFIRM_S = 0.25
JUMP_CONFIRM_CHUNKS = 3

#: An event older than this is not delayed: its source has another clock.
MAX_AGE_S = 0.25


class ClockWatch:
    """Checks the age of the newest event of each chunk.

    One impossible stamp is a bad event; a quarter second of only such stamps means that the clock has
    jumped, or that the source never used the LSL clock.

    Args:
        max_age_s: largest age of the newest event of a chunk, seconds.
    """

    def __init__(self, max_age_s: float = MAX_AGE_S) -> None:
        self.max_age_s = max_age_s
        self.restart()

    def restart(self) -> None:
        """Start again: with another stream, or after a jump was corrected."""
        self._since_s = 0.0
        self._chunks = 0
        self._youngest_s = 0.0

    def observe(self, newest_s: float, now: float) -> float | None:
        """Check a chunk that arrived at `now` and has its newest event at `newest_s`.

        Returns:
            Seconds to add to the stamps of the stream once a jump is certain, else None.
        """
        age_s = now - newest_s
        if not math.isfinite(age_s):
            return None
        if -FUTURE_TOLERANCE_S <= age_s <= self.max_age_s:
            self._chunks = 0
            return None
        if self._chunks == 0:
            self._since_s, self._youngest_s = now, age_s
        self._chunks += 1
        self._youngest_s = min(self._youngest_s, age_s)
        if self._chunks < JUMP_CONFIRM_CHUNKS or now - self._since_s < JUMP_CONFIRM_S:
            return None
        offset_s = self._youngest_s
        self.restart()
        return offset_s
