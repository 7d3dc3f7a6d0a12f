"""The examples in docs/client.md and in the docstrings of rtdecode.client run unchanged."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import rtdecode.client
from rtdecode.testing.fake_daemon import FakeControl, FakePublisher, accept_all

pytestmark = pytest.mark.realtime

DOCS = Path(__file__).parents[4] / "docs" / "client.md"
FOLLOW, FOLLOW_ASYNC, GAME, CONTROL = re.findall(r"```python\n(.*?)```", DOCS.read_text("utf-8"), re.DOTALL)


def docstring_example(documented: object) -> str:
    """The indented block that opens a docstring, after its first line."""
    doc = inspect.getdoc(documented)
    assert doc is not None
    block = re.match(r".*\n\n((?:    .*\n|\n)+)", doc)
    assert block is not None
    return textwrap.dedent(block[1])


def run(example: str) -> str:
    """The output of an example that runs against a daemon with 60 cursors."""
    with FakePublisher() as publisher, FakeControl(accept_all) as control:
        assert "tcp://127.0.0.1:5556" in example or "tcp://127.0.0.1:5557" in example
        example = example.replace("tcp://127.0.0.1:5556", publisher.endpoint)
        example = example.replace("tcp://127.0.0.1:5557", control.endpoint)
        publisher.play(60)
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", example], capture_output=True, text=True, timeout=60
        )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


def test_the_blocking_example() -> None:
    lines = run(FOLLOW).splitlines()
    assert "{'x': 1.5, 'y': -2.5}" in lines[-2]
    assert lines[-1] == "LOST, 0 missed, 0 restarts"


def test_the_asyncio_example() -> None:
    lines = run(FOLLOW_ASYNC).splitlines()
    assert lines[-1] == "half a second is over"
    assert "[1.5, -2.5]" in lines[-2]


def test_the_game_loop() -> None:
    lines = run(GAME).splitlines()
    assert len(lines) == 60
    assert lines[0] == "0 [0.0, 0.0] red"
    assert any(line.endswith("[1.5, -2.5] white") for line in lines)


def test_the_control_example() -> None:
    assert run(CONTROL).splitlines() == ["running", "held from bin 42", "decoded again from bin 42"]


@pytest.mark.parametrize(
    "name", [None, "CursorClient", "AsyncCursorClient", "ControlClient", "AsyncControlClient"]
)
def test_the_docstrings(name: str | None) -> None:
    printed = run(docstring_example(getattr(rtdecode.client, name) if name else rtdecode.client))
    expected = {"ControlClient": "running", "AsyncControlClient": ""}.get(str(name), "[1.5, -2.5]")
    assert expected in printed


def test_the_table_of_links_is_complete() -> None:
    rows = re.findall(r"^\| `([A-Z]+)` \|", DOCS.read_text("utf-8"), re.M)
    assert rows == [link.name for link in rtdecode.client.Link]
