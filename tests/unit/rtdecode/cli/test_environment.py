"""Commands under an ASCII locale and without a home folder: they work, or say in one line what they need."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from subprocess import PIPE

import numpy as np
import pytest

from rtdecode.session.layout import Events, Session
from rtdecode.session.write import write_session

ASCII = {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}

#: rtdecode for a user who is in no list of users.
HOMELESS = """
import os, pwd
def unknown(*_): raise KeyError
pwd.getpwuid = unknown
os.environ.pop("HOME", None)
from rtdecode.cli import main
main()
"""


def test_any_letter_is_printed_in_an_ascii_locale(tmp_path: Path) -> None:
    path = tmp_path / "März.h5"
    write_session(path, Session(1, events=Events(np.zeros(1), np.zeros(1, "u2")), attrs={"task": "rück²"}))
    for option in ([], ["--json"]):
        command = [sys.executable, "-m", "rtdecode", "info", str(path), *option]
        printed = subprocess.check_output(command, env=os.environ | ASCII)
        assert printed.isascii()
        if option:
            assert json.loads(printed)["task"] == "rück²"


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_an_output_that_is_full_is_said_in_one_line(unbuffered: str) -> None:
    environment = os.environ | {"PYTHONUNBUFFERED": unbuffered}
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "rtdecode", "--version"],
            env=environment,
            stdout=full,
            stderr=PIPE,
            check=False,
        )
    assert done.returncode == 1
    (line,) = done.stderr.decode().splitlines()
    assert line.startswith("rtdecode: the output cannot be written (No space left on device). Fix: free")


def test_a_user_without_a_home_folder_is_told_so_in_one_line(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOMELESS, "models"]
    environment = {name: text for name, text in os.environ.items() if name != "XDG_DATA_HOME"}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert "this user has no home folder" in line
    assert "Fix: set HOME" in line
    assert not list(tmp_path.iterdir())
