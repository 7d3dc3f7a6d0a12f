"""Running measurements side by side in child processes, each with a time limit."""

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
    """What became of a measurement: its figures, or None and the reason."""

    figures: Figures | None
    reason: str = ""


def probe_command(check: Check) -> list[str]:
    """The command line of a check's child process."""
    return [sys.executable, "-m", PROBE, check.measure, json.dumps(dict(check.arguments))]


def run_probes(
    checks: Sequence[Check],
    limit_s: float,
    command: Callable[[Check], list[str]] = probe_command,
) -> list[Outcome]:
    """Measure for all of `checks` at the same time.

    Args:
        checks: in any order.
        limit_s: when a child that still runs is killed, with all it has started.
        command: what a check's child is.

    Returns:
        One outcome for each check, in their order.
    """
    deadline = time.monotonic() + limit_s
    with contextlib.ExitStack() as stack:
        children: list[_Child] = []
        for check in checks:
            # Files without a name: unlike a pipe they never fill up.
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
    """A measurement under way, with the files of what it says."""

    def __init__(
        self, command: list[str], environment: Mapping[str, str], output: IO[str], said: IO[str]
    ) -> None:
        self._output, self._said = output, said
        self._process = subprocess.Popen(
            command,
            env={**os.environ, "PYTHONSAFEPATH": "1", **environment},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=said,
            # A group of its own: killing it takes along what the child has started.
            start_new_session=True,
        )

    def runs(self) -> bool:
        """Whether it still does."""
        return self._process.poll() is None

    def outcome(self) -> Outcome:
        """What it found, once it has ended."""
        self._output.seek(0)
        self._said.seek(0)
        return read_outcome(self._process.wait(), self._output.read(), self._said.read())

    def end(self) -> None:
        """Kill it, and all it has started, if it still runs."""
        if self._process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        # A process that waits for a dead disk cannot be killed; it is left behind.
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(REAP_S)


def read_outcome(returncode: int, output: str, said: str) -> Outcome:
    """What a child left: its exit status, stdout and stderr."""
    lines = output.strip().splitlines()
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
    last = (said.strip().splitlines() or ["it said nothing"])[-1].strip()
    how = f"killed by signal {-returncode}" if returncode < 0 else f"ended with {returncode}"
    return Outcome(None, f"{how}: {last}")
