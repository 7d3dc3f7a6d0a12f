"""How the daemon ends: on a signal, and killed."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from rtdecode.session.read import read_session
from rtdecode.tools.loopback import LoopbackRig, free_endpoint

N_KILLS = int(os.environ.get("RTDECODE_SERVE_KILLS", "4"))

#: `rtdecode serve` with a signal while LLVM, which compiles, calls Python.
SIGNALLED = """
import ctypes, signal, sys
from rtdecode.cli import main
from rtdecode.serve import daemon
call_back = ctypes.CFUNCTYPE(None)(lambda: signal.raise_signal(signal.SIGINT))
daemon.compile_kernels = lambda *given: call_back()
sys.argv[:1] = ["rtdecode", "serve"]
main()
"""


def test_a_signal_ends_it_with_status_0_and_a_complete_file(
    rig: LoopbackRig, serve: Any, replay: Any, simulated_session: Path, simulated_model: Path
) -> None:
    replay(simulated_session, "--wait", "30")
    for number in (signal.SIGINT, signal.SIGTERM):
        recording = rig.folder / f"{number.name}.h5"
        served = serve(simulated_model, "--record", str(recording))
        served.subscriber.until(lambda m: m["bin"] > 50)
        served.process.send_signal(number)
        assert served.process.wait(10) == 0
        served.subscriber.take(100)
        session = read_session(recording)
        assert session.complete
        assert session.decoded.bin[-1] == served.subscriber.messages[-1]["bin"]


def test_a_signal_while_it_waits_for_the_stream_ends_it_with_status_0(
    serve: Any, simulated_model: Path
) -> None:
    served = serve(simulated_model)
    served.process.send_signal(signal.SIGINT)
    assert served.process.wait(10) == 0


def test_a_signal_while_kernels_are_compiled_ends_it_with_status_0(
    stream: str, lsl_config: str, simulated_model: Path, tmp_path: Path
) -> None:
    config = tmp_path / "lsl_api.cfg"
    config.write_text(lsl_config)
    given = ["--stream", stream, "--model", str(simulated_model), "--timeout", "3"]
    done = subprocess.run(
        [sys.executable, "-c", SIGNALLED, *given, "--bind", free_endpoint(), "--control", free_endpoint()],
        env={**os.environ, "LSLAPICFG": str(config)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.realtime
def test_ctrl_c_while_a_command_is_imported_ends_it_in_silence(tmp_path: Path) -> None:
    commands = {0.05: ["info", "x.h5"], 0.1: ["serve", "--stream", "M1"], 0.2: ["streams"], 0.4: ["doctor"]}
    for after_s, command in commands.items():
        output = tmp_path / command[0]
        with output.open("w") as printed:
            process = subprocess.Popen([sys.executable, "-v", "-m", "rtdecode.cli", *command], stderr=printed)
        # Before that Python itself starts, of whose own imports it prints a traceback.
        deadline = time.monotonic() + 20.0
        while "import 'rtdecode.cli' " not in output.read_text():
            assert time.monotonic() < deadline, output.read_text()
            time.sleep(0.005)
        time.sleep(after_s)
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 130, output.read_text()[-2000:]
        assert "Traceback" not in output.read_text()


def test_a_recording_of_a_killed_daemon_lacks_at_most_the_last_second(
    rig: LoopbackRig, serve: Any, replay: Any, simulated_session: Path, simulated_model: Path
) -> None:
    replay(simulated_session, "--loop")
    rng = random.Random(7)
    recordings = [rig.folder / f"live{kill}.h5" for kill in range(N_KILLS)]
    # All record the same stream, and each is killed at a moment of its own.
    served = [serve(simulated_model, "--record", str(recording)) for recording in recordings]
    for daemon, recording in zip(served, recordings, strict=True):
        more = rng.randrange(60, 160)
        first = daemon.subscriber.until(lambda m: True)["bin"]
        daemon.subscriber.until(lambda m, last=first + more: m["bin"] >= last)
        rig.kill(daemon.name)
        daemon.subscriber.take(100)
        messages = daemon.subscriber.messages
        with h5py.File(recording) as file:
            assert file.attrs["format"] == "rtdecode-session"
        session = read_session(recording)
        assert not session.complete
        decoded = session.decoded
        assert decoded.bin[-1] >= messages[-1]["bin"] - 50
        published = {m["bin"]: m["value"] for m in messages}
        for b, value in zip(decoded.bin.tolist(), decoded.values, strict=True):
            if b in published:
                np.testing.assert_array_equal(np.float32(published[b]), value)
