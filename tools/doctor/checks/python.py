"""Doctor: the interpreter and the packages that rtdecode requires."""

from __future__ import annotations

import importlib
import importlib.metadata
import platform
import re
import struct
import sys

from rtdecode.tools.doctor.check import Figures, Finding, Problems

MIN_PYTHON = (3, 11)
MODULES = {"pyzmq": "zmq"}

#: Checked by `liblsl` in more detail.
CHECKED_ELSEWHERE = ("pylsl",)

#: Extras that are reported, installed or not.
EXTRAS = ("train", "web")

_REQUIREMENT = re.compile(r"([\w.-]+)(?:\[[^]]*])?\s*>=\s*([\d.]+)")
_EXTRA = re.compile(r"extra\s*==\s*['\"](\w+)['\"]")


def measure_python() -> Figures:
    """Version, word length and path of the interpreter."""
    return {
        "version": platform.python_version(),
        "bits": 8 * struct.calcsize("P"),
        "system": f"{platform.system()} {platform.release()}",
        "executable": sys.executable,
    }


def judge_python(figures: Figures) -> Finding:
    """Fail below 3.11 and on 32 bits."""
    lowest = ".".join(map(str, MIN_PYTHON))
    reinstall = "create a new environment with it (python3 -m venv) and install rtdecode there"
    problems = Problems()
    if version_tuple(figures["version"]) < MIN_PYTHON:
        problems.add(f"install Python {lowest} or newer, {reinstall}", fail=True)
    if figures["bits"] != 64:
        problems.add(f"install a 64-bit Python, {reinstall}", fail=True)
    return problems.finding(f"{figures['version']}, {figures['bits']} bits, {figures['executable']}")


def version_tuple(text: str) -> tuple[int, ...]:
    """The leading numbers of a version: "2.0.1rc1" is (2, 0, 1)."""
    leading = re.match(r"\d+(\.\d+)*", text)
    return tuple(int(part) for part in leading.group().split(".")) if leading else ()


def read_requirement(line: str) -> tuple[str, str, str | None] | None:
    """Name, lowest version and extra of a line such as `torch>=2.6; extra == "train"`; None without >=."""
    requirement, marker = _REQUIREMENT.match(line), _EXTRA.search(line)
    return (requirement[1], requirement[2], marker[1] if marker else None) if requirement else None


def measure_libraries() -> Figures:
    """Versions of the required packages, which of them cannot be imported, and which extras are installed."""
    figures: Figures = {"versions": {}, "wanted": {}, "broken": {}, "extras": dict.fromkeys(EXTRAS, True)}
    for name, lowest, extra in filter(
        None, map(read_requirement, importlib.metadata.requires("rtdecode") or [])
    ):
        try:
            version = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            version = None
        if extra is None:
            figures["versions"][name], figures["wanted"][name] = version, lowest
        elif extra in EXTRAS:
            figures["extras"][extra] &= version is not None
    for name in figures["versions"]:
        if name in CHECKED_ELSEWHERE:
            continue
        try:
            importlib.import_module(MODULES.get(name, name))
        except (ImportError, OSError, RuntimeError, AttributeError) as error:
            figures["broken"][name] = f"{type(error).__name__}: {error}"
    return figures


def judge_libraries(figures: Figures) -> Finding:
    """Fail if a package cannot be imported, warn if one is too old; extras are only reported."""
    versions, lowest = figures["versions"], figures["wanted"]
    broken = figures["broken"] | {
        name: "not installed" for name, version in versions.items() if version is None
    }
    old = [
        f"{name} {version} (needs {lowest[name]})"
        for name, version in versions.items()
        if version is not None and version_tuple(version) < version_tuple(lowest[name])
    ]
    found = f"{len(versions) - len(broken)} of {len(versions)} usable"
    found += "".join(f"; {name}: {reason}" for name, reason in broken.items())
    extras = ", ".join(f"{name} {'yes' if there else 'no'}" for name, there in figures["extras"].items())
    install = "python -m pip install --upgrade"
    problems = Problems()
    if broken:
        problems.add(f"reinstall the packages: {install} --force-reinstall {' '.join(broken)}", fail=True)
    if old:
        found += f"; too old: {', '.join(old)}"
        problems.add(f"update the packages: {install} {' '.join(line.split()[0] for line in old)}")
    return problems.finding(f"{found}; extras: {extras}")
