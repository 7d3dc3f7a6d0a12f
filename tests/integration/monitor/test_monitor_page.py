"""The page in a real browser: sizes, keyboard, and a lost daemon or monitor."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import msgpack
import pytest
from chromium import CHROMIUM, Chromium
from monitored import STATUS_MAP, WIDTH_S, counts, cursor, packed_spikes, web_monitor

from rtdecode.testing.fake_daemon import CLOCK_ZERO_S, FakeControl, FakePublisher, accept_all
from rtdecode.tools.loopback import free_endpoint

pytestmark = [
    pytest.mark.realtime,
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed"),
    pytest.mark.timeout(120),
]

SIZES = [(360, 740), (768, 1024), (1280, 800), (1920, 1080), (3840, 2160)]


class Playing:
    """A fake daemon and a task that publish until `close`.

    Args:
        endpoint: of its cursors.
    """

    def __init__(self, endpoint: str) -> None:
        self._publisher, self._tasks = FakePublisher(endpoint), FakePublisher()
        self.endpoint, self.task = endpoint, self._tasks.endpoint
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        began, b = time.monotonic(), 0
        while not self._ending.wait(max(0.0, began + b * WIDTH_S - time.monotonic())):
            now = time.monotonic() + CLOCK_ZERO_S
            made = cursor(b)
            times = {"t_bin": now - 1.4e-3, "t_close": now - 8e-5, "t_pub": now}
            self._publisher.cursor(b, value=made.value, model=made.model, **times)
            if b % 5 == 4:
                self._publisher.spikes(packed_spikes(b - 4, counts(b - 4, 5).rows))
            if b % 50 == 0:
                self._publisher.send(
                    b"status", msgpack.packb(STATUS_MAP | {"uptime_s": b * WIDTH_S, "bin": b})
                )
            target = {"v": 1, "target": [60.0, 0.0], "radius": 8.0, "state": "move", "trial": 3}
            self._tasks.send(b"task", msgpack.packb(target))
            b += 1

    def close(self) -> None:
        """Stop, as a killed daemon."""
        self._ending.set()
        self._thread.join()
        self._publisher.close()
        self._tasks.close()


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Chromium]:
    with Chromium(tmp_path / "profile") as started:
        yield started


#: Number of drawn pixels of a canvas.
DRAWN = """(() => { const c = document.querySelector("#%s canvas");
  const d = c.getContext("2d").getImageData(0, 0, c.width, c.height).data;
  let n = 0; for (let i = 3; i < d.length; i += 4) n += d[i] > 0; return n; })()"""

OVERFLOWING = """[...document.querySelectorAll("header *, main *, footer *, #controls *")]
  .filter(e => e.getClientRects().length && e.getBoundingClientRect().right > innerWidth + 1)
  .map(e => e.outerHTML)"""


def test_every_size_shows_everything_without_overflow(browser: Chromium, tmp_path: Path) -> None:
    with (
        closing(Playing(free_endpoint())) as daemon,
        web_monitor("--cursor", daemon.endpoint, "--task", daemon.task) as address,
    ):
        browser.open(f"http://{address}")
        browser.until("document.title.startsWith('running')")
        for width, height in SIZES:
            browser.resize(width, height)
            for scheme in ("dark", "light"):
                browser.prefer(scheme)
                time.sleep(0.5)
                assert browser.run("document.documentElement.scrollWidth") <= width
                assert browser.run(OVERFLOWING) == []
                for canvas in ("plane", "spikes", "decode-distribution", "total-distribution"):
                    assert browser.run(DRAWN % canvas) > 50, (canvas, width)
                if width >= 900:
                    assert browser.run("document.documentElement.scrollHeight") <= height
                browser.screenshot(tmp_path / f"{width}x{height}-{scheme}.png")
        assert "lost 3" in browser.run("document.body.innerText")
        assert browser.run("getComputedStyle(document.getElementById('controls')).display") == "none"
        assert browser.errors == []


def test_the_cursor_moves_and_the_spikes_scroll(browser: Chromium) -> None:
    with closing(Playing(free_endpoint())) as daemon, web_monitor("--cursor", daemon.endpoint) as address:
        browser.open(f"http://{address}")
        browser.until("document.title.startsWith('running') && points.length > 50")
        first = browser.run("head")
        time.sleep(1.0)
        # A second is 50 bins.
        assert 25 < browser.run("head") - first < 75
        late = browser.run("(endBin() - head) * now.bin_width_s")
        assert 0.0 <= late < 0.5


def test_a_lost_daemon_is_reported_and_its_return_followed(browser: Chromium) -> None:
    endpoint = free_endpoint()
    with web_monitor("--cursor", endpoint) as address:
        browser.open(f"http://{address}")
        browser.until(
            "document.getElementById('alert').textContent.startsWith('no message from a daemon yet')"
        )
        assert not browser.run("document.getElementById('alert').hidden")
        with closing(Playing(endpoint)):
            browser.until("document.title.startsWith('running')")
            assert browser.run("document.getElementById('alert').hidden")
            assert not browser.run("document.body.classList.contains('old')")
        browser.until("document.getElementById('alert').textContent.startsWith('daemon lost')")
        assert browser.run("document.getElementById('state').textContent") == "daemon lost"
        assert browser.run("document.body.classList.contains('old')")
        with closing(Playing(endpoint)):
            browser.until("document.title.startsWith('running') && !document.body.classList.contains('old')")
        assert browser.errors == []


def test_a_lost_monitor_is_reported_and_its_return_followed(browser: Chromium) -> None:
    port = int(free_endpoint().rpartition(":")[2])
    with closing(Playing(free_endpoint())) as daemon:
        with web_monitor("--cursor", daemon.endpoint, port=port) as address:
            browser.open(f"http://{address}")
            browser.until("document.title.startsWith('running')")
        browser.until("document.getElementById('alert').textContent.includes('server is gone')")
        with web_monitor("--cursor", daemon.endpoint, port=port):
            browser.until("document.title.startsWith('running') && document.getElementById('alert').hidden")


def focused(browser: Chromium) -> str:
    found: str = browser.run("document.activeElement.id || document.activeElement.tagName")
    return found


def test_every_control_works_by_keyboard(browser: Chromium) -> None:
    with (
        FakeControl(accept_all) as control,
        closing(Playing(free_endpoint())) as daemon,
        web_monitor("--cursor", daemon.endpoint, "--allow-control", "--control", control.endpoint) as address,
    ):
        browser.resize(1280, 800)
        browser.open(f"http://{address}")
        browser.until("document.title.startsWith('running') && !document.getElementById('pause').disabled")

        def asked() -> list[Any]:
            return [request["cmd"] for request in control.requests]

        order = []
        for _ in range(6):
            browser.press("Tab")
            order.append(focused(browser))
        assert order == ["pause", "reset", "stop", "path", "swap", "SUMMARY"]
        outline = browser.run("getComputedStyle(document.activeElement).outlineWidth")
        assert float(outline.removesuffix("px")) >= 2
        browser.press("Enter")
        assert browser.run("document.querySelector('details').open")

        browser.run("document.getElementById('pause').focus()")
        browser.press(" ")
        browser.until("document.getElementById('answer').textContent === 'pause: from bin 42'")
        browser.run("document.getElementById('stop').focus()")
        browser.press("Enter")
        assert asked() == ["pause"]
        assert browser.run("document.getElementById('stop').textContent") == "Press again to stop"
        browser.press("Tab")
        assert browser.run("document.getElementById('stop').textContent") == "Stop daemon"
        assert focused(browser) == "path"
        browser.type("/m/today.safetensors")
        browser.press("Enter")
        browser.until("document.getElementById('answer').textContent === 'swap: from bin 42'")
        assert control.requests[-1] == {"cmd": "swap", "path": "/m/today.safetensors"}
        browser.run("document.getElementById('stop').focus()")
        browser.press("Enter")
        browser.press("Enter")
        browser.until("document.getElementById('answer').textContent === 'stop: from bin 42'")
        assert asked() == ["pause", "swap", "stop"]
        assert browser.errors == []
