"""What a recording without decoder says and logs of its source."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from rtdecode.ingest.signals.layouts import Layout, StreamDescription
from rtdecode.serve.recording.buffers import RecordBuffers
from rtdecode.tools.record.sink import RecordSink


def feed_of(source_id: str, uid: str = "u1") -> Any:
    stream = StreamDescription("M1", "Spikes", 3, 0.0, "int32", source_id=source_id, hostname="lab", uid=uid)
    return cast(Any, SimpleNamespace(inlet=SimpleNamespace(stream=stream), layout=Layout.EVENTS))


def test_every_line_and_entry_names_the_source() -> None:
    lines: list[str] = []
    buffers = RecordBuffers(4, 0)
    sink = RecordSink("M1", Path("today.h5"), buffers, lines.append)
    sink.attached(feed_of("rig-a"))
    sink.shifted(-30.0)
    sink.broke_off(5, "its outlet is gone")
    sink.attached(feed_of(""))
    sink.resumed(9, 0.1)
    assert lines == [
        "recording M1 (type Spikes, 3 x int32, irregular) as events to today.h5, source rig-a on lab",
        "stream M1: its stamps are shifted by -30.000 s onto our clock (source rig-a on lab)",
        "stream M1: its outlet is gone; waiting for it (source rig-a on lab)",
        "recording M1 (type Spikes, 3 x int32, irregular) as events to today.h5, source unnamed on lab",
        "stream M1: is recorded again (source unnamed on lab)",
    ]
    ours = {"stream": "M1", "source_id": "rig-a", "host": "lab"}
    # Without an id of its own, an outlet is told from others by its uid.
    unnamed = {"stream": "M1", "source_id": "", "host": "lab", "uid": "u1"}
    assert [(entry.kind, entry.data) for entry in buffers.log] == [
        ("attached", ours),
        ("shifted", {"seconds": -30.0, **ours}),
        ("outage", {"reason": "its outlet is gone", **ours}),
        ("attached", unnamed),
        ("gap", {"reason": "stream is back", **unnamed}),
    ]
