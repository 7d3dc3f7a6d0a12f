"""The LSL configuration of the lab is found as by liblsl, and only its log is turned off."""

from __future__ import annotations

import configparser
from pathlib import Path

import pylsl
import pytest

from rtdecode.ingest.connection.lsl_config import find_config, silence_liblsl, with_silent_log


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    """The file named in the environment, in the working folder and at home; none exists yet."""
    files = {
        "named": tmp_path / "etc" / "rig.cfg",
        "here": tmp_path / "work" / "lsl_api.cfg",
        "home": tmp_path / "home" / "lsl_api" / "lsl_api.cfg",
    }
    for file in files.values():
        file.parent.mkdir(parents=True)
    return files


def found(files: dict[str, Path], environment: dict[str, str]) -> Path | None:
    return find_config(environment, files["home"].parents[1], files["here"].parent)


def test_the_first_file_wins(files: dict[str, Path]) -> None:
    environment = {"LSLAPICFG": str(files["named"])}
    for name in ("home", "here", "named"):
        files[name].write_text("[lab]\n")
        assert found(files, environment) == files[name]
    assert found(files, {}) == files["here"]


def test_a_missing_named_file_is_skipped(files: dict[str, Path]) -> None:
    files["home"].write_text("[lab]\n")
    assert found(files, {"LSLAPICFG": str(files["named"])}) == files["home"]
    assert found(files, {"LSLAPICFG": ""}) == files["home"]


def test_a_folder_of_that_name_is_no_file(files: dict[str, Path]) -> None:
    files["here"].mkdir()
    files["home"].write_text("[lab]\n")
    assert found(files, {}) == files["home"]


def test_without_any_the_one_of_the_machine_is_used(files: dict[str, Path]) -> None:
    machine = Path("/etc/lsl_api/lsl_api.cfg")
    assert found(files, {}) == (machine if machine.is_file() else None)


@pytest.mark.parametrize("config", ["", "[lab]\nSessionID = rig3", "[lab]\nSessionID = rig3\n", "; [log]\n"])
def test_the_log_is_silenced_and_the_rest_stays(config: str) -> None:
    silent = with_silent_log(config)
    assert silent.startswith(config)
    read = configparser.ConfigParser(strict=True)
    read.read_string(silent)
    assert read["log"]["level"] == "-3"
    if "lab" in config:
        assert read["lab"]["SessionID"] == "rig3"


@pytest.mark.parametrize("section", ["[log]", "  [log]  ", "[Log]", "[LOG]"])
def test_a_lab_that_sets_its_own_log_keeps_it(section: str) -> None:
    config = f"[lab]\nSessionID = rig3\n{section}\nlevel = 2\n"
    assert with_silent_log(config) == config


@pytest.fixture
def handed_over(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    handed_over: list[str] = []
    monkeypatch.setattr(pylsl, "set_config_content", handed_over.append)
    return handed_over


def test_liblsl_gets_the_labs_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, handed_over: list[str]
) -> None:
    config = tmp_path / "rig.cfg"
    config.write_bytes("[lab]\nSessionID = rig3 ; Größe".encode("latin-1"))
    monkeypatch.setenv("LSLAPICFG", str(config))
    silence_liblsl()
    assert len(handed_over) == 1
    assert handed_over[0].startswith("[lab]\nSessionID = rig3")
    assert handed_over[0].endswith("\n[log]\nlevel = -3\n")


def test_without_a_configuration_liblsl_gets_the_silent_log_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, handed_over: list[str]
) -> None:
    if Path("/etc/lsl_api/lsl_api.cfg").is_file():
        pytest.skip("this machine has a configuration of its own")
    monkeypatch.delenv("LSLAPICFG", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    silence_liblsl()
    assert handed_over == ["\n[log]\nlevel = -3\n"]
