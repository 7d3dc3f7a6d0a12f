"""RHX numbers samples with 32 bits, which wrap around after 40 hours at 30 kHz."""

from __future__ import annotations

HALF, WHOLE = 2**31, 2**32


class Counter32:
    """Continues 32-bit numbers beyond their wrap, one for all that count alike."""

    def __init__(self) -> None:
        self._last: int | None = None

    def extend(self, number: int) -> int:
        """The number, uint32, as the one nearest to the last that has these lowest 32 bits."""
        if self._last is None:
            self._last = number
        else:
            self._last += (number - self._last + HALF) % WHOLE - HALF
        return self._last
