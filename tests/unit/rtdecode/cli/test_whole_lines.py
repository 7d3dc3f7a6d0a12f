"""Lines of a command for a program, with a signal while nobody reads."""

from __future__ import annotations

import fcntl
import json
import signal
import subprocess
import sys
import threading

F_SETPIPE_SZ = 1031

PRINTER = """
import sys
from rtdecode.cli.common import print_json, signalled
stopping = signalled()
print("ready", file=sys.stderr, flush=True)
while not stopping():
    print_json({"long": "a" * 20_000})
"""


def test_no_line_is_cut_by_a_signal_that_comes_while_the_pipe_is_full() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PRINTER], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        fcntl.fcntl(process.stdout, F_SETPIPE_SZ, 4096)
        assert process.stderr.readline() == "ready\n"
        # A part of the first line fills the pipe; there is no event to wait for.
        threading.Event().wait(0.5)
        process.send_signal(signal.SIGINT)
        printed, _ = process.communicate(timeout=20.0)
    lines = [json.loads(line) for line in printed.splitlines()]
    assert lines
    assert all(len(line["long"]) == 20_000 for line in lines)
    assert process.returncode == 0
