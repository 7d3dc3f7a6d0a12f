"""The wait for streams: what ends it, and in which order."""

from __future__ import annotations

import threading
import time
from types import SimpleNamespace
from typing import Any

import pytest

from rtdecode.errors import RtdecodeError
from rtdecode.ingest.signals.layouts import StreamDescription
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


@pytest.fixture(autouse=True)
def network(monkeypatch: pytest.MonkeyPatch) -> list[StreamDescription]:
    """What is on the network."""
    there = [StreamDescription("M2", "Spikes", 3, 0.0, "int32", source_id="rig-b", hostname="lab")]
    monkeypatch.setattr("rtdecode.ingest.connection.streams.Network.seen", lambda _: there)
    return there


def test_both_streams_are_awaited() -> None:
    await_streams({"--stream M1": stream("M1", there=True)}, None, 0.0, pytest.fail)
    await_streams({"--stream M1": stream("M1", there=True)}, stream("hand", there=True), 0.0, pytest.fail)


@pytest.mark.parametrize("missing", ["M1", "hand"])
def test_a_stop_and_a_refusal_end_the_wait(missing: str) -> None:
    def wait(meanwhile: Any = lambda: None, failure: RtdecodeError | None = None) -> None:
        spikes, hand = (stream(name, there=name != missing, failure=failure) for name in ("M1", "hand"))
        await_streams({"--stream M1": spikes}, hand, 60.0, meanwhile)

    def stop() -> None:
        raise Stop

    with pytest.raises(Stop):
        wait(stop)
    with pytest.raises(RtdecodeError, match="96 channels"):
        wait(failure=RtdecodeError("has 96 channels"))


def test_after_the_timeout_the_error_names_the_stream_and_what_answered() -> None:
    with pytest.raises(RtdecodeError, match=r"--stream M1: no stream .* within 0 s \(only left answers\)"):
        await_streams({"--stream M1": stream("M1", there=False)}, None, 0.0, lambda: None)


def test_why_what_was_found_is_not_taken_is_said_at_once_and_when_it_changes() -> None:
    lines: list[str] = []
    refused = stream("M1", there=False)
    refused.refusal = "stream M1: has 17 channels. Fix: serve another model"
    begun_s = time.monotonic()

    def meanwhile() -> None:
        if len(lines) == 1:
            refused.refusal = "stream M1: no spike layout. Fix: send events"

    wanted = r"within 1\.7 s \(stream M1: no spike layout\)\. Fix: send events; or wait longer with --timeout"
    with pytest.raises(RtdecodeError, match=wanted):
        await_streams({"--stream M1": refused}, None, 1.7, meanwhile, lines.append)
    assert time.monotonic() - begun_s < 3.0
    assert [line.partition(": ")[2][:28] for line in lines] == [
        "stream M1: has 17 channels. ",
        "stream M1: no spike layout. ",
    ]


def test_what_is_waited_for_and_what_is_there_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rtdecode.serve.waiting.REPORT_FIRST_S", 0.0)
    lines: list[str] = []
    silent = stream("M1", there=False)
    silent.refusal = ""
    with pytest.raises(RtdecodeError, match=r"on the network: M2 \(type Spikes, .*\), source rig-b on lab"):
        await_streams({"--stream M1": silent}, None, 0.2, lambda: None, lines.append)
    assert lines == [
        "waiting for --stream M1: on the network: M2 (type Spikes, 3 x int32, irregular), source rig-b on lab"
    ]
