"""Running numbers with gaps, the status line, and what a source says while nobody answers."""

from __future__ import annotations

import math
import socket
import struct
import time
from collections.abc import Iterator

import numpy as np
import pytest

from rtdecode.errors import RtdecodeError
from rtdecode.tools.bridge.blackrock.packets import HEADERS
from rtdecode.tools.bridge.blackrock.source import BlackrockSettings, BlackrockSource
from rtdecode.tools.bridge.intan.source import IntanSettings, IntanSource
from rtdecode.tools.bridge.items import Spike
from rtdecode.tools.bridge.openephys.source import OpenEphysSettings, OpenEphysSource
from rtdecode.tools.bridge.outlets import EventRows
from rtdecode.tools.bridge.status import BridgeStatus
from rtdecode.tools.loopback import free_endpoint


def test_what_is_lost_leaves_a_gap_in_the_running_number() -> None:
    rows, spikes = EventRows(), [Spike(1, 5, 2), Spike(2, 6, 0)]
    assert rows.make(spikes, [0, 0]).tolist() == [[5, 2, 0], [6, 0, 1]]
    assert rows.make(spikes, [3, 4]).tolist() == [[5, 2, 5], [6, 0, 7]]
    assert rows.n == 4


def test_the_running_number_wraps_around() -> None:
    rows = EventRows()
    found = rows.make([Spike(0, 0, 0)] * 3, [2**31 - 1, 2**31 - 1, 2**32])
    assert found[:, 2].tolist() == [2**31 - 1, -(2**31), 2]
    assert found.dtype == np.int32


def test_the_status_line_says_what_is_wrong() -> None:
    status = BridgeStatus("receiving", 12_345, 5000.0, 0, 0, 0, clock_bound_ms=0.123)
    assert status.line() == "receiving  spikes 12,345 (5,000/s)  lost 0  garbled 0  clock ±0.12 ms"
    assert status.summary() == ["sent 12,345 spikes; lost 0 spikes"]
    status = BridgeStatus("receiving", 0, 0.0, 300, 7, 600, garbled={"no record": 2, "cut": 1}, held=50)
    assert math.isinf(status.clock_bound_ms)
    assert status.line() == (
        "receiving  spikes 0 (0/s)  lost 7  samples 300 (600 lost)  garbled 3  held 50  clock not known yet"
    )
    assert status.summary() == [
        "sent 0 spikes and 300 continuous samples; lost 7 spikes and 600 samples",
        "garbled: 1 x cut",
        "garbled: 2 x no record",
        "not sent: 50, whose clock was not known yet",
    ]


@pytest.mark.realtime
def test_sources_wait_for_what_is_not_there() -> None:
    port = int(free_endpoint().rpartition(":")[2])
    rhx = IntanSource(IntanSettings(host="127.0.0.1", port=port))
    gui = OpenEphysSource(OpenEphysSettings(host="127.0.0.1", port=port, n_channels=4, rate_hz=30_000.0))
    begun_s = time.monotonic()
    for _ in range(5):
        assert list(rhx.poll(0.02)) == []
        assert list(gui.poll(0.02)) == []
    assert time.monotonic() - begun_s < 2.0
    assert rhx.state == f"waiting for RHX at 127.0.0.1:{port} ([Errno 111] Connection refused)"
    assert gui.state == f"waiting for the plugin at 127.0.0.1:{port}"
    assert (rhx.n_channels, gui.n_channels) == (None, 4)
    rhx.close()
    gui.close()


@pytest.fixture
def nsp() -> Iterator[BlackrockSource]:
    port, control_port = (int(free_endpoint().rpartition(":")[2]) for _ in range(2))
    settings = BlackrockSettings(host="127.0.0.1", port=port, control_port=control_port, channels=(1, 2))
    source = BlackrockSource(settings)
    yield source
    source.close()


def send(source: BlackrockSource, name: bytes, sender: str = "127.0.0.1") -> None:
    """Send what a device says of itself."""
    body = struct.pack("<8x64s40x", name)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as device:
        device.bind((sender, 0))
        datagram = HEADERS["4.1"].pack(1, 0x8000, 0x21, len(body) // 4, 0, 0) + body
        device.sendto(datagram, ("127.0.0.1", source._settings.port))


def test_a_blackrock_is_asked_what_it_is_and_must_stay_it(nsp: BlackrockSource) -> None:
    assert list(nsp.poll(0.0)) == []
    assert "it sends nothing to port" in nsp.state
    send(nsp, b"NSP", "127.0.0.2")
    assert list(nsp.poll(0.5)) == []
    assert nsp.tally.garbled == {"datagram of another machine than --host": 1}
    send(nsp, b"NSP")
    assert [items for _, items in nsp.poll(0.5)] == [[]]
    assert (nsp.state, nsp.rate_hz, nsp.n_channels) == ("receiving", 30_000.0, 2)
    send(nsp, b"Gemini Hub")
    with pytest.raises(RtdecodeError, match="counts 1,000,000,000 a second, not 30,000"):
        nsp.poll(0.5)


def test_a_blackrock_of_no_address_is_waited_for() -> None:
    settings = BlackrockSettings(host="no host", port=1, control_port=1, channels=(1,))
    nsp = BlackrockSource(settings)
    assert list(nsp.poll(0.0)) == []
    assert nsp.state.startswith("waiting for no host:1 (")
    nsp.close()
