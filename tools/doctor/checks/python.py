"""Doctor: the interpreter and the packages rtdecode rests on."""

from __future__ import annotations

import importlib
import importlib.metadata
import platform
import re
import struct
import sys

from rtdecode.tools.doctor.check import Figures, Finding, Verdict, conclude

MIN_PYTHON = (3, 11)
MODULES = {"pyzmq": "zmq"}

#: The check `liblsl` imports it and says more about it.
LOOKED_AT_ELSEWHERE = ("pylsl",)

#: Extras whose absence is worth a word.
EXTRAS = ("train", "web")

_REQUIREMENT = re.compile(r"([\w.-]+)(?:\[[^]]*])?\s*>=\s*([\d.]+)")
_EXTRA = re.compile(r"extra\s*==\s*['\"](\w+)['\"]")


def measure_python() -> Figures:
    """Version, word length and place of the interpreter."""
    return {
        "version": platform.python_version(),
        "bits": 8 * struct.calcsize("P"),
        "system": f"{platform.system()} {platform.release()}",
        "executable": sys.executable,
    }


def judge_python(figures: Figures) -> Finding:
    """Fails below 3.11 and on 32 bits."""
    wanted = ".".join(map(str, MIN_PYTHON))
    anew = "make a new environment with it (python3 -m venv) and install rtdecode there"
    return conclude(
        f"{figures['version']}, {figures['bits']} bits, {figures['executable']}",
        (Verdict.FAIL, f"get Python {wanted} or newer, {anew}")
        if version_tuple(figures["version"]) < MIN_PYTHON
        else None,
        (Verdict.FAIL, f"get a 64-bit Python, {anew}") if figures["bits"] != 64 else None,
    )


def version_tuple(text: str) -> tuple[int, ...]:
    """The numbers a version begins with: "2.0.1rc1" is (2, 0, 1)."""
    begins = re.match(r"\d+(\.\d+)*", text)
    return tuple(int(part) for part in begins.group().split(".")) if begins else ()


def read_requirement(line: str) -> tuple[str, str, str | None] | None:
    """Name, lowest version and extra of `torch>=2.6; extra == "train"`, say; None if it has no >=."""
    wanted, marker = _REQUIREMENT.match(line), _EXTRA.search(line)
    return (wanted[1], wanted[2], marker[1] if marker else None) if wanted else None


def measure_libraries() -> Figures:
    """Versions of what rtdecode requires, whether it can be imported, and which extras are there."""
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
        if name in LOOKED_AT_ELSEWHERE:
            continue
        try:
            importlib.import_module(MODULES.get(name, name))
        except (ImportError, OSError, RuntimeError, AttributeError) as error:
            figures["broken"][name] = f"{type(error).__name__}: {error}"
    return figures


def judge_libraries(figures: Figures) -> Finding:
    """Fails if one cannot be imported, warns of one older than asked for; extras are only told."""
    versions, wanted = figures["versions"], figures["wanted"]
    broken = figures["broken"] | {
        name: "not installed" for name, version in versions.items() if version is None
    }
    old = [
        f"{name} {version} (needs {wanted[name]})"
        for name, version in versions.items()
        if version is not None and version_tuple(version) < version_tuple(wanted[name])
    ]
    found = f"{len(versions) - len(broken)} of {len(versions)} usable"
    found += "".join(f"; {name}: {reason}" for name, reason in broken.items())
    found += f"; too old: {', '.join(old)}" if old else ""
    extras = ", ".join(f"{name} {'yes' if there else 'no'}" for name, there in figures["extras"].items())
    again = "python -m pip install --upgrade"
    return conclude(
        f"{found}; extras: {extras}",
        (Verdict.FAIL, f"install what is missing: {again} --force-reinstall {' '.join(broken)}")
        if broken
        else None,
        (Verdict.WARN, f"bring it up to date: {again} {' '.join(line.split()[0] for line in old)}")
        if old
        else None,
    )
