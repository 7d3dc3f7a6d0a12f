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

#: Time that a process has to end after SIGINT before it is killed.
END_S = 5.0


def private_lsl_config() -> str:
    """An LSL configuration for loopback only, with a SessionID of its own."""
    return LSL_CONFIG.format(session_id=f"rtdecode-{uuid.uuid4().hex[:12]}")


def free_endpoint() -> str:
    """A free loopback endpoint that Linux assigns to no other process for the next minute.

    A port that is only bound and closed may soon be assigned to another process or to an outgoing connection,
    and is then in use. The side of a connection that closes first leaves its port in TIME_WAIT: Linux no
    longer assigns it, but it can be bound explicitly with SO_REUSEADDR, as ZeroMQ does.
    """
    with socket.create_server(("127.0.0.1", 0)) as server:
        with socket.create_connection(server.getsockname()):
            server.accept()[0].close()
        return f"tcp://127.0.0.1:{server.getsockname()[1]}"


class LoopbackRig:
    """Starts `rtdecode` commands that see one another's streams and no others.

    Use it as a context manager: at its end, processes that still run are ended.

    Args:
        folder: working directory of the processes, with the LSL configuration and their stderr.
        lsl_config: LSL configuration, None for a new one. liblsl reads its configuration once, so a
            process with several rigs gives all of them the same.
    """

    def __init__(self, folder: Path, lsl_config: str | None = None) -> None:
        self.folder = folder
        self.lsl_config = lsl_config or private_lsl_config()
        config_file = folder / "lsl_api.cfg"
        config_file.write_text(self.lsl_config)
        # The user's own rig.toml and RTDECODE_… settings are for their rig, not for this one.
        own = {name: text for name, text in os.environ.items() if not name.startswith("RTDECODE_")}
        self._environment = {**own, "LSLAPICFG": str(config_file), "PYTHONSAFEPATH": "1"}
        self._processes: dict[str, tuple[subprocess.Popen[str], IO[str]]] = {}

    def __enter__(self) -> LoopbackRig:
        return self

    def __exit__(self, *_: object) -> None:
        for name in list(self._processes):
            self.end(name, must_succeed=False)

    def set_environment(self, name: str, value: str) -> None:
        """Set a variable for the processes that are started later."""
        self._environment[name] = value

    def start(
        self, name: str, arguments: Sequence[str], *, module: str = "rtdecode.cli"
    ) -> subprocess.Popen[str]:
        """Start `python -m module arguments…` under `name`; its stdout is a text pipe."""
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
        self._processes[name] = process, log
        return process

    def stderr(self, name: str) -> str:
        """Text that a process has written to stderr so far."""
        return (self.folder / f"{name}.log").read_text()

    def await_line(self, name: str, text: str, timeout_s: float) -> None:
        """Wait until a process has written `text` to stderr.

        Raises:
            RtdecodeError: it ended before, or the time is up.
        """
        process, _ = self._processes[name]
        deadline = time.monotonic() + timeout_s
        while text not in self.stderr(name):
            if process.poll() is not None:
                raise self.failure(name, f"ended with status {process.returncode}")
            if time.monotonic() > deadline:
                raise self.failure(name, f"did not print {text!r} within {timeout_s:g} s")
            time.sleep(0.02)

    def ended(self, name: str) -> bool:
        """Whether a process has ended by itself."""
        return self._processes[name][0].poll() is not None

    def failure(self, name: str, what: str) -> RtdecodeError:
        """An error about a process, with the end of its stderr."""
        return RtdecodeError(
            f"{what}; its stderr ends with: {self.stderr(name)[-500:].strip() or 'nothing'}",
            where=name,
            fix="run rtdecode doctor, end other programs that use the processor, and run it again",
        )

    def kill(self, name: str) -> None:
        """End a process with SIGKILL, like a crash."""
        process, log = self._processes.pop(name)
        process.kill()
        process.communicate()
        log.close()

    def end(self, name: str, *, must_succeed: bool = True) -> str:
        """End a process with SIGINT, like Ctrl-C, and return its stdout.

        Raises:
            RtdecodeError: its exit status is not 0.
        """
        process, log = self._processes.pop(name)
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        try:
            output, _ = process.communicate(timeout=END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            output, _ = process.communicate()
        log.close()
        if must_succeed and process.returncode != 0:
            raise self.failure(name, f"ended with status {process.returncode}")
        return output
