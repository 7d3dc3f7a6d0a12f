"""Folders are made or refused in one line."""

from __future__ import annotations

import os
import pwd
import subprocess
import sys
from pathlib import Path

import pytest

from rtdecode.errors import RtdecodeError
from rtdecode.files import make_folder, user_path


def test_a_folder_is_made_with_those_above_it_and_may_exist(tmp_path: Path) -> None:
    for _ in range(2):
        make_folder(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").is_dir()


def test_a_folder_that_cannot_be_made_is_reported_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("")
    with pytest.raises(RtdecodeError, match=r"a/b: cannot be made \(Not a directory\)\. Fix: name a folder"):
        make_folder(tmp_path / "a" / "b")


def test_a_path_of_a_settings_file_may_begin_at_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/rig")
    assert user_path("~/Daten ü/today.h5") == Path("/home/rig/Daten ü/today.h5")
    assert user_path("today~.h5") == Path("today~.h5")


def no_home(*_: object) -> None:
    raise KeyError


def test_without_a_home_folder_a_path_is_refused_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HOME")
    monkeypatch.setattr(pwd, "getpwuid", no_home)
    assert user_path("today.h5") == Path("today.h5")
    with pytest.raises(RtdecodeError, match=r"~/a.h5: cannot be expanded: .* Fix: set HOME"):
        user_path("~/a.h5")


def test_a_path_with_any_letter_is_opened_in_an_ascii_locale(tmp_path: Path) -> None:
    (tmp_path / "Größe.txt").write_text("12")
    code = "from rtdecode.files import user_path; import sys; assert sys.getfilesystemencoding() == 'ascii'; "
    code += "print(user_path('Gr\\xf6\\xdfe.txt').read_text())"
    ascii_only = {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    environment = os.environ | ascii_only
    printed = subprocess.check_output([sys.executable, "-c", code], cwd=tmp_path, env=environment)
    assert printed == b"12\n"
