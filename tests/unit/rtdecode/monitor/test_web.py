"""The web monitor without a browser: which requests are answered, and frames that are dropped, not late."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import re
import socket
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack
from http.client import HTTPConnection
from importlib.resources import files
from typing import Any

import pytest
from monitored import WIDTH_S, after, counts, cursor, frame_until, packed_spikes, web_monitor
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from rtdecode.errors import RtdecodeError
from rtdecode.monitor.guard import Guard, check_host
from rtdecode.monitor.hub import MAX_UNSEEN, Hub, Page
from rtdecode.monitor.web import content_policy
from rtdecode.testing.fake_daemon import FakeControl, FakePublisher, accept_all

pytestmark = pytest.mark.realtime

HERE = "127.0.0.1:8765"


@pytest.mark.parametrize(
    ("host", "origin", "reads", "controls"),
    [
        (HERE, None, True, False),
        (HERE, f"http://{HERE}", True, True),
        ("localhost:8765", "http://localhost:8765", True, True),
        ("LOCALHOST:9", "http://localhost:9", True, True),
        ("[::1]:8765", "http://[::1]:8765", True, True),
        (HERE, "http://evil.example", False, False),
        (HERE, "http://127.0.0.1:9999", False, False),
        (HERE, "http://localhost:8765", False, False),
        (HERE, "https://127.0.0.1:8765", False, False),
        (HERE, "null", False, False),
        ("evil.example:8765", "http://evil.example:8765", False, False),
        ("127.0.0.1.evil.example:8765", None, False, False),
        ("evil@127.0.0.1", None, False, False),
        ("127.0.0.1:x", None, False, False),
        ("10.0.0.7:8765", "http://10.0.0.7:8765", False, False),
        ("", None, False, False),
        (None, None, False, False),
    ],
)
def test_requests_are_answered_by_host_and_origin(
    host: str | None, origin: str | None, reads: bool, controls: bool
) -> None:
    guard = Guard(insecure=False)
    assert (guard.reads(host, origin), guard.controls(host, origin)) == (reads, controls)


def test_an_insecure_monitor_answers_its_addresses_and_no_foreign_name() -> None:
    guard = Guard(insecure=True)
    assert guard.controls("10.0.0.7:8765", "http://10.0.0.7:8765")
    assert not guard.reads("evil.example:8765", "http://evil.example:8765")
    assert not guard.reads("10.0.0.7:8765", "http://evil.example")


def test_only_loopback_is_listened_on_without_insecure() -> None:
    assert check_host("localhost", insecure=False) == "127.0.0.1"
    assert check_host("[::1]", insecure=False) == "::1"
    assert check_host("0.0.0.0", insecure=True) == "0.0.0.0"
    with pytest.raises(RtdecodeError, match="--insecure"):
        check_host("0.0.0.0", insecure=False)
    with pytest.raises(RtdecodeError, match="is not an IP address"):
        check_host("rig.lab", insecure=True)


def page_text() -> str:
    return files("rtdecode.monitor").joinpath("page.html").read_text("utf-8")


def test_the_page_loads_nothing_from_other_hosts() -> None:
    html = page_text()
    assert not re.search(r"""(src|href)\s*=\s*["'](?!data:)|@import|url\(|https?://|import\(""", html)
    assert "innerHTML" not in html
    assert not re.search(r"\sstyle=|\son\w+=", html)


def test_the_policy_allows_the_pages_own_script_only() -> None:
    html = page_text()
    script = re.search(r"<script>(.*?)</script>", html, re.DOTALL)
    assert script is not None
    digest = base64.b64encode(hashlib.sha256(script[1].encode()).digest()).decode()
    policy = content_policy(html)
    assert f"script-src 'sha256-{digest}';" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy


class Reader:
    """A page: receives frames, and acknowledges them unless it is stalled."""

    def __init__(self, hub: Hub, *, stalled: bool = False, never_takes: bool = False) -> None:
        self.frames: list[dict[str, Any]] = []
        self.stalled, self.never_takes = stalled, never_takes
        self.page = Page(hub, self.take)
        self.task = asyncio.create_task(self.page.run())

    async def take(self, text: str) -> None:
        if self.never_takes:
            await asyncio.Event().wait()
        self.frames.append(json.loads(text))
        if not self.stalled:
            self.page.seen()


class Show:
    """A hub of a daemon that decodes five bins a frame."""

    def __init__(self) -> None:
        self.state, self.now_s = after(3.0)
        self.hub = Hub(self.state, {"control": False})
        self.bin = 150

    async def frame(self) -> None:
        for b in range(self.bin, self.bin + 5):
            self.state.add_cursor(cursor(b), self.now_s)
        self.state.add_spikes(counts(self.bin, 5))
        self.bin += 5
        self.now_s += 5 * WIDTH_S
        self.hub.publish(self.now_s)
        for _ in range(20):
            await asyncio.sleep(0)

    async def frames(self, n: int) -> None:
        for _ in range(n):
            await self.frame()


def shown(use: Callable[[Show, Reader], Awaitable[object]], **how: bool) -> list[dict[str, Any]]:
    """The frames that a page received of a show."""

    async def run() -> list[dict[str, Any]]:
        show = Show()
        reader = Reader(show.hub, **how)
        await use(show, reader)
        return reader.frames

    return asyncio.run(run())


def test_a_page_that_keeps_up_gets_every_frame_and_every_bin_once() -> None:
    frames = shown(lambda show, _: show.frames(30))
    assert [frame["number"] for frame in frames] == list(range(1, 31))
    bins = [row[0] for frame in frames for row in frame["raster"]["rows"]]
    assert bins == list(range(55, 300))
    assert [point[0] for frame in frames for point in frame["points"]] == bins


@pytest.mark.parametrize("how", [{"stalled": True}, {"never_takes": True}])
def test_a_stalled_page_delays_no_other_and_is_sent_nothing_more(how: dict[str, bool]) -> None:
    async def use(show: Show, _: Reader) -> None:
        others = [Reader(show.hub) for _ in range(9)]
        await show.frames(200)
        for other in others:
            assert [frame["number"] for frame in other.frames] == list(range(1, 201))

    assert len(shown(use, **how)) <= MAX_UNSEEN


def test_a_page_that_continues_gets_the_present_and_the_last_two_seconds() -> None:
    async def use(show: Show, reader: Reader) -> None:
        await show.frames(100)
        reader.stalled = False
        for _ in range(MAX_UNSEEN):
            reader.page.seen()
        await show.frame()

    frames = shown(use, stalled=True)
    assert [frame["number"] for frame in frames] == [1, 2, 101]
    assert [row[0] for row in frames[2]["raster"]["rows"]] == list(range(555, 655))


def test_surplus_acknowledgements_are_ignored() -> None:
    async def use(show: Show, reader: Reader) -> None:
        for sent in (MAX_UNSEEN, 2 * MAX_UNSEEN):
            for _ in range(50):
                reader.page.seen()
            await show.frames(10)
            assert len(reader.frames) == sent

    shown(use, stalled=True)


def test_pages_share_one_encoding_and_those_ahead_of_a_new_daemon_get_all_its_bins() -> None:
    show = Show()
    show.hub.publish(show.now_s)
    first, since = show.hub.encoded(0)
    assert show.hub.encoded(0)[0] is first
    assert show.hub.encoded(since)[0] is not first
    rows = json.loads(show.hub.encoded(10**9)[0])["raster"]["rows"]
    assert len(rows) == 100


@pytest.fixture(scope="module")
def publisher() -> Iterator[FakePublisher]:
    with FakePublisher() as started:
        yield started


@pytest.fixture(scope="module")
def address(publisher: FakePublisher) -> Iterator[str]:
    """The host:port of a monitor without control."""
    with web_monitor("--cursor", publisher.endpoint) as where:
        yield where


def ask(where: str, path: str, body: bytes | None = None, **headers: str) -> tuple[int, str]:
    """A request; header names with _ for -."""
    connection = HTTPConnection(where, timeout=10)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request("GET" if body is None else "POST", path, body, named)
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer.status, text


def open_frames(where: str, **options: Any) -> Any:
    return connect(f"ws://{where}/frames", compression=None, **options)


def drain(link: Any) -> None:
    while True:
        link.recv(10)


def test_the_page_is_served_with_its_policy(address: str) -> None:
    assert ask(address, "/") == (200, page_text())
    assert ask(address, "/other")[0] == 404
    assert ask(address, "/", Host="evil.example")[0] == 403


def test_frames_are_sent_to_the_monitors_own_page_only(address: str, publisher: FakePublisher) -> None:
    def publish(seq: int) -> None:
        publisher.status()
        publisher.cursor(1000 + seq)
        publisher.spikes(packed_spikes(1000 + seq, counts(seq, 1).rows))

    with open_frames(address, origin=f"http://{address}") as opened:
        frame = frame_until(opened, lambda f: f["state"] == "running" and f["raster"]["rows"], publish)
    assert frame["alive"]
    assert frame["control"] is False
    assert frame["raster"]["n_channels"] == 96
    for origin in ("http://evil.example", "null"):
        with pytest.raises(InvalidStatus, match="403"), open_frames(address, origin=origin):
            pass
    port = address.rpartition(":")[2]
    link = socket.create_connection(("127.0.0.1", int(port)))
    with (
        link,
        pytest.raises(InvalidStatus, match="403"),
        connect(f"ws://evil.example:{port}/frames", sock=link),
    ):
        pass


def test_only_a_page_that_sends_bytes_is_dropped(address: str) -> None:
    with open_frames(address) as good:
        with open_frames(address) as bad:
            bad.send(b"\0bytes")
            with pytest.raises(ConnectionClosed):
                drain(bad)
        first = json.loads(good.recv(10))["number"]
        good.send("seen")
        assert json.loads(good.recv(10))["number"] > first


def test_a_monitor_without_control_refuses_commands(address: str) -> None:
    headers = {"Origin": f"http://{address}", "Content_Type": "application/json"}
    status, text = ask(address, "/control", b'{"cmd": "stop"}', **headers)
    assert status == 403
    assert "--allow-control" in text


def test_with_allow_control_only_the_monitors_own_page_controls(publisher: FakePublisher) -> None:
    def refusing(request: dict[str, Any]) -> dict[str, Any]:
        if request["cmd"] == "reset":
            return {"ok": False, "error": "not now"}
        return accept_all(request)

    with (
        FakeControl(refusing) as control,
        web_monitor("--cursor", publisher.endpoint, "--allow-control", "--control", control.endpoint) as here,
    ):
        own = {"Origin": f"http://{here}", "Content_Type": "application/json"}
        assert json.loads(ask(here, "/control", b'{"cmd": "pause"}', **own)[1]) == {"ok": True, "bin": 42}
        swapped = ask(here, "/control", b'{"cmd": "swap", "path": "/m.safetensors"}', **own)
        assert json.loads(swapped[1]) == {"ok": True, "bin": 42}
        status, text = ask(here, "/control", b'{"cmd": "reset"}', **own)
        assert (status, json.loads(text)["ok"]) == (502, False)
        assert "not now" in text
        done = len(control.requests)
        assert control.requests[1] == {"cmd": "swap", "path": "/m.safetensors"}
        refused = [
            (403, b'{"cmd": "stop"}', {**own, "Origin": "http://evil.example"}),
            (403, b'{"cmd": "stop"}', {"Content_Type": "application/json"}),
            (403, b'{"cmd": "stop"}', {**own, "Host": "evil.example", "Origin": "http://evil.example"}),
            (415, b'{"cmd": "stop"}', {**own, "Content_Type": "text/plain"}),
            (413, b" " * 9000, own),
            (400, b'{"cmd": "status"}', own),
            (400, b'{"cmd": "swap"}', own),
            (400, b'{"cmd": "stop", "path": "/x"}', own),
            (400, b'{"cmd": "stop", "more": 1}', own),
            (400, b"stop", own),
        ]
        for status, body, headers in refused:
            assert ask(here, "/control", body, **headers)[0] == status, (body, headers)
        assert ask(here, "/control")[0] == 405
        assert len(control.requests) == done


def test_ten_pages_and_one_reads_nothing(address: str) -> None:
    with ExitStack() as opened:
        opened.enter_context(open_frames(address, max_queue=1, close_timeout=0.1))
        pages = [opened.enter_context(open_frames(address)) for _ in range(9)]
        numbers: list[list[int]] = [[] for _ in pages]
        for _ in range(20):
            for page, seen in zip(pages, numbers, strict=True):
                seen.append(json.loads(page.recv(10))["number"])
                page.send("seen")
    for seen in numbers:
        assert seen == list(range(seen[0], seen[0] + 20))


def refusal(*arguments: str, prelude: str = "") -> str:
    """What `rtdecode monitor --web` prints before it exits with 1."""
    code = f"import sys; {prelude}from rtdecode.cli import main; main()"
    command = [sys.executable, "-c", code, "monitor", "--web", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    return done.stderr


def test_what_cannot_be_served_is_refused_in_one_line(address: str) -> None:
    port = address.rpartition(":")[2]
    in_use = refusal("--port", port)
    assert in_use.startswith(f"rtdecode: --port: cannot listen on 127.0.0.1:{port}")
    assert "--insecure" in refusal("--host", "0.0.0.0")
    without = refusal(prelude="sys.modules['uvicorn'] = None; ")
    assert "needs uvicorn, which is not installed. Fix: pip install 'rtdecode[web]'" in without
