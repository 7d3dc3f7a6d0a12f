"""The wait for streams before anything is decoded or recorded."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from rtdecode.errors import RtdecodeError
from rtdecode.ingest.beside.behavior import BehaviorReader
from rtdecode.ingest.connection.connector import Connector
from rtdecode.ingest.connection.streams import Network, listed
from rtdecode.ingest.signals.layouts import Layout

POLL_S = 0.05

#: What is waited for is reported after this time, and then every so often; the network is searched before.
REPORT_FIRST_S, REPORT_EVERY_S, NETWORK_S = 3.0, 10.0, 2.0

#: A refusal is reported once it has stood for so long: the right stream may be found a little later.
REFUSED_S = 0.6

#: Longest time to open a stream that has answered.
OPEN_S = 10.0

#: A behaviour stream that starts with the spikes may be announced this much later.
BEHAVIOR_AFTER_S = 5.0


class Stop(BaseException):
    """Request to end during the wait; not an Exception, so that no handler catches it."""


def await_streams(
    connectors: Mapping[str, Connector[Layout]],
    behavior: BehaviorReader | None,
    timeout_s: float,
    meanwhile: Callable[[], None],
    waiting: Callable[[str], None] = lambda _: None,
) -> None:
    """Wait until the stream of each started connector is opened, and that of a behaviour reader found.

    Args:
        connectors: started, by how their streams were asked for, such as "--stream M1".
        behavior: started, None for none.
        timeout_s: longest wait, seconds.
        meanwhile: called 20 times a second; may raise Stop.
        waiting: called with a line about what is waited for, and why what was found is not taken, when that
            changes; and now and then, with what is on the network.

    Raises:
        RtdecodeError: a stream is not found in time or cannot be used.
    """
    wait = _Wait(timeout_s, meanwhile, waiting)
    for asked, connector in connectors.items():
        wait.until(connector.ready.is_set, asked, connector)
    if behavior is not None:
        wait.deadline_s = max(wait.deadline_s, time.monotonic() + BEHAVIOR_AFTER_S)
        wait.until(lambda: bool(behavior.names), f"--behavior {behavior.name}", behavior.connector)


class _Wait:
    def __init__(
        self, timeout_s: float, meanwhile: Callable[[], None], waiting: Callable[[str], None]
    ) -> None:
        self._timeout_s, self._meanwhile, self._waiting = timeout_s, meanwhile, waiting
        self._network = Network()
        self._report_s = time.monotonic() + REPORT_FIRST_S
        self.deadline_s = time.monotonic() + timeout_s

    def until(self, there: Callable[[], bool], where: str, connector: Connector[Any]) -> None:
        refusal, since_s, told = "", time.monotonic(), ""
        while not there():
            time.sleep(POLL_S)
            self._meanwhile()
            if connector.failure is not None:
                raise connector.failure
            now = time.monotonic()
            opening = connector.found.is_set() and not connector.refusal
            if now > self.deadline_s + (OPEN_S if opening else 0.0):
                raise self._not_found(where, connector)
            if connector.refusal != refusal:
                refusal, since_s = connector.refusal, now
            elif refusal not in ("", told) and now - since_s > REFUSED_S:
                self._report_s = min(self._report_s, now - POLL_S)
            if now > self._report_s - NETWORK_S:
                self._network.seen()
            if now > self._report_s:
                self._report_s = now + REPORT_EVERY_S
                told = connector.refusal
                self._waiting(f"waiting for {where}: {self._seen(connector)}")

    def _not_found(self, where: str, connector: Connector[Any]) -> RtdecodeError:
        """Nothing, or nothing that can be taken, was found in time."""
        if connector.refusal:
            reason, _, fix = connector.refusal.partition(". Fix: ")
            fix = fix or "start the right stream"
            what = f"no stream was found that can be taken within {self._timeout_s:g} s ({reason})"
            return RtdecodeError(what, where=where, fix=f"{fix}; or wait longer with --timeout")
        return RtdecodeError(
            f"no stream was found within {self._timeout_s:g} s ({self._seen(connector)})",
            where=where,
            fix="start the acquisition or `rtdecode replay`, check the name against `rtdecode streams`, or "
            "wait longer with --timeout",
        )

    def _seen(self, connector: Connector[Any]) -> str:
        """Why what was found is not taken, or what else is on the network."""
        if connector.refusal:
            return connector.refusal
        others = "; ".join(listed(stream) for stream in self._network.seen())
        return f"on the network: {others}" if others else "no stream is on the network"
