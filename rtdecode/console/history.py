"""Recent changes of the counters, from consecutive status maps."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any

#: A fault in these last seconds counts as happening now.
RECENT_S = 10.0

#: Number of bins whose latencies are kept: one minute of 20-ms bins.
LATENCY_WINDOW = 3000


@dataclass(frozen=True)
class Recent:
    """Recent changes.

    Attributes:
        span_s: time span, seconds.
        gained: increase of each counter in that time.
        state_s: time since the state changed, seconds; None if that was before the first map.
    """

    span_s: float = 0.0
    gained: dict[str, int] = field(default_factory=dict)
    state_s: float | None = 0.0


class History:
    """Keeps the counters of the last status maps.

    Args:
        first: first map of a daemon that was running before; without it all counters begin with 0.
    """

    def __init__(self, first: dict[str, Any] | None = None) -> None:
        self._seen: deque[tuple[float, dict[str, int]]] = deque([(0.0, {})])
        self._state = ""
        self._since_s: float | None = 0.0
        if first is not None:
            self.add(first)
            self._seen.popleft()
            self._since_s = None

    def add(self, status: dict[str, Any]) -> Recent:
        """Add the next map, and compare it with the newest one that is at least RECENT_S old."""
        seen, state = self._seen, status.get("state") or ""
        now_s = status.get("uptime_s") or seen[-1][0] + 1.0
        now = {key: n for key, n in under(status, "counters").items() if n is not None}
        seen.append((now_s, now))
        while seen[1][0] <= now_s - RECENT_S:
            seen.popleft()
        if state != self._state:
            self._state, self._since_s = state, now_s
        then_s, then = seen[0]
        gained = {key: n - then.get(key, 0) for key, n in now.items()}
        return Recent(now_s - then_s, gained, None if self._since_s is None else now_s - self._since_s)


def under(status: dict[str, Any], *keys: str) -> dict[str, Any]:
    """The map under `keys`, empty where it is missing or None."""
    for key in keys:
        status = status.get(key) or {}
    return status
