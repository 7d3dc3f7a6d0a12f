"""liblsl's own log lines, kept off the terminal of the person at the rig.

liblsl prints what it does to stderr, in its own format and from its own threads. The daemon says
the same things itself, once, with a fix. The lab's configuration stays in force: it is read from
where liblsl would look, and handed over with a log level added, unless it sets one itself.
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
    places = [Path(named)] if named else []
    places += [here / "lsl_api.cfg", home / "lsl_api" / "lsl_api.cfg", Path("/etc/lsl_api/lsl_api.cfg")]
    return next((place for place in places if place.is_file()), None)


def with_silent_log(config: str) -> str:
    """The configuration with liblsl's log off, or as it is if it has a [log] section."""
    has_log = any(line.strip().lower() == "[log]" for line in config.splitlines())
    return config if has_log else config + SILENT


def silence_liblsl() -> None:
    """Hand liblsl its configuration with the log off. To be called before any other LSL call."""
    import pylsl

    path = find_config(os.environ, Path.home(), Path.cwd())
    text = path.read_text(encoding="utf-8", errors="replace") if path else ""
    # A liblsl older than 1.17.7 (PYLSL_LIB) cannot be told: then it talks.
    with contextlib.suppress(NotImplementedError):
        pylsl.set_config_content(with_silent_log(text))
