"""Turns off the log that liblsl prints on stderr.

liblsl prints from its own threads and in its own format; the daemon reports the same once, with a fix. The
configuration of the lab stays in use: it is read from where liblsl would read it, and passed to liblsl with
a log level added, unless it sets one itself.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from pathlib import Path

SILENT = "\n[log]\nlevel = -3\n"


def find_config(environment: Mapping[str, str], home: Path, here: Path) -> Path | None:
    """The file liblsl would read: LSLAPICFG, ./lsl_api.cfg, ~/lsl_api/, /etc/lsl_api/ in that order."""
    named = environment.get("LSLAPICFG")
    paths = [Path(named)] if named else []
    paths += [here / "lsl_api.cfg", home / "lsl_api" / "lsl_api.cfg", Path("/etc/lsl_api/lsl_api.cfg")]
    return next((path for path in paths if path.is_file()), None)


def with_silent_log(config: str) -> str:
    """The configuration with the log off; unchanged if it has a [log] section."""
    has_log = any(line.strip().lower() == "[log]" for line in config.splitlines())
    return config if has_log else config + SILENT


def silence_liblsl() -> None:
    """Pass liblsl its configuration with the log off; must be called before any other LSL call."""
    import pylsl

    path = find_config(os.environ, Path.home(), Path.cwd())
    text = path.read_text(encoding="utf-8", errors="replace") if path else ""
    # A liblsl older than 1.17.7 (PYLSL_LIB) does not take a configuration and keeps its log.
    with contextlib.suppress(NotImplementedError):
        pylsl.set_config_content(with_silent_log(text))
