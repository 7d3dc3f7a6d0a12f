"""Run measurements in parallel in child processes, each with a time limit."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import IO

from rtdecode.tools.doctor.check import Check, Figures

PROBE = "rtdecode.tools.doctor.probe"

POLL_S = 0.01
REAP_S = 0.1


@dataclass(frozen=True)
class Outcome:
    """The figures of a measurement, or None and the reason why there are none."""

    figures: Figures | None
    reason: str = ""


def probe_command(check: Check) -> list[str]:
    """The command line of a check's child process."""
    function = f"{check.measure.__module__.rpartition('.')[2]}:{check.measure.__name__}"
    return [sys.executable, "-m", PROBE, function, json.dumps(dict(check.arguments))]


def run_probes(
    checks: Sequence[Check],
    limit_s: float,
    command: Callable[[Check], list[str]] = probe_command,
) -> list[Outcome]:
    """Run the measurements of all checks at the same time.

    Args:
        checks: in any order.
        limit_s: time limit, s; a child that still runs is then killed with its own children.
        command: command line of a check's child.

    Returns:
        One outcome per check, in the same order.
    """
    deadline = time.monotonic() + limit_s
    with contextlib.ExitStack() as stack:
        children: list[_Child] = []
        for check in checks:
            # Unnamed files: unlike a pipe they never fill up.
            files = [stack.enter_context(tempfile.TemporaryFile("w+", errors="replace")) for _ in range(2)]
            children.append(_Child(command(check), check.environment, *files))
            stack.callback(children[-1].end)
        while any(child.runs() for child in children) and time.monotonic() < deadline:
            time.sleep(POLL_S)
        return [
            Outcome(None, f"no answer within {limit_s:g} s") if child.runs() else child.outcome()
            for child in children
        ]


class _Child:
    """A running measurement, with the files of its output."""

    def __init__(
        self, command: list[str], environment: Mapping[str, str], stdout: IO[str], stderr: IO[str]
    ) -> None:
        self._stdout, self._stderr = stdout, stderr
        self._process = subprocess.Popen(
            command,
            env={**os.environ, "PYTHONSAFEPATH": "1", **environment},
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            # A process group of its own, so that killing it also ends the processes that it started.
            start_new_session=True,
        )

    def runs(self) -> bool:
        """Whether it still runs."""
        return self._process.poll() is None

    def outcome(self) -> Outcome:
        """Its outcome, once it has ended."""
        self._stdout.seek(0)
        self._stderr.seek(0)
        return read_outcome(self._process.wait(), self._stdout.read(), self._stderr.read())

    def end(self) -> None:
        """Kill it and the processes that it started, if it still runs."""
        if self._process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        # A process that waits for a dead disk cannot be killed, so it is left behind.
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(REAP_S)


def read_outcome(returncode: int, stdout: str, stderr: str) -> Outcome:
    """The outcome, from the exit status, stdout and stderr of a child that has ended."""
    lines = stdout.strip().splitlines()
    try:
        document = json.loads(lines[-1]) if lines else None
    except ValueError:
        document = None
    if not isinstance(document, dict):
        document = {}
    if returncode == 0 and isinstance(document.get("figures"), dict):
        return Outcome(document["figures"])
    if "error" in document:
        return Outcome(None, " ".join(str(document["error"]).split()))
    last = (stderr.strip().splitlines() or ["it printed nothing"])[-1].strip()
    how = f"killed by signal {-returncode}" if returncode < 0 else f"ended with status {returncode}"
    return Outcome(None, f"{how}: {last}")
