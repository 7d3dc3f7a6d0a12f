"""rig.toml: values that are read, and errors for typing mistakes."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest

from rtdecode.errors import RtdecodeError
from rtdecode.rig_file import find_rig_file, read_output_table, read_rig_file

FLAGS = {"stream": str, "grace": str, "failsafe_after": float, "overwrite": bool, "lsl_out": str}
FLAGS |= {"record": Path}


def written(folder: Path, text: str) -> Path:
    path = folder / "rig.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_flags_and_output_stage(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        'stream = "M1"\ngrace = 5\nfailsafe-after = 2\noverwrite = true\n'
        '[output]\ncontrol = "position"\nscale = 2\n',
    )
    rig = read_rig_file(path, FLAGS)
    assert rig.flags == {"stream": "M1", "grace": "5", "failsafe_after": 2, "overwrite": True}
    assert (rig.output.control, rig.output.scale) == ("position", 2.0)
    assert read_output_table(path) == rig.output


def test_paths_have_the_local_date_and_time_filled_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    path = written(tmp_path, 'stream = "{date}"\nrecord = "~/{date}/a_{time}.h5"')
    before = datetime.now()
    flags = read_rig_file(path, FLAGS).flags
    assert flags["stream"] == "{date}"
    recorded = datetime.strptime(flags["record"], f"{tmp_path}/%Y-%m-%d/a_%H-%M-%S.h5")
    assert before.replace(microsecond=0) <= recorded <= datetime.now()
    assert ":" not in flags["record"]


@pytest.mark.parametrize("units", ["255", "[255]", '"255"'])
def test_a_list_is_the_text_of_the_flag(tmp_path: Path, units: str) -> None:
    flags = {"stream": str, "drop_units": str}
    assert read_rig_file(written(tmp_path, f"drop_units = {units}"), flags).flags == {"drop_units": "255"}
    assert read_rig_file(written(tmp_path, "drop_units = [0, 255]"), flags).flags["drop_units"] == "0,255"


def test_a_file_of_a_windows_editor_is_read(tmp_path: Path) -> None:
    (tmp_path / "rig.toml").write_bytes('\ufeffstream = "M1"\r\n'.encode())
    assert read_rig_file(tmp_path / "rig.toml", FLAGS).flags == {"stream": "M1"}


def test_a_serve_table_is_the_same_as_the_top(tmp_path: Path) -> None:
    rig = read_rig_file(written(tmp_path, 'stream = "M1"\n[serve]\ngrace = "auto"\n'), FLAGS)
    assert rig.flags == {"stream": "M1", "grace": "auto"}
    assert rig.output is None


def test_a_table_of_trials_is_the_text_of_the_flag(tmp_path: Path) -> None:
    text = '[trials]\nstart = "go"\nstop = ["end", "abort*"]\nsuccess = 7\n'
    rig = read_rig_file(written(tmp_path, text), FLAGS | {"trials": str})
    assert rig.flags == {"trials": "start=go,stop=end|abort*,success=7"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('steam = "M1"', ["there is no setting 'steam'", "did you mean stream?"]),
        ("failsafe = 2", ["did you mean failsafe_after?"]),
        ("lslout = 'c'", ["did you mean lsl_out?"]),
        ("[outputs]", ["did you mean output?"]),
        ("[serve]\ngrase = 3", ["did you mean grace?"]),
        ("zzz = 3", ["use one of stream, grace, failsafe_after"]),
        ("stream = 'a'\n[serve]\nstream = 'b'", ["stream is set twice"]),
        ("failsafe_after = 1\nfailsafe-after = 2", ["failsafe_after is set twice"]),
        ("failsafe_after = '2'", ["failsafe_after", "must be a number, not '2'"]),
        ("failsafe_after = true", ["must be a number, not True"]),
        ("record = 3", ["must be a text, not 3"]),
        ("record = '{day}.h5'", ["record", "there is no placeholder {day}", "use {date} or {time}"]),
        ("record = '{date:%Y}.h5'", ["there is no placeholder {date:%Y}"]),
        ("overwrite = 1", ["must be true or false, not 1"]),
        ("stream = ['M1']", ["must be a text"]),
        ("stream = true", ["must be a text"]),
        ("serve = 3", ["serve", "must be a table"]),
        ("output = 3", ["[output]", "must be a table"]),
        ("[output]\ncontol = 'position'", ["[output]", "did you mean control?"]),
        ("stream = M1", ["is not TOML", "line 1"]),
        ("stream = 'a'\nstream = 'b'", ["is not TOML"]),
    ],
)
def test_errors_name_the_file_and_a_fix(tmp_path: Path, text: str, words: list[str]) -> None:
    with pytest.raises(RtdecodeError) as refusal:
        read_rig_file(written(tmp_path, text), FLAGS)
    line = str(refusal.value)
    assert "\n" not in line
    for word in ["rig.toml", *words]:
        assert word in line


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_files_of_windows_editors_are_read(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "rig.toml").write_bytes('stream = "Mä"\r\ngrace = 5\r\n'.encode(encoding))
    assert read_rig_file(tmp_path / "rig.toml", FLAGS).flags == {"stream": "Mä", "grace": "5"}


def test_an_unreadable_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RtdecodeError, match="does not exist"):
        read_rig_file(tmp_path / "none.toml", FLAGS)
    with pytest.raises(RtdecodeError, match="cannot be read"):
        read_rig_file(tmp_path, FLAGS)
    (tmp_path / "rig.toml").write_bytes(b"stream = '\xff'")
    with pytest.raises(RtdecodeError, match=r"is not TOML in UTF-8 .* Fix: save it as UTF-8"):
        read_rig_file(tmp_path / "rig.toml", FLAGS)
    for binary in (b"\x89HDF\r\n\x1a\n\0\0", b"MATLAB\0\0"):
        (tmp_path / "rig.toml").write_bytes(binary)
        with pytest.raises(RtdecodeError, match=r"Fix: name a rig.toml with --config"):
            read_rig_file(tmp_path / "rig.toml", FLAGS)


def test_the_file_in_this_folder_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert find_rig_file(None) is None
    (tmp_path / "rig.toml").mkdir()
    assert find_rig_file(None) is None
    (tmp_path / "rig.toml").rmdir()
    written(tmp_path, "")
    assert find_rig_file(None) == Path("rig.toml")
    assert find_rig_file(Path("other.toml")) == Path("other.toml")
    monkeypatch.setenv("HOME", "/home/rig")
    assert find_rig_file(Path("~/other.toml")) == Path("/home/rig/other.toml")
