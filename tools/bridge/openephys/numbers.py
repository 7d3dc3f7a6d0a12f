"""Messages lost on the way, by their numbers."""

from __future__ import annotations

from enum import Enum


class Turn(Enum):
    """What a message's number says."""

    NEXT = "it continues those before"
    UNSURE = "it is out of turn; the next one explains it"
    GARBLED_BEFORE = "the one before it had a wrong number"
    ANEW = "numbers begin anew with it"
    ANEW_BEFORE = "numbers began anew with the one before it"


class MessageNumbers:
    """Counts lost messages by numbers that go up by one, and from 1 when acquisition starts anew.

    A number out of turn is judged by the one after it: lost messages, numbers that begin anew, or a number
    that was garbled on the way, whichever explains the two with the fewest losses.

    Attributes:
        lost: messages that were sent and never came.
    """

    def __init__(self) -> None:
        self.lost = 0
        self._last: int | None = None
        self._odd: int | None = None

    def add(self, number: int) -> Turn:
        """Take the next message's number."""
        last, odd = self._last, self._odd
        if odd is None:
            if last is not None and number != last + 1:
                self._odd = number
                return Turn.UNSURE
            self._last = number
            return Turn.NEXT
        assert last is not None
        self._last, self._odd = number, None
        as_given, garbled = _missing(last, odd) + _missing(odd, number), number - last - 2
        if 0 <= garbled < as_given:
            self.lost += garbled
            return Turn.GARBLED_BEFORE
        self.lost += as_given
        if number <= odd:
            return Turn.ANEW
        return Turn.ANEW_BEFORE if odd <= last else Turn.NEXT


def _missing(before: int, number: int) -> int:
    """Messages lost between two that came; from 1 where numbers begin anew."""
    return number - before - 1 if number > before else max(number - 1, 0)
