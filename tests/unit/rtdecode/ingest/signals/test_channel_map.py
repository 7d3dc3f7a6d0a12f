"""Channel maps as they are written, and what is wrong in them, by file and line."""

from __future__ import annotations

from pathlib import Path

import pytest

from rtdecode.errors import RtdecodeError
from rtdecode.ingest.signals.channel_map import read_channel_map


def written(folder: Path, text: str) -> str:
    path = folder / "map.csv"
    path.write_bytes(text.encode("utf-8"))
    return str(path)


@pytest.mark.parametrize(
    "text",
    [
        "1,0\n3,2\n2,1\n",
        "stream,model\n1,0\n3,2\n2,1",
        "\ufeffchannel;index\r\n1;0\r\n\r\n3;2\r\n2;1\r\n",
        "# bank A\n1\t0   # first\n 03  2\n\n2 1",
    ],
)
def test_a_map_is_read(tmp_path: Path, text: str) -> None:
    found = read_channel_map(written(tmp_path, text))
    assert found.by_number() == {1: 0, 2: 1, 3: 2}
    assert found.n_channels == 3


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("1,0\n1,2\n", r"map\.csv, line 2: channel 1 of the stream is named twice"),
        ("1,0\n2,0\n", r"map\.csv, line 2: model channel 0 is named twice"),
        ("1,0\n2\n", r"map\.csv, line 2: must be STREAM,MODEL, not '2'"),
        ("1,0\n2,x\n", r"map\.csv, line 2: must be STREAM,MODEL"),
        ("1,0\n2,-1\n", "line 2: must be STREAM,MODEL"),
        ("1,0\n2,1.5\n", "line 2: must be STREAM,MODEL"),
        ("1,0\n2,70000\n", "line 2: must be STREAM,MODEL"),
        ("stream,model\n", r"map\.csv: names no channel"),
    ],
)
def test_what_is_wrong_in_a_map_is_said_with_its_line(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(RtdecodeError, match=f"{said}.*Fix: "):
        read_channel_map(written(tmp_path, text))


def test_labels_are_no_numbers_of_events(tmp_path: Path) -> None:
    labels = read_channel_map(written(tmp_path, "elec1,0\nelec2,1\n"))
    assert labels.channels == {"elec1": 0, "elec2": 1}
    with pytest.raises(RtdecodeError, match=r"map\.csv: names channel 'elec1' by a label.*Fix: "):
        labels.by_number()
    with pytest.raises(RtdecodeError, match=r"none\.csv: cannot be read: No such file.*Fix: check --channel"):
        read_channel_map(str(tmp_path / "none.csv"))
