"""Doctor: the LSL library, its configuration and its ports."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from rtdecode.tools.doctor.check import Figures, Finding, Problems, Verdict
from rtdecode.tools.doctor.checks.python import version_tuple

MIN_PYLSL = "1.18.6"

#: Required by pylsl; in liblsl's notation, 116 is 1.16. The log can be silenced from 1.17.7 on.
MIN_LIBLSL = 116

#: Each outlet uses one TCP and one UDP port: amplifier, behaviour, `--lsl-out` and a replay.
FEW_PORTS = 4

DEFAULT_MULTICAST_PORT, DEFAULT_BASE_PORT, DEFAULT_PORT_RANGE = 16571, 16572, 32

LOAD_CONFIG_S = 20.0
_LOAD_CONFIG = "import pylsl; pylsl.StreamInfo('doctor', 'doctor')"
_REFUSED = re.compile(r"Error parsing config file .*?: '(.*)', rolling back")


def measure_liblsl() -> Figures:
    """Versions of pylsl and of the liblsl that it loads."""
    named = os.environ.get("PYLSL_LIB")
    figures: Figures = {
        "pylsl_lib": named,
        "pylsl_lib_is_file": named is not None and os.path.isfile(named),
        "error": None,
    }
    try:
        import pylsl
        from pylsl.lib import lib
    except (ImportError, OSError, RuntimeError, AttributeError) as error:
        # AttributeError: this liblsl lacks a function that pylsl binds on import.
        return figures | {"error": " ".join(f"{type(error).__name__}: {error}".split())}
    return figures | {
        "pylsl": str(pylsl.__version__),
        "liblsl": int(pylsl.library_version()),
        "library": str(lib._name),
        "can_be_silenced": hasattr(lib, "lsl_set_config_content"),
    }


def judge_liblsl(figures: Figures) -> Finding:
    """Fail if liblsl cannot be loaded, is too old or is not PYLSL_LIB; warn if its log cannot be silenced."""
    named = figures["pylsl_lib"]
    own = "unset PYLSL_LIB: pylsl includes a liblsl"
    if figures["error"] is not None:
        fix = own if named else f'python -m pip install --force-reinstall "pylsl>={MIN_PYLSL}"'
        return Finding(Verdict.FAIL, f"cannot be loaded: {figures['error'][:160]}", fix)
    liblsl = figures["liblsl"]
    found = f"pylsl {figures['pylsl']}, liblsl {liblsl // 100}.{liblsl % 100}, {figures['library']}"
    problems = Problems()
    if named and not figures["pylsl_lib_is_file"]:
        found += f", although PYLSL_LIB is {named}, which is not a file"
        problems.add(f"set PYLSL_LIB to the path of a liblsl, or {own}", fail=True)
    if version_tuple(figures["pylsl"]) < version_tuple(MIN_PYLSL):
        problems.add(f'python -m pip install --upgrade "pylsl>={MIN_PYLSL}"', fail=True)
    if liblsl < MIN_LIBLSL:
        oldest = f"{MIN_LIBLSL // 100}.{MIN_LIBLSL % 100}"
        problems.add(f"liblsl must be {oldest} or newer: {own}", fail=True)
    if not figures["can_be_silenced"]:
        problems.add(f"liblsl before 1.17.7 always writes log lines to the terminal: {own}")
    return problems.finding(found)


def lsl_settings(config: str) -> dict[str, str]:
    """The settings of an lsl_api.cfg by "section.Key", as liblsl reads them: no comments after a value."""
    settings, section = {}, ""
    for line in config.splitlines():
        if line.startswith("[") and "]" in line:
            section = line[1 : line.index("]")] + "."
        elif "=" in line and not line.startswith(";"):
            key, _, value = line.partition("=")
            settings[section + key.strip()] = value.strip()
    return settings


def port_range(settings: Mapping[str, str]) -> tuple[int, int, int]:
    """Multicast port, first port of outlets and number of ports in the configuration."""

    def read(key: str, default: int) -> int:
        text = settings.get(f"ports.{key}", "")
        return int(text) if text.isdigit() else default

    return (
        read("MulticastPort", DEFAULT_MULTICAST_PORT),
        read("BasePort", DEFAULT_BASE_PORT),
        read("PortRange", DEFAULT_PORT_RANGE),
    )


def measure_lsl_config(path: str | None) -> Figures:
    """The settings of the configuration file in use, if any, and whether liblsl accepts it."""
    named = os.environ.get("LSLAPICFG")
    figures: Figures = {
        "file": path,
        "named": named,
        "session_id": None,
        "known_peers": None,
        "refused": None,
    }
    if path is None:
        return figures
    settings = lsl_settings(Path(path).read_text(encoding="utf-8", errors="replace"))
    # liblsl reports a refused file only on stderr, and then uses its defaults.
    loaded = subprocess.run(
        [sys.executable, "-c", _LOAD_CONFIG],
        env={**os.environ, "LSLAPICFG": path},
        capture_output=True,
        text=True,
        timeout=LOAD_CONFIG_S,
        check=False,
    )
    if loaded.returncode:
        raise RuntimeError("liblsl cannot be loaded, so the file cannot be checked")
    refused = _REFUSED.search(loaded.stderr)
    return figures | {
        "session_id": settings.get("lab.SessionID"),
        "known_peers": settings.get("lab.KnownPeers"),
        "scope": settings.get("multicast.ResolveScope"),
        "refused": refused[1] if refused else None,
    }


def judge_lsl_config(figures: Figures) -> Finding:
    """Fail on a file that liblsl silently refuses; warn if LSLAPICFG is not a file."""
    path, named = figures["file"], figures["named"]
    problems = Problems()
    if path is None:
        found = "no lsl_api.cfg: LSL's defaults"
    elif figures["refused"]:
        found = f"{path} is not in use, liblsl refuses it: {figures['refused']}"
        problems.add(f"correct {path}: one `Key = value` per line, no key twice in a section", fail=True)
    else:
        session = figures["session_id"]
        found = path + (f", SessionID {session}: only streams of that session are seen" if session else "")
        found += f", KnownPeers {figures['known_peers']}" if figures["known_peers"] else ""
    if named and named != path:
        found += f"; LSLAPICFG is {named}, which is not a file"
        problems.add("set LSLAPICFG to the path of the file, or unset it")
    return problems.finding(found)


def measure_lsl_ports(multicast: int, base: int, count: int) -> Figures:
    """How many ports of outlets are free, and whether the UDP port of discovery (`multicast`) is shared."""
    free = [p for p in range(base, base + count) if _can_bind(p, tcp=True) and _can_bind(p, tcp=False)]
    return {
        "base": base,
        "count": count,
        "free": len(free),
        "multicast": multicast,
        "multicast_shared": _can_bind(multicast, tcp=False, shared=True),
    }


def _can_bind(port: int, *, tcp: bool, shared: bool = False) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM if tcp else socket.SOCK_DGRAM) as probe:
        if tcp or shared:
            # As liblsl does: a TCP port that was just closed is free, a multicast port is shared.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", port))
        except OSError:
            return False
    return True


def judge_lsl_ports(figures: Figures) -> Finding:
    """Warn if few ports are left, or if another program does not share the multicast port."""
    base, count, multicast = figures["base"], figures["count"], figures["multicast"]
    found = f"{figures['free']} of {count} free (TCP and UDP {base}–{base + count - 1})"
    problems = Problems()
    if figures["free"] < min(FEW_PORTS, count):
        problems.add("end LSL programs that are not needed, or raise [ports] PortRange in lsl_api.cfg")
    if not figures["multicast_shared"]:
        found += f", UDP {multicast} in use by another program"
        problems.add(
            f"end the program that uses UDP {multicast} (ss -lunp): streams of this machine are not found"
        )
    return problems.finding(found)
