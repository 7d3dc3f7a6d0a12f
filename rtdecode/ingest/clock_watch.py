"""Noticing that a source's clock has jumped (DESIGN §12)."""

from __future__ import annotations

import math

from rtdecode.binning import FUTURE_TOLERANCE_S

#: Stamps must be impossible for this long, without one that is not, before a jump is called.
JUMP_CONFIRM_S = 0.25
JUMP_CONFIRM_CHUNKS = 3

#: A source that delivers later than this does not have a delay but another clock.
MAX_AGE_S = 0.25


class ClockWatch:
    """Watches the age of the newest event of each chunk.

    One impossible stamp is a bad event; a quarter second of nothing else is a clock that jumped,
    or a source that never was on the LSL clock.

    Args:
        max_age_s: how old the newest event of a chunk may be.
    """

    def __init__(self, max_age_s: float = MAX_AGE_S) -> None:
        self.max_age_s = max_age_s
        self.forget()

    def forget(self) -> None:
        """Start anew: another stream, or a jump was taken care of."""
        self._since_s = 0.0
        self._chunks = 0
        self._youngest_s = 0.0

    def observe(self, newest_s: float, now: float) -> float | None:
        """Look at a chunk whose newest event is stamped `newest_s` and which arrived at `now`.

        Returns:
            None, or the seconds to add to the stream's stamps once a jump is certain.
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
        self.forget()
        return offset_s
