"""The example in docs/session-files.md runs, and its errors are those of the code."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np

from rtdecode.session.bins import bin_session
from rtdecode.session.read import read_session

DOCS = Path(__file__).parents[4] / "docs" / "session-files.md"


def test_fifteen_lines_of_h5py_make_a_session(tmp_path: Path) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", DOCS.read_text("utf-8"), re.DOTALL)
    assert len([line for line in example.splitlines() if line]) <= 15
    subprocess.run([sys.executable, "-c", example], cwd=tmp_path, check=True)
    session = read_session(tmp_path / "my_session.h5")
    assert session.attrs["subject"] == "N"
    assert session.events.channel.dtype == np.uint16
    assert session.behavior.names == ("x", "y")
    assert bin_session(session, 0.02).counts.sum() > 19_000


def test_the_listed_errors_are_in_the_code() -> None:
    package = Path(__file__).parents[4] / "rtdecode" / "session"
    code = " ".join(file.read_text("utf-8") for file in package.rglob("*.py"))
    rows = re.findall(
        r"^\| (.+?) \| .* \| .* \|$", DOCS.read_text("utf-8").split("## What the errors mean")[1], re.M
    )
    phrases = [phrase for row in rows[2:] for phrase in row.split(", ")]
    assert len(phrases) > 15
    for phrase in phrases:
        # Numbers and the like are filled in; the text between them must be in the code.
        fixed = max(re.split(r"\d+|<U1|…|\(|\)|-1|channel(?= \d)|lacks ", phrase), key=len).strip()
        assert fixed in code, phrase
