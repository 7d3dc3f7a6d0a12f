"""Files that a person names: never replaced without --overwrite, and refused in one line before any work."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import get_args, get_type_hints

import pytest
from typer.models import OptionInfo
from typer.testing import CliRunner

from rtdecode.cli.commands import app
from rtdecode.errors import RtdecodeError
from rtdecode.files import output_file

#: Command and option by what else it needs. Sessions that do not exist: nothing may be read before.
OUTPUTS = {
    ("serve", "--record"): ["--stream", "M1", "--model", "none"],
    ("record", "--output"): ["--stream", "M1"],
    ("decode", "--output"): ["none.h5"],
    ("fit", "--output"): ["none.h5"],
    ("calibrate", "--output"): ["none.h5"],
    ("calibrate", "--report"): ["none.h5"],
    ("pretrain", "--output"): ["none.h5"],
    ("simulate", "--output"): ["none.h5", "--model", "none"],
    ("subject", "--output"): ["--trials", "1"],
    ("subject", "--open-loop"): ["--seconds", "1"],
    ("demo", "--figure"): [],
    ("detect", "--output"): ["none.npy", "--rate", "30000"],
    ("import", "--output"): ["none.nwb"],
    ("export", "--output"): ["none.h5", "--to", "npz"],
}

#: Written again on purpose: a checkpoint, from which a training is resumed.
REWRITTEN = {("pretrain", "--checkpoint"): ["none.h5", "--output", "none.safetensors"]}

#: Read, or folders of which the results are made anew from the jobs that are cached there.
NO_OUTPUTS = {"--config", "--folder", "--watch", "--like", "--behavior-from", "--reference"}
NO_OUTPUTS |= {"study --output", "evaluate --output"}

#: What is typed, and words of the line about it.
WRONG = {
    "taken": ["exists already. Fix: choose another name, such as taken.3"],
    "dangling": ["exists already. Fix: choose another name"],
    "folder": ["it is a folder. Fix: give the name of a file"],
    "folder/": ["is not the name of a file. Fix: give the name of a file"],
    "new/": ["is not the name of a file. Fix: give the name of a file"],
    "folder/..": ["is not the name of a file. Fix: give the name of a file"],
    "": ["'': is not the name of a file. Fix: give the name of a file"],
    "nowhere/a.h5": ["its folder does not exist. Fix: create nowhere"],
    "taken/a.h5": ["taken is not a folder. Fix: name a file in a folder"],
    "ü" * 128: ["its name is too long for the disk. Fix: give a shorter name"],
    "/proc/a.h5": ["cannot be written", "Fix: check space and permissions in /proc"],
}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "share"))
    monkeypatch.chdir(tmp_path)
    for name in os.environ:
        if name.startswith("RTDECODE_"):
            monkeypatch.delenv(name)
    for name in ("taken", "taken.2"):
        Path(name).write_text("mine")
    Path("dangling").symlink_to("gone")
    Path("folder").mkdir()
    return tmp_path


def refusal(*arguments: str) -> str:
    done = CliRunner().invoke(app, arguments)
    assert isinstance(done.exception, RtdecodeError), done.output
    assert "\n" not in str(done.exception)
    return str(done.exception)


def path_options() -> Iterator[tuple[str, bool]]:
    """Command and flag of every option that is a path, and whether that is an output."""
    for command in app.registered_commands:
        assert command.callback is not None
        hints = get_type_hints(command.callback, include_extras=True)
        for name, hint in hints.items():
            annotated = next(
                (each for each in (hint, *get_args(hint)) if hasattr(each, "__metadata__")), None
            )
            option = annotated.__metadata__[0] if annotated else None
            if isinstance(option, OptionInfo) and "Path" in str(get_args(annotated)[0]):
                yield f"{command.name} --{name.replace('_', '-')}", option.parser is output_file


def test_each_option_that_is_a_path_is_an_output_or_known_to_be_none() -> None:
    outputs = {" ".join(each) for each in (OUTPUTS | REWRITTEN)} - {"serve --record"}
    assert {option for option, is_output in path_options() if is_output} == outputs
    others = {option for option, is_output in path_options() if not is_output}
    assert {option for option in others if not {option, option.split()[1]} & NO_OUTPUTS} == set()


@pytest.mark.parametrize("option", OUTPUTS, ids=" ".join)
def test_an_output_that_is_taken_or_cannot_be_written_is_refused(option: tuple[str, str]) -> None:
    before = sorted(os.listdir())
    for typed, words in WRONG.items():
        line = refusal(option[0], *OUTPUTS[option], option[1], typed)
        assert all(word in line for word in words), (typed, line)
    assert Path("taken").read_text() == "mine"
    assert sorted(os.listdir()) == before
