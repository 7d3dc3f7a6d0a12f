"""The wait for streams before anything is decoded or recorded."""

from __future__ import annotations

import time
from collections.abc import Callable

from rtdecode.errors import RtdecodeError
from rtdecode.ingest.behavior import BehaviorReader
from rtdecode.ingest.connector import Connector
from rtdecode.ingest.layouts import Layout

POLL_S = 0.05

#: Longest time to open a stream that has answered.
OPEN_S = 10.0

#: A behaviour stream that starts with the spikes may be announced this much later.
BEHAVIOR_AFTER_S = 5.0


class Stop(BaseException):
    """Request to end during the wait; not an Exception, so that no handler catches it."""


def await_streams(
    connector: Connector[Layout],
    behavior: BehaviorReader | None,
    timeout_s: float,
    meanwhile: Callable[[], None],
) -> None:
    """Wait until the stream of a started connector is opened, and that of a behaviour reader found.

    Args:
        connector, behavior: started; `behavior` None for none.
        timeout_s: longest wait, seconds.
        meanwhile: called 20 times a second; may raise Stop.

    Raises:
        RtdecodeError: a stream is not found in time or cannot be used.
    """
    deadline = time.monotonic() + timeout_s
    while not connector.ready.wait(POLL_S):
        meanwhile()
        if connector.failure is not None:
            raise connector.failure
        patience_s = OPEN_S if connector.found.is_set() else 0.0
        if time.monotonic() > deadline + patience_s:
            raise _not_found(f"--stream {connector.name}", timeout_s, connector.refusal)
    if behavior is None:
        return
    deadline = max(deadline, time.monotonic() + BEHAVIOR_AFTER_S)
    while not behavior.names:
        time.sleep(POLL_S)
        meanwhile()
        if behavior.connector.failure is not None:
            raise behavior.connector.failure
        if time.monotonic() > deadline:
            raise _not_found(f"--behavior {behavior.name}", timeout_s, behavior.connector.refusal)


def _not_found(where: str, timeout_s: float, seen: str = "") -> RtdecodeError:
    return RtdecodeError(
        f"no stream of that name was found within {timeout_s:g} s" + (f" ({seen})" if seen else ""),
        where=where,
        fix="start the acquisition or `rtdecode replay`, check the name, or wait longer with --timeout",
    )
