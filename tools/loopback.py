"""A rig on this machine alone: real processes on loopback, in an LSL session of their own."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from rtdecode.errors import RtdecodeError

LSL_CONFIG = """[multicast]
ResolveScope = machine
ListenAddress = 127.0.0.1
AddressesOverride = {{127.0.0.1}}
[lab]
KnownPeers = {{127.0.0.1}}
SessionID = {session_id}
[ports]
IPv6 = disable
[log]
level = -3
"""

END_S = 5.0


def private_lsl_config() -> str:
    """An LSL configuration for loopback only, in a session that nobody else is in."""
    return LSL_CONFIG.format(session_id=f"rtdecode-{uuid.uuid4().hex[:12]}")


def free_endpoint() -> str:
    """A loopback endpoint nobody uses, and that nobody else is given for the next minute.

    A port that is only bound and closed again is soon given to another process that asks for any, or to a
    connection that goes out, and whoever was to listen there finds it in use. The side of a connection that
    closes first leaves its port in TIME_WAIT: Linux hands it out no more, but lets it be bound by name, with
    SO_REUSEADDR as ZeroMQ does.
    """
    with socket.create_server(("127.0.0.1", 0)) as server:
        with socket.create_connection(server.getsockname()):
            server.accept()[0].close()
        return f"tcp://127.0.0.1:{server.getsockname()[1]}"


class LoopbackRig:
    """Starts `rtdecode` commands that see one another and nobody else.

    Args:
        folder: for the LSL configuration and the processes' stderr; the processes run in it.
        lsl_config: of an LSL session to share, None for one of its own. liblsl takes its
            configuration once, so a process that has several rigs gives all of them the same.

    Use as a context manager: what still runs at the end is ended.
    """

    def __init__(self, folder: Path, lsl_config: str | None = None) -> None:
        self.folder = folder
        self.lsl_config = lsl_config or private_lsl_config()
        config_file = folder / "lsl_api.cfg"
        config_file.write_text(self.lsl_config)
        # The user's own rig.toml and RTDECODE_… settings are for their rig, not for this one.
        own = {name: text for name, text in os.environ.items() if not name.startswith("RTDECODE_")}
        self._environment = {**own, "LSLAPICFG": str(config_file), "PYTHONSAFEPATH": "1"}
        self._processes: list[tuple[str, subprocess.Popen[str], IO[str]]] = []

    def __enter__(self) -> LoopbackRig:
        return self

    def __exit__(self, *_: object) -> None:
        for name, _process, _log in list(self._processes):
            self.end(name, must_succeed=False)

    def set_environment(self, name: str, value: str) -> None:
        """Set a variable for the processes that start from now on."""
        self._environment[name] = value

    def start(
        self, name: str, arguments: Sequence[str], *, module: str = "rtdecode.cli"
    ) -> subprocess.Popen[str]:
        """Start `python -m module arguments…`, called `name` here; its stdout is a pipe of text."""
        log = (self.folder / f"{name}.log").open("w+")
        process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            env=self._environment,
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
        self._processes.append((name, process, log))
        return process

    def said(self, name: str) -> str:
        """What a process has written to stderr so far."""
        return (self.folder / f"{name}.log").read_text()

    def await_line(self, name: str, text: str, timeout_s: float) -> None:
        """Wait until a process has said `text` on stderr.

        Raises:
            RtdecodeError: it ended before, or the time is up.
        """
        process = next(p for n, p, _ in self._processes if n == name)
        deadline = time.monotonic() + timeout_s
        while text not in self.said(name):
            if process.poll() is not None:
                raise RtdecodeError(f"ended with {process.returncode}: {self.said(name)[-500:]}", where=name)
            if time.monotonic() > deadline:
                raise RtdecodeError(
                    f"did not say {text!r} within {timeout_s:g} s: {self.said(name)[-500:]}", where=name
                )
            time.sleep(0.02)

    def ended(self, name: str) -> bool:
        """Whether a process has ended by itself."""
        return next(p for n, p, _ in self._processes if n == name).poll() is not None

    def kill(self, name: str) -> None:
        """End a process with SIGKILL, as a crash does."""
        entry = next(entry for entry in self._processes if entry[0] == name)
        self._processes.remove(entry)
        _, process, log = entry
        process.kill()
        process.communicate()
        log.close()

    def end(self, name: str, *, must_succeed: bool = True) -> str:
        """End a process with SIGINT, as Ctrl-C does; returns what it wrote to stdout.

        Raises:
            RtdecodeError: it did not exit with 0.
        """
        entry = next(entry for entry in self._processes if entry[0] == name)
        self._processes.remove(entry)
        _, process, log = entry
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        try:
            output, _ = process.communicate(timeout=END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            output, _ = process.communicate()
        log.close()
        if must_succeed and process.returncode != 0:
            raise RtdecodeError(f"ended with {process.returncode}: {self.said(name)[-500:]}", where=name)
        return output
