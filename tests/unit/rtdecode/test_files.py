"""Folders are made or refused in one line; new files replace nothing."""

from __future__ import annotations

import os
import pwd
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path

import pytest

from rtdecode.errors import RtdecodeError
from rtdecode.files import (
    check_writable,
    make_folder,
    numbered,
    output_file,
    replace_file,
    user_path,
    write_new_file,
)


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


@pytest.mark.parametrize("name", ["a\0b.h5", "dir\0/"])
def test_a_name_with_a_nul_is_refused_in_one_line(name: str) -> None:
    with pytest.raises(RtdecodeError, match=r"\\0.*: holds a character that no name of a file has\. Fix: "):
        output_file(name)
    with pytest.raises(RtdecodeError, match="cannot be written"):
        check_writable(Path(name), overwrite=True)


def test_a_file_is_replaced_only_if_that_is_allowed_and_it_is_a_file(tmp_path: Path) -> None:
    path, other = tmp_path / "a.b.h5", tmp_path / "other.h5"
    check_writable(path, overwrite=False)
    path.touch()
    other.symlink_to(path)
    with pytest.raises(RtdecodeError, match=r"exists already\. Fix: .* such as a\.b\.2\.h5"):
        check_writable(path, overwrite=False)
    check_writable(path, overwrite=True)
    with pytest.raises(
        RtdecodeError, match=r"is read or written by this command already\. Fix: .* as other\.2\.h5"
    ):
        check_writable(other, overwrite=True, inputs=[Path("none"), path])
    new = tmp_path / "new.h5"
    with pytest.raises(RtdecodeError, match=r"already\. Fix: choose another name, such as new\.2\.h5"):
        check_writable(new, overwrite=False, inputs=[new])
    with pytest.raises(RtdecodeError, match="is a device or a pipe"):
        check_writable(Path(os.devnull), overwrite=True)


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


def test_numbers_come_before_the_suffix(tmp_path: Path) -> None:
    names = [path.name for path in islice(numbered(tmp_path / "a.b", ".c.d"), 3)]
    assert names == ["a.b.c.d", "a.b.2.c.d", "a.b.3.c.d"]


@pytest.mark.parametrize("links", [True, False])
def test_files_that_are_written_at_once_have_names_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool
) -> None:
    def refuse(*_names: object) -> None:
        raise PermissionError("this disk has no links")

    if not links:
        monkeypatch.setattr(os, "link", refuse)
    (tmp_path / "m.2.x").mkdir()
    (tmp_path / "m.4.x").symlink_to("nowhere")

    def write(n: int) -> Path:
        return write_new_file(numbered(tmp_path / "m", ".x"), bytes([n]))

    with ThreadPoolExecutor(8) as pool:
        paths = list(pool.map(write, range(8)))
    assert sorted(path.name for path in paths) == sorted(
        f"m{n}.x" for n in ("", ".3", ".5", ".6", ".7", ".8", ".9", ".10")
    )
    assert [path.read_bytes() for path in paths] == [bytes([n]) for n in range(8)]
    assert len(list(tmp_path.iterdir())) == 10


def test_a_name_as_long_as_the_disk_allows_is_written(tmp_path: Path) -> None:
    path = tmp_path / ("ä" * 127)
    replace_file(path, b"1")
    assert path.read_bytes() == b"1"
    with pytest.raises(RtdecodeError, match="its name is too long for the disk"):
        write_new_file(numbered(path, ".x"), b"1")
    assert list(tmp_path.iterdir()) == [path]
