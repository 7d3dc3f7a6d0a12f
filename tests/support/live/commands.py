"""`rtdecode …` as a user types it, in a process of its own; or its work alone, in this process."""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from rtdecode.cli.commands import app

#: Longest time of a command on a busy machine.
LIMIT_S = 240.0


def rtdecode(
    *arguments: object, script: str | None = None, cwd: Path | None = None, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end; `script` is Python code to run in place of the command line."""
    start = ["-m", "rtdecode.cli"] if script is None else ["-c", script]
    return subprocess.run(
        [sys.executable, *start, *map(str, arguments)],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        cwd=cwd,
        timeout=LIMIT_S,
        check=False,
    )


def document_of(*arguments: object, **given: Any) -> Any:
    """The JSON document of a command that succeeds."""
    done = rtdecode(*arguments, "--json", **given)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def printed_here(*arguments: object) -> str:
    """The stdout of a command in this process, which takes a second less, and four less with torch.

    Raises:
        RtdecodeError: the command could not do its work.
    """
    with contextlib.redirect_stdout(io.StringIO()) as output:
        app([*map(str, arguments)], standalone_mode=False)
    return output.getvalue()


def document_here(*arguments: object) -> Any:
    """The JSON document of a command in this process."""
    return json.loads(printed_here(*arguments, "--json"))


def refusal(done: subprocess.CompletedProcess[str]) -> str:
    """The one line of a command that could not do its work."""
    assert done.returncode == 1, done.stderr
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("rtdecode:")]
    assert "Traceback" not in done.stderr
    assert "internal error" not in line
    return line
