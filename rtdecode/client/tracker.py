"""Order, losses, restarts and age of received messages. No sockets, no clock."""

from __future__ import annotations

import math
from collections import deque
from enum import Enum

from rtdecode.client.frames import Unreadable
from rtdecode.client.status import Status
from rtdecode.messages import Cursor, Flag

#: Cursors kept for a slow reader; older ones are dropped first.
MAX_WAITING = 1000

#: The offset between the two clocks is the smallest of the last one to two hundred reads.
OFFSET_READS = 100

#: Flags of a value that was not decoded from present activity.
HELD_FLAGS = int(Flag.STALE | Flag.FAILSAFE | Flag.PAUSED)


class Link(Enum):
    """The state of the newest cursor.

    Attributes:
        WAITING: none was received yet.
        LIVE: decoded, and not older than `stale_after_s`: use it.
        HELD: the daemon runs, but its stream is silent or gone, or it is paused (flags STALE, FAILSAFE,
            PAUSED).
        LOST: no new cursor for `stale_after_s`: the daemon, its machine or the network is gone.
    """

    WAITING = "waiting"
    LIVE = "live"
    HELD = "held"
    LOST = "lost"


class ClockOffset:
    """This machine's clock minus the daemon's, delivery included, from the messages alone.

    Each message gives received − published = offset + delay, so the smallest of the last reads is the offset
    plus the shortest delay. It is dropped after 100 to 200 reads, to follow clocks that drift or are set.

    Attributes:
        seconds: the estimate; inf before the first message.
    """

    def __init__(self) -> None:
        self._before = self._recent = math.inf
        self._reads = 0
        self._read_at_s = -math.inf
        self.seconds = math.inf

    def observe(self, received_s: float, published_s: float) -> None:
        """Add one message. Messages of one read have the same `received_s`."""
        if received_s != self._read_at_s:
            self._read_at_s = received_s
            self._reads += 1
            if self._reads > OFFSET_READS:
                self._before, self._recent, self._reads = self._recent, math.inf, 1
        self._recent = min(self._recent, received_s - published_s)
        self.seconds = min(self._before, self._recent)


class CursorTracker:
    """Checks cursor messages and keeps those that wait for the reader.

        tracker = CursorTracker(stale_after_s=0.25)
        tracker.add(message, now_s)
        cursor = tracker.take(now_s)

    A cursor is old once `stale_after_s` have passed since it was published, by the client's clock and
    minus the fastest delivery (`ClockOffset`); so a backlog from a stall of the reader, the process or the
    network is never returned as new.

    Args:
        stale_after_s: seconds, above 0; inf keeps everything.

    Attributes:
        newest: the cursor received last, returned before or not.
        status: the newest status.
        missed: cursors that were published between two received ones, and not received.
        skipped: cursors that were received and dropped because the reader was too late.
        duplicates: cursors received twice in a row; the second is dropped.
        restarts: how often another daemon started at the endpoint.
        malformed: messages that could not be read.
        problem: why the last of these could not be read.
    """

    def __init__(self, stale_after_s: float) -> None:
        self.newest: Cursor | None = None
        self.status: Status | None = None
        self.missed = 0
        self.skipped = 0
        self.duplicates = 0
        self.restarts = 0
        self.malformed = 0
        self.problem = ""
        self._stale_after_s = stale_after_s
        self._offset = ClockOffset()
        self._waiting: deque[Cursor] = deque()

    def add(self, message: Cursor | Status | Unreadable, now_s: float) -> None:
        """Add one message, read at `now_s` of any monotonic clock."""
        if isinstance(message, Cursor):
            self._add_cursor(message, now_s)
        elif isinstance(message, Status):
            self.status = message
        else:
            self.malformed += 1
            self.problem = message.reason

    def _add_cursor(self, cursor: Cursor, now_s: float) -> None:
        last = self.newest
        if last is not None:
            steps = (cursor.seq - last.seq, cursor.bin - last.bin, cursor.t_pub - last.t_pub)
            if steps == (0, 0, 0.0):
                self.duplicates += 1
                return
            # All three only increase while one daemon runs.
            if steps[0] <= 0 or steps[1] <= 0 or steps[2] < 0:
                self._restart()
            else:
                self.missed += steps[0] - 1
        self._offset.observe(now_s, cursor.t_pub)
        self.newest = cursor
        self._waiting.append(cursor)
        if len(self._waiting) > MAX_WAITING:
            self._waiting.popleft()
            self.skipped += 1

    def _restart(self) -> None:
        # Cursors of the old daemon are obsolete, and the new one may use another machine's clock.
        self.restarts += 1
        self.skipped += len(self._waiting)
        self._waiting.clear()
        self._offset = ClockOffset()

    def take(self, now_s: float) -> Cursor | None:
        """The oldest cursor that waits and is not old; None if there is none."""
        while self._waiting:
            cursor = self._waiting.popleft()
            if self._age_s(cursor, now_s) <= self._stale_after_s:
                return cursor
            self.skipped += 1
        return None

    def take_newest(self, now_s: float) -> Cursor | None:
        """The newest cursor, if it waits and is not old; earlier ones are dropped and not counted."""
        if not self._waiting:
            return None
        cursor = self._waiting.pop()
        self._waiting.clear()
        if self._age_s(cursor, now_s) <= self._stale_after_s:
            return cursor
        self.skipped += 1
        return None

    def age_s(self, now_s: float) -> float:
        """Seconds since the newest cursor was published; inf without one."""
        return math.inf if self.newest is None else self._age_s(self.newest, now_s)

    def link(self, now_s: float) -> Link:
        """The state of the newest cursor."""
        if self.newest is None:
            return Link.WAITING
        if self._age_s(self.newest, now_s) > self._stale_after_s:
            return Link.LOST
        return Link.HELD if self.newest.flags & HELD_FLAGS else Link.LIVE

    def _age_s(self, cursor: Cursor, now_s: float) -> float:
        return max(0.0, now_s - cursor.t_pub - self._offset.seconds)
