"""Checks of a client's arguments."""

from __future__ import annotations

import math

from rtdecode.errors import RtdecodeError


def check_seconds(name: str, seconds: float, most_s: float = math.inf) -> float:
    """Check a time and return it.

    Raises:
        RtdecodeError: it is not above 0, or above `most_s`.
    """
    if not 0 < seconds <= most_s:
        limit = "" if math.isinf(most_s) else f" and at most {most_s:g}"
        raise RtdecodeError(
            f"{name} is {seconds!r}; it must be above 0{limit} seconds", fix="pass a number of seconds"
        )
    return seconds


def deadline_s(now_s: float, timeout_s: float | None) -> float:
    """The end of a wait that begins at `now_s`; inf for None.

    Raises:
        RtdecodeError: a time-out that is below 0 or NaN.
    """
    if timeout_s is None:
        return math.inf
    if not timeout_s >= 0:
        raise RtdecodeError(
            f"timeout_s is {timeout_s!r}; it must be 0 seconds or more",
            fix="pass None to wait without a limit",
        )
    return now_s + timeout_s


def cannot_connect(endpoint: str, error: Exception) -> RtdecodeError:
    """The error for an endpoint that ZeroMQ refuses."""
    return RtdecodeError(f"cannot connect ({error})", where=endpoint, fix="check the endpoint")
