"""The terminal monitor's picture: it fits the terminal and shows the essentials."""

from __future__ import annotations

import io
import itertools
import json
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import msgpack
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from monitored import A_TASK, STATUS_MAP, after, counts, cursor, packed_spikes
from rich.cells import cell_len
from rich.console import Console
from terminal import on_a_terminal

from rtdecode.client import Link
from rtdecode.client.status import Status
from rtdecode.messages import Flag
from rtdecode.monitor.dots import bar_lines, dot_lines, pooled
from rtdecode.monitor.screen import screen
from rtdecode.monitor.state import MonitorState
from rtdecode.monitor.terminal import Lines, watch
from rtdecode.testing.fake_daemon import FakePublisher

pytestmark = pytest.mark.realtime

SIZES = [(80, 24), (200, 60)]


def texts(state: MonitorState, now_s: float, width: int, height: int, *, unicode: bool = True) -> list[str]:
    lines = screen(state, now_s, width, height, unicode)
    return ["".join(part.text for part in line) for line in lines]


def test_features_alone_are_counted_where_spikes_would_be() -> None:
    state = MonitorState()
    model = {"id": "deadbeef", "n_channels": 0, "n_features": 96}
    state.update_status(Status(v=1, state="running", names=["x"], units=["mm"], model=model), 0.0)
    assert "no spikes: 96 features" in "\n".join(texts(state, 0.0, 200, 60))


STATES: dict[str, tuple[MonitorState, float]] = {
    "nothing received": (MonitorState(), 0.0),
    "running": after(3.0, task=A_TASK),
    "one output": after(2.0, names=["grip"], units=["N"], roles=["other"]),
    "1,000 channels": after(2.0, n_channels=1000),
    "four channels": after(2.0, n_channels=4),
    "much is wrong": after(
        3.0,
        counters={key: 10**7 + i for i, key in enumerate(STATUS_MAP["counters"])},
        warnings=["a warning that is a good deal longer than eighty characters, as they are" * 2] * 3,
        recording={"path": "/data/" + "long/" * 30 + "x.h5", "error": "No space left on device", "bins": 3},
        stream=STATUS_MAP["stream"] | {"name": "名前" * 40},
    ),
}


@given(st.sampled_from(sorted(STATES)), st.integers(1, 300), st.integers(1, 100), st.booleans())
@example("much is wrong", 80, 24, False)
@example("1,000 channels", 300, 90, True)
@settings(max_examples=150, deadline=None)
def test_the_picture_fits_any_size(name: str, width: int, height: int, unicode: bool) -> None:
    lines = texts(*STATES[name], width, height, unicode=unicode)
    assert len(lines) <= height
    assert max(map(cell_len, lines), default=0) <= width
    if not unicode and "名" not in "".join(lines):
        assert "".join(lines).isascii()


@pytest.mark.parametrize("size", SIZES)
def test_the_essentials_are_on_a_screen_of_the_whole_height(size: tuple[int, int]) -> None:
    lines = texts(*STATES["running"], *size)
    assert len(lines) == size[1]
    shown = "\n".join(lines)
    for text in ("RUNNING", "M1", "alignnet", "a1b2c3d4", "96 channels", "●", "move", "92%"):
        assert text in shown, text
    for text in ("decode ms", "total ms", "p50 0.08", "rates Hz", "silent", "lost", "today.h5"):
        assert text in shown, text


def test_the_large_screen_has_every_counter() -> None:
    shown = "\n".join(texts(*STATES["running"], 200, 60))
    assert all(name in shown for name in ("out of order", "fail-safe", "warm-up bins", "clock jumps"))


def test_cursor_and_target_are_at_their_positions() -> None:
    for b, there in ((0, lambda r, c: c > 40), (50, lambda r, c: r < 15), (100, lambda r, c: c < 20)):
        state, now_s = after(4.0)
        state.add_cursor(cursor(200 + b), now_s)
        lines = texts(state, now_s, 200, 60)
        row = next(i for i, line in enumerate(lines) if "●" in line)
        assert there(row, lines[row].index("●"))
    styles = [part.style for line in screen(*STATES["running"], 200, 60, True) for part in line]
    assert "target" in styles
    assert "target" not in [part.style for line in screen(*after(3.0), 200, 60, True) for part in line]


def test_a_lost_daemon_is_on_the_first_line_and_the_rest_is_dim() -> None:
    state, now_s = after(3.0)
    state.update_link(Link.LOST, age_s=7.0, restarts=0)
    lines = screen(state, now_s + 7.0, 80, 24, True)
    assert "".join(part.text for part in lines[0]).startswith(" NO DAEMON   daemon lost: silent for 7 s")
    assert {part.style for line in lines[1:] for part in line if part.text.strip()} == {"zero"}


def test_the_present_flags_are_on_the_first_line() -> None:
    state, now_s = after(3.0)
    state.add_cursor(cursor(150, flags=int(Flag.GAP | Flag.CATCH_UP)), now_s)
    assert "CATCH_UP GAP" in texts(state, now_s, 80, 24)[0]


def test_spikes_are_dots_at_their_channel_and_time() -> None:
    state, now_s = after(2.0)
    silent = np.zeros((100, 96), np.uint8)
    silent[99, 0] = silent[0, 95] = 1
    state.raster.add(counts(2000, 1))
    state.raster.add(type(counts(0, 1))(2001, silent))
    lines = texts(state, now_s, 200, 60)
    top = next(i for i, line in enumerate(lines) if "spikes of" in line)
    bottom = next(i for i, line in enumerate(lines) if "last 2 s" in line)
    inside = [line.split("│")[-2] for line in lines[top + 1 : bottom]]
    marked = [(i, j) for i, line in enumerate(inside) for j, c in enumerate(line) if c != " "]
    assert marked == [(0, len(inside[0]) - 1), (len(inside) - 1, 0)]


def test_dots_in_braille() -> None:
    dots = np.zeros((4, 4), bool)
    dots[0, 0] = dots[3, 3] = True
    assert dot_lines(dots, unicode=True) == ["⠁⢀"]
    assert dot_lines(np.ones((8, 2), bool), unicode=True) == ["⣿", "⣿"]
    assert dot_lines(dots, unicode=False) == [".."]


def test_bars_in_blocks() -> None:
    assert bar_lines(np.array([0.0, 0.001, 0.5, 1.0]), 1, unicode=True) == [" ▁▄█"]
    assert bar_lines(np.array([0.0, 0.5, 0.75, 1.0]), 2, unicode=True) == ["  ▄█", " ███"]
    assert bar_lines(np.array([np.nan, 9.0]), 1, unicode=False) == [" #"]


def test_pooled_values_keep_the_largest() -> None:
    assert pooled(np.array([1.0, 5.0, 2.0, 3.0]), 2).tolist() == [5.0, 3.0]
    assert pooled(np.array([1.0, 5.0]), 4).tolist() == [1.0, 1.0, 5.0, 5.0]
    assert pooled(np.zeros(0), 3).tolist() == [0.0, 0.0, 0.0]


def test_without_a_terminal_lines_report_changes() -> None:
    printed: list[str] = []
    lines = Lines(printed.append)
    state = MonitorState()
    lines.report(state, 0.0)
    lines.report(state, 1.0)
    assert printed == ["no message from a daemon yet"]
    state, now_s = after(2.0)
    lines.report(state, now_s)
    assert printed[1] == "daemon connected"
    assert printed[2].startswith("running")
    state.update_link(Link.LOST, age_s=5.0, restarts=0)
    lines.report(state, now_s + 5.0)
    lines.report(state, now_s + 6.0)
    assert printed[3].startswith("daemon lost")
    assert len(printed) == 4


def test_the_screen_is_drawn_until_it_is_stopped() -> None:
    state, now_s = STATES["running"]

    class Receiving:
        """A listener that always receives the same."""

        endpoint = "tcp://127.0.0.1:5556"

        def read_into(self, drawn: MonitorState) -> float:
            drawn.__dict__.update(state.__dict__)
            return now_s

    console, stops = (
        Console(file=io.StringIO(), force_terminal=True, width=80, height=24),
        [True, False, False],
    )
    watch(cast(Any, Receiving()), console, lambda: stops.pop())
    assert cast(io.StringIO, console.file).getvalue().count("spikes of 96 channels") == 2


def monitor(*arguments: str, **options: Any) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "rtdecode.cli", "monitor", *arguments]
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, text=True, **options)


def test_the_terminal_is_restored_after_drawing() -> None:
    bins = itertools.count()
    with FakePublisher() as publisher:

        def publish() -> None:
            seq = next(bins)
            publisher.status()
            publisher.cursor(seq)
            publisher.spikes(packed_spikes(seq, counts(seq, 1).rows))

        seen, code = on_a_terminal(
            [sys.executable, "-m", "rtdecode.cli", "monitor", "--cursor", publisher.endpoint],
            lambda text: all(each in text for each in ("spikes of 96", "RUNNING", "●")),
            lambda process, _: process.terminate(),
            publish,
        )
    assert code == 0
    assert "\x1b[?1049h" in seen
    assert re.search(r"\x1b\[\?1049l.*\x1b\[\?25h|\x1b\[\?25h.*\x1b\[\?1049l", seen[-200:], re.DOTALL)


@contextmanager
def json_monitor(*arguments: str, **options: Any) -> Iterator[Callable[[], dict[str, Any]]]:
    """`rtdecode monitor --json` in a process of its own; yields a function that reads the next line."""
    process = monitor("--json", *arguments, stdout=subprocess.PIPE, **options)

    def read() -> dict[str, Any]:
        assert process.stdout is not None
        found: dict[str, Any] = json.loads(process.stdout.readline())
        return found

    yield read
    process.terminate()
    assert process.wait(10) == 0


def test_json_is_a_map_a_second() -> None:
    with FakePublisher() as publisher, json_monitor("--cursor", publisher.endpoint) as read:
        publisher.await_subscriber()
        publisher.play(200, awaited=False)
        lines = [read() for _ in range(2)]
    assert lines[-1]["state"] == "running"
    assert lines[-1]["value"] == [1.5, -2.5]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--port", "9000"], "add --web"),
        (["--host", "0.0.0.0"], "add --web"),
        (["--insecure"], "add --web"),
        (["--allow-control"], "add --web"),
        (["--control", "tcp://127.0.0.1:1"], "--web --allow-control"),
        (["--web", "--control", "tcp://127.0.0.1:1"], "--web --allow-control"),
        (["--web", "--json"], "cannot be used with --web"),
        (["--web", "--port", "70000"], "65535"),
    ],
)
def test_options_without_effect_are_refused(arguments: list[str], text: str) -> None:
    from typer.testing import CliRunner

    from rtdecode.cli.commands import app

    done = CliRunner().invoke(app, ["monitor", *arguments], env={"COLUMNS": "200"})
    assert done.exit_code == 2
    assert text in done.output


def test_an_invalid_cursor_endpoint_is_named() -> None:
    done = monitor("--cursor", "here", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    _, error = done.communicate(timeout=30)
    assert done.returncode == 1
    assert error.startswith("rtdecode: 'here' is not an endpoint")


def test_the_endpoint_of_rig_toml_is_used(tmp_path: Path) -> None:
    with FakePublisher() as publisher:
        (tmp_path / "rig.toml").write_text(f'stream = "M1"\nbind = "{publisher.endpoint}"\n')
        with json_monitor(cwd=tmp_path):
            publisher.await_subscriber()


def test_a_task_is_received_on_its_own_endpoint() -> None:
    message = msgpack.packb({"v": 1, "target": [1.0, 2.0], "radius": 3.0, "state": "hold"})
    with (
        FakePublisher() as publisher,
        FakePublisher() as tasks,
        json_monitor("--cursor", publisher.endpoint, "--task", tasks.endpoint) as read,
    ):
        publisher.await_subscriber()
        for _ in range(60):
            tasks.send(b"task", message)
            time.sleep(0.02)
        task = read()["task"]
    assert (task["target"], task["radius"], task["state"]) == ([1.0, 2.0], 3.0, "hold")
