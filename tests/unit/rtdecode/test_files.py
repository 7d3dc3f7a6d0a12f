"""Folders are made or refused in one line."""

from __future__ import annotations

from pathlib import Path

import pytest

from rtdecode.errors import RtdecodeError
from rtdecode.files import make_folder


def test_a_folder_is_made_with_those_above_it_and_may_exist(tmp_path: Path) -> None:
    for _ in range(2):
        make_folder(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").is_dir()


def test_a_folder_that_cannot_be_made_is_reported_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("")
    with pytest.raises(RtdecodeError, match=r"a/b: cannot be made \(Not a directory\)\. Fix: name a folder"):
        make_folder(tmp_path / "a" / "b")
