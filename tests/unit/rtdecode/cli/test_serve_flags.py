"""Each flag of `serve` from each of its origins, and their precedence."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from rtdecode.cli.commands import app
from rtdecode.errors import RtdecodeError

#: For each flag its value in a file, in the environment and on the command line.
SETTINGS: dict[str, tuple[Any, Any, Any]] = {
    "stream": ("file", "environment", "flag"),
    "model": ("a.safetensors", "b.safetensors", "c.safetensors"),
    "source_id": ("file", "environment", "flag"),
    "layout": ("events", "channel", "counts"),
    "bind": ("tcp://127.0.0.1:6001", "tcp://127.0.0.1:6002", "tcp://127.0.0.1:6003"),
    "control": ("tcp://127.0.0.1:6011", "tcp://127.0.0.1:6012", "tcp://127.0.0.1:6013"),
    "record": ("a.h5", "b.h5", "c.h5"),
    "behavior": ("file-hand", "environment-hand", "flag-hand"),
    "features": ("file-power", "environment-power", "flag-power"),
    "features_source_id": ("file", "environment", "flag"),
    "drop_units": ("0", "255", "0,255"),
    "columns": ("channel=1", "channel=2", "channel=0,unit=1,seq=-"),
    "first_channel": ("1", "0", "2"),
    "channel_map": ("a.csv", "b.csv", "c.csv"),
    "reference": ("car", "median", "lrr"),
    "threshold": ("-4.0", "-5.0", "-3.8"),
    "polarity": ("both", "negative", "both"),
    "refractory": ("1.5", "2.0", "0.5"),
    "band": ("250,5000", "300,6000", "150,2000"),
    "filter_order": ("1", "3", "4"),
    "noise_seconds": ("2.0", "3.0", "4.0"),
    "noise_from": ("a.h5", "b.h5", "c.h5"),
    "power": ("absolute", "rms", "absolute"),
    "power_bin": ("5", "10", "20"),
    "power_band": ("300,1000", "300,900", "200,1000"),
    "behavior_source_id": ("file", "environment", "flag"),
    "markers": ("file-task", "environment-task", "flag-task"),
    "markers_source_id": ("file", "environment", "flag"),
    "trials": ("start=a,stop=b", "start=c,stop=d", "start=e,stop=f|g"),
    "overwrite": (True, True, False),
    "lsl_out": ("file-out", "environment-out", "flag-out"),
    "watch": ("a", "b", "c"),
    "timeout": (1.0, 2.0, 3.0),
    "grace": ("1", "2", "3"),
    "late": ("drop", "drop", "carry"),
    "failsafe_after": (2.0, 3.0, 4.0),
    "allow_partial": (True, True, False),
    "insecure": (True, True, False),
    "json": (True, True, False),
}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in os.environ:
        if name.startswith("RTDECODE_"):
            monkeypatch.delenv(name)
    return tmp_path


def toml(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else repr(value).replace("'", '"')


def on_the_line(name: str, value: Any) -> list[str]:
    flag = name.replace("_", "-")
    if isinstance(value, bool):
        return [f"--{flag}" if value else f"--no-{flag}"]
    return [f"--{flag}", str(value)]


def printed(*arguments: str) -> tuple[dict[str, Any], str]:
    done = CliRunner().invoke(app, ["serve", "--print-config", *arguments], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return tomllib.loads(done.stdout), done.stdout


def origin(text: str, name: str) -> str:
    line = next(line for line in text.splitlines() if line.removeprefix("# ").startswith(f"{name} ="))
    return line.rsplit("#", 1)[1].strip()


def test_every_flag_is_listed_here() -> None:
    _, text = printed()
    names = [line.removeprefix("# ").split(" =")[0] for line in text.splitlines() if " =" in line]
    assert names == list(SETTINGS)


@pytest.mark.parametrize("name", SETTINGS)
def test_flag_beats_environment_beats_file_beats_default(
    name: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_file, in_environment, in_flag = SETTINGS[name]
    needed = {"behavior": ["--record", "x.h5"]}.get(name, [])
    assert origin(printed(*needed)[1], name) == "default"
    (folder / "rig.toml").write_text(f"{name.replace('_', '-')} = {toml(in_file)}\n")
    config, text = printed(*needed)
    assert (config[name], origin(text, name)) == (in_file, "rig.toml")
    monkeypatch.setenv(f"RTDECODE_{name.upper()}", str(in_environment))
    config, text = printed(*needed)
    assert (config[name], origin(text, name)) == (in_environment, f"RTDECODE_{name.upper()}")
    config, text = printed(*needed, *on_the_line(name, in_flag))
    assert (config[name], origin(text, name)) == (in_flag, f"--{name.replace('_', '-')}")


def test_the_printed_settings_are_an_equal_rig_file(folder: Path) -> None:
    (folder / "first.toml").write_text(
        'stream = "M1"\ngrace = 3\n'
        '[output]\ncontrol = "fusion"\nfusion_s = 0.5\nworkspace = [[0, 1], [0, 2]]\n'
    )
    first, text = printed("--config", "first.toml", "--late", "drop")
    assert first["output"]["workspace"] == [[0.0, 1.0], [0.0, 2.0]]
    (folder / "second.toml").write_text(text)
    second, _ = printed("--config", "second.toml")
    assert second == first


def test_the_file_is_given_by_flag_or_environment_or_is_in_the_folder(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("rig", "a", "b"):
        (folder / f"{name}.toml").write_text(f'stream = "{name}"')
    assert printed()[0]["stream"] == "rig"
    monkeypatch.setenv("RTDECODE_CONFIG", "a.toml")
    assert printed()[0]["stream"] == "a"
    assert printed("--config", "b.toml")[0]["stream"] == "b"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("failsafe_after = 0.1", ["rig.toml: failsafe_after", "at least 0.25"]),
        ('late = "never"', ["rig.toml: late", "carry or drop"]),
        ('grace = "soon"', ["rig.toml: grace", "auto or milliseconds"]),
        ('layout = "spikes"', ["rig.toml: layout", "one of events"]),
        ('bind = "tcp://0.0.0.0:5556"', ["rig.toml: bind", "other machines"]),
        ('record = "x.h5"\nlsl_out = "M1"', ["rig.toml: lsl_out"]),
        ('record = "{date}/"', ["rig.toml: record: ", "/, which is not the name of a file"]),
        (
            'record = "~nobody-here/a.h5"',
            ["rig.toml: record: ", "~nobody-here/a.h5, which cannot be expanded"],
        ),
        ('record = "{day}.h5"', ["rig.toml: record", "there is no placeholder {day}"]),
        ("grce = 3", ["rig.toml", "did you mean grace?"]),
    ],
)
def test_an_error_names_the_file_of_the_value(folder: Path, text: str, words: list[str]) -> None:
    (folder / "rig.toml").write_text(text)
    with pytest.raises(RtdecodeError) as refusal:
        CliRunner().invoke(app, ["serve", "--stream", "M1"], catch_exceptions=False)
    for word in words:
        assert word in str(refusal.value)


def test_paths_of_a_rig_file_begin_at_home(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(folder / "home"))
    (folder / "rig.toml").write_text('stream = "M1"\nmodel = "sim"\nrecord = "~/today.h5"\n')
    with pytest.raises(RtdecodeError, match=r"/home/today\.h5: cannot be written: its folder does not exist"):
        CliRunner().invoke(app, ["serve"], catch_exceptions=False)


def test_an_error_names_the_variable_of_the_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RTDECODE_FAILSAFE_AFTER", "0.1")
    with pytest.raises(RtdecodeError, match="RTDECODE_FAILSAFE_AFTER: must be at least"):
        CliRunner().invoke(app, ["serve", "--stream", "M1"], catch_exceptions=False)


def test_without_a_stream_usage_is_bad() -> None:
    done = CliRunner().invoke(app, ["serve"])
    assert done.exit_code == 2
    assert "--stream" in done.output


def test_help_does_not_read_the_file(folder: Path) -> None:
    (folder / "rig.toml").write_text("grce = 3")
    done = CliRunner().invoke(app, ["serve", "--help"])
    assert done.exit_code == 0
    assert "--print-config" in done.output
