"""What people give a client, checked once: where the daemon is, and how long to wait."""

from __future__ import annotations

import math
import re

from rtdecode.errors import RtdecodeError

CURSOR_ENDPOINT = "tcp://127.0.0.1:5556"
CONTROL_ENDPOINT = "tcp://127.0.0.1:5557"

_TCP = re.compile(r"tcp://(?:[A-Za-z0-9][A-Za-z0-9._-]*|\[[0-9A-Fa-f:.]+(?:%\w+)?\]):(\d{1,5})", re.ASCII)


def check_endpoint(endpoint: str) -> str:
    """The endpoint itself, if one can connect to it.

    Raises:
        RtdecodeError: neither tcp://host:port nor ipc://path.
    """
    tcp = _TCP.fullmatch(endpoint)
    if (tcp and 0 < int(tcp[1]) < 65536) or (endpoint.startswith("ipc://") and len(endpoint) > 6):
        return endpoint
    raise RtdecodeError(
        "is no endpoint", where=repr(endpoint), fix=f"write it like {CURSOR_ENDPOINT} or ipc:///tmp/cursor"
    )


def check_seconds(name: str, seconds: float, most_s: float = math.inf) -> float:
    """The number itself.

    Raises:
        RtdecodeError: it does not lie above 0 and up to `most_s`.
    """
    if not 0 < seconds <= most_s:
        limit = "" if math.isinf(most_s) else f" and at most {most_s:g}"
        raise RtdecodeError(f"must be above 0{limit} seconds, not {seconds!r}", where=name)
    return seconds


def deadline_s(now_s: float, timeout_s: float | None) -> float:
    """When a wait that begins at `now_s` ends; inf for None.

    Raises:
        RtdecodeError: a time-out that is below 0 or not a number.
    """
    if timeout_s is None:
        return math.inf
    if not timeout_s >= 0:
        raise RtdecodeError(f"must be 0 seconds or more, not {timeout_s!r}", where="timeout_s")
    return now_s + timeout_s
