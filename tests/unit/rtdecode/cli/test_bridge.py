"""What the bridges' options are made of: names of electrodes, ranges of channels."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from rtdecode.cli.commands import app
from rtdecode.cli.tools.bridge import _read_channels
from rtdecode.errors import RtdecodeError


def refusal(*arguments: str) -> str:
    with pytest.raises(RtdecodeError) as refused:
        app([*arguments], standalone_mode=False)
    return str(refused.value)


def test_channels_are_read_from_ranges() -> None:
    assert _read_channels("0:3,7") == {0, 1, 2, 3, 7}
    for text in ("", "a", "3:", "1,1", "5:2", "-1"):
        with pytest.raises(ValueError, match="channel"):
            _read_channels(text)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (None, "cannot be read"),
        ("A\nB\n", "has 2 different names on 2 lines, not 3"),
        ("A\nB\nA\n", "has 2 different names on 3 lines, not 3"),
    ],
)
def test_names_of_electrodes_are_checked(tmp_path: Path, text: str | None, what: str) -> None:
    path = tmp_path / "names.txt"
    if text is not None:
        path.write_text(text)
    line = refusal("bridge", "openephys", "--stream", "M1", "--channels", "3", "--electrodes", str(path))
    assert line.startswith(f"{path}: {what}")
    assert "Fix: give" in line


def test_each_bridge_explains_itself() -> None:
    shown = CliRunner().invoke(app, ["bridge", "--help"]).output
    assert all(name in shown for name in ("openephys", "intan", "blackrock", "spikeglx"))
