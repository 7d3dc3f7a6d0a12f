"""A command on a terminal of its own, whose Ctrl-C it receives, and what it writes there."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import subprocess
import termios
import time
from collections.abc import Callable, Sequence

UNSET = ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES", "TTY_COMPATIBLE", "TTY_INTERACTIVE")


def on_a_terminal(
    command: Sequence[str],
    reached: Callable[[str], bool],
    act: Callable[[subprocess.Popen[bytes], int], object],
    meanwhile: Callable[[], object] = lambda: None,
) -> tuple[str, int]:
    """What a command writes to a terminal of 80 by 24, and its exit status.

    Args:
        command: to run.
        reached: whether what it has written so far is enough to act.
        act: called then, once, with the process and the other end of its terminal.
        meanwhile: called again and again.
    """
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 80))
    modes = termios.tcgetattr(theirs)
    # Otherwise Ctrl-C would also discard what is written and not yet read.
    modes[3] |= termios.NOFLSH
    termios.tcsetattr(theirs, termios.TCSANOW, modes)
    env = {key: value for key, value in os.environ.items() if key not in UNSET} | {"TERM": "xterm-256color"}
    process = subprocess.Popen(
        command,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=env,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )
    os.close(theirs)
    written, acted, deadline = b"", False, time.monotonic() + 60
    try:
        while time.monotonic() < deadline:
            meanwhile()
            if not acted and reached(written.decode("utf-8", "replace")):
                acted = True
                act(process, ours)
            if not select.select([ours], [], [], 0.02)[0]:
                continue
            try:
                written += os.read(ours, 65536)
            except OSError:
                # The process has closed its end.
                break
        assert acted, written[-2000:]
        # The echo of Ctrl-C may be inside a character.
        return written.decode("utf-8", "replace"), process.wait(30)
    finally:
        process.kill()
        process.wait()
        os.close(ours)
