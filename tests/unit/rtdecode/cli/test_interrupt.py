"""Ctrl-C ends a command, also where it is in an import that swallows exceptions."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

#: Runs a command whose module is `given.py`.
PROGRAM = """
import sys
from rtdecode.cli import program, main
def run(sources):
    try:
        import given
    except BaseException as error:
        print("swallowed", type(error).__name__, flush=True)
    given_later = sys.modules.get("given")
    given_later and given_later.work()
    print("ran on", flush=True)
program.run = run
main()
"""
INTERRUPT = "import os, signal, time\nos.kill(os.getpid(), signal.SIGINT); time.sleep(1)\n"
SWALLOWED = """import os, signal, time, weakref
class Thing: pass
thing = Thing()
reference = weakref.ref(thing, lambda _: (os.kill(os.getpid(), signal.SIGINT), time.sleep(1)))
del thing
def work(): pass
"""
LATER = "def work():\n    import os, signal, time\n    os.kill(os.getpid(), signal.SIGINT); time.sleep(1)\n"


@pytest.mark.parametrize("given", [INTERRUPT, SWALLOWED, LATER], ids=["import", "callback", "work"])
def test_ctrl_c_ends_a_command_with_130(given: str, tmp_path: Path) -> None:
    (tmp_path / "given.py").write_text(given)
    command = [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n{PROGRAM}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (130, ""), done.stderr
    assert "Traceback" not in done.stderr
