"""What is in the checkout is in the wheel, and asking for help loads nothing heavy."""

from __future__ import annotations

import re
import runpy
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROOMS = {"rtdecode": "rtdecode", "models": "rtdecode.models", "calibrate": "rtdecode.calibrate"}
ROOMS |= {"tools": "rtdecode.tools"}
HEAVY = ("torch", "spikingjelly", "matplotlib", "pylsl", "numba", "pandas", "jinja2")


@pytest.fixture(scope="module")
def setuptools_table() -> dict[str, Any]:
    with (ROOT / "pyproject.toml").open("rb") as file:
        table: dict[str, Any] = tomllib.load(file)["tool"]["setuptools"]
    return table


@pytest.fixture(scope="module")
def setup_arguments() -> dict[str, Any]:
    """What setup.py hands to setuptools."""
    given: dict[str, Any] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        patch.setattr("setuptools.setup", lambda **arguments: given.update(arguments))
        runpy.run_path(str(ROOT / "setup.py"))
    return given


def package_folders() -> dict[str, Path]:
    """Every folder of the four rooms that holds Python, by the name it is imported by."""
    folders = {}
    for room, package in ROOMS.items():
        for folder in sorted({path.parent for path in (ROOT / room).rglob("*.py")}):
            inside = folder.relative_to(ROOT / room).parts
            folders[".".join((package, *inside))] = folder
    return folders


def test_every_package_folder_is_installed(setup_arguments: dict[str, Any]) -> None:
    assert sorted(setup_arguments["packages"]) == sorted(package_folders())


def test_every_room_has_its_name(setup_arguments: dict[str, Any]) -> None:
    assert setup_arguments["package_dir"] == {package: room for room, package in ROOMS.items()}


def test_every_package_folder_says_that_it_is_one() -> None:
    missing = [name for name, folder in package_folders().items() if not (folder / "__init__.py").is_file()]
    assert not missing


def test_every_data_file_is_listed(setuptools_table: dict[str, Any]) -> None:
    data = setuptools_table.get("package-data", {})
    ignored = {".py", ".pyc", ".nbi", ".nbc"}
    unlisted = []
    for name, folder in package_folders().items():
        kept = {path for pattern in data.get(name, []) for path in folder.glob(pattern)}
        for path in folder.iterdir():
            hidden = path.name.startswith((".", "__"))
            if path.is_file() and not hidden and path.suffix not in ignored and path not in kept:
                unlisted.append(f"{name}: {path.name}")
    assert not unlisted


def test_the_models_package_is_empty_so_that_finding_weights_imports_nothing() -> None:
    assert (ROOT / "models" / "__init__.py").read_text() == ""


def imported_by(*arguments: str) -> set[str]:
    """Top-level packages that a fresh `python arguments…` imports, its output checked for success."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    modules = re.findall(r"^import time:\s*\d+ \|\s*\d+ \|\s*(\S+)$", done.stderr, re.MULTILINE)
    return {module.partition(".")[0] for module in modules}


def test_help_loads_nothing_heavy() -> None:
    imported = imported_by("-m", "rtdecode.cli", "--help")
    assert {"rtdecode", "typer"} <= imported
    assert imported.isdisjoint(HEAVY)


@pytest.mark.parametrize(
    "command",
    [
        "serve",
        "monitor",
        "replay",
        "record",
        "decode",
        "fit",
        "info",
        "demo",
        "doctor",
        "verify",
        "evaluate",
        "study",
    ],
)
def test_help_of_a_command_loads_nothing_heavy(command: str) -> None:
    assert imported_by("-m", "rtdecode.cli", command, "--help").isdisjoint(HEAVY)


def test_the_monitor_loads_nothing_of_the_decoder() -> None:
    imported = imported_by("-c", "import rtdecode.monitor.web, rtdecode.monitor.terminal")
    assert {"zmq", "numpy", "uvicorn"} <= imported
    assert imported.isdisjoint({*HEAVY, "scipy", "h5py"})


def test_the_daemon_imports_neither_torch_nor_matplotlib() -> None:
    imported = imported_by("-c", "import rtdecode.serve.daemon")
    assert {"numba", "pylsl"} <= imported
    assert imported.isdisjoint({"torch", "spikingjelly", "matplotlib"})
