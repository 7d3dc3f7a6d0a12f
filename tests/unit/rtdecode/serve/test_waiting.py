"""The wait for streams: what ends it, and in which order."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any

import pytest

from rtdecode.errors import RtdecodeError
from rtdecode.serve.waiting import Stop, await_streams


def stream(name: str, *, there: bool, failure: RtdecodeError | None = None) -> Any:
    """A connector, and a behaviour reader, whose stream is there or not."""
    event = threading.Event()
    if there:
        event.set()
    connector = SimpleNamespace(
        name=name, ready=event, found=event, failure=failure, refusal="only left answers"
    )
    connector.connector, connector.names = connector, ("x",) if there else ()
    return connector


def test_both_streams_are_awaited() -> None:
    await_streams(stream("M1", there=True), None, 0.0, pytest.fail)
    await_streams(stream("M1", there=True), stream("hand", there=True), 0.0, pytest.fail)


@pytest.mark.parametrize("missing", ["M1", "hand"])
def test_a_stop_and_a_refusal_end_the_wait(missing: str) -> None:
    def wait(meanwhile: Any = lambda: None, failure: RtdecodeError | None = None) -> None:
        spikes, hand = (stream(name, there=name != missing, failure=failure) for name in ("M1", "hand"))
        await_streams(spikes, hand, 60.0, meanwhile)

    def stop() -> None:
        raise Stop

    with pytest.raises(Stop):
        wait(stop)
    with pytest.raises(RtdecodeError, match="96 channels"):
        wait(failure=RtdecodeError("has 96 channels"))


def test_after_the_timeout_the_error_names_the_stream_and_what_answered() -> None:
    with pytest.raises(RtdecodeError, match=r"--stream M1: no stream .* within 0 s \(only left answers\)"):
        await_streams(stream("M1", there=False), None, 0.0, lambda: None)
