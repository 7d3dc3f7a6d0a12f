"""Cost of monitors: latency of a daemon without and with monitors, alternating in one run.

    python tests/benchmark/bench_monitor.py [--seconds 15] [--rounds 4] [--pages 10]

64 simulated channels are replayed in a loop. Blocks with monitors have `rtdecode monitor` on a terminal of
80 × 24, and `rtdecode monitor --web` with the given number of pages, the first of which never reads. Prints
the time from the end of a bin to its cursor published and received, the CPU use of the two monitors, and the
number of frames per page.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import pty
import re
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
import pylsl
from numpy.typing import NDArray
from websockets.sync.client import connect

from rtdecode.artifact import write_artifact
from rtdecode.calibrate.fitting.fit import fit_sessions
from rtdecode.messages import Flag
from rtdecode.session.write import write_session
from rtdecode.tools.capture import CursorSubscriber, Received
from rtdecode.tools.loopback import LoopbackRig, free_endpoint
from rtdecode.tools.simulator.scripted import CentreOut, draw_tuning, simulate_session

WARM_UP_S, READY_S = 2.0, 60.0
PERCENTILES = (50, 90, 99, 99.9, 100)


def latencies_ms(received: Received) -> NDArray[np.float64]:
    """Times from the end of a bin to its cursor received, and published: f8[n, 2]."""
    rows = [
        (received_s - cursor["t_bin"], cursor["t_pub"] - cursor["t_bin"])
        for cursor, received_s in zip(received.cursors, received.received_s, strict=True)
        if not cursor["flags"] & (Flag.FAILSAFE | Flag.PAUSED)
    ]
    return np.array(rows) * 1e3


def cpu_s(pid: int) -> float:
    """CPU time of a process, s."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def on_a_terminal(arguments: list[str]) -> Iterator[int]:
    """Run a command on a terminal of 80 × 24 whose output is read; yields its process id."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    process = subprocess.Popen(
        [sys.executable, "-m", "rtdecode.cli", *arguments],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**os.environ, "TERM": "xterm-256color"},
    )
    os.close(theirs)

    def drain() -> None:
        try:
            while os.read(ours, 65536):
                pass
        except OSError:
            pass

    threading.Thread(target=drain, daemon=True).start()
    try:
        yield process.pid
    finally:
        process.terminate()
        process.wait(10)
        os.close(ours)


def browse(where: str, pages: int, seconds: float) -> None:
    """Act as pages in a browser, the first of which never reads; prints the frame rate of the others."""
    with ExitStack() as opened:
        opened.enter_context(connect(f"ws://{where}/frames", max_queue=1, close_timeout=0.1))
        reading = [
            opened.enter_context(connect(f"ws://{where}/frames", close_timeout=0.1)) for _ in range(pages - 1)
        ]
        end, n = time.monotonic() + seconds, 0
        while time.monotonic() < end:
            for page in reading:
                json.loads(page.recv(10))
                page.send("seen")
                n += 1
    print(n / max(len(reading), 1) / seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seconds", type=float, default=15.0)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--pages", type=int, default=10)
    parser.add_argument("--browse", nargs=3, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.browse:
        browse(given.browse[0], int(given.browse[1]), float(given.browse[2]))
        return
    alone, watched = [], []
    used: dict[str, list[float]] = {"web": [], "terminal": [], "frames": []}
    with tempfile.TemporaryDirectory() as name, LoopbackRig(Path(name)) as rig:
        folder = Path(name)
        task, session = CentreOut(n_channels=64), folder / "session.h5"
        write_session(session, simulate_session(task, draw_tuning(task, 3), 40.0, 4, "session"))
        write_artifact(folder / "m.safetensors", fit_sessions([session], "wiener", 0.02).artifact)
        cursor, control = free_endpoint(), free_endpoint()
        rig.start("replay", ["replay", str(session), "--stream", "AB", "--loop", "--push", "1"])
        serve = ["serve", "--stream", "AB", "--model", str(folder / "m.safetensors"), "--timeout", "60"]
        rig.start("serve", [*serve, "--bind", cursor, "--control", control])
        rig.await_line("serve", "cursor on", READY_S)
        subscriber = CursorSubscriber(cursor, pylsl.local_clock)
        subscriber.receive(8.0)
        for _ in range(given.rounds):
            subscriber.receive(WARM_UP_S)
            alone.append(latencies_ms(subscriber.receive(given.seconds)))
            web = rig.start("web", ["monitor", "--web", "--port", "0", "--cursor", cursor])
            rig.await_line("web", "ends it", READY_S)
            found = re.match(r"http://(\S+) ", rig.stderr("web"))
            assert found
            browser = [sys.executable, __file__, "--browse", found[1], str(given.pages)]
            with on_a_terminal(["monitor", "--cursor", cursor]) as terminal:
                pages = subprocess.Popen(
                    [*browser, str(given.seconds + WARM_UP_S)], stdout=subprocess.PIPE, text=True
                )
                subscriber.receive(WARM_UP_S)
                before, start = (cpu_s(web.pid), cpu_s(terminal)), time.monotonic()
                watched.append(latencies_ms(subscriber.receive(given.seconds)))
                took = time.monotonic() - start
                used["web"].append((cpu_s(web.pid) - before[0]) / took)
                used["terminal"].append((cpu_s(terminal) - before[1]) / took)
                used["frames"].append(float(pages.communicate(timeout=60)[0]))
            rig.end("web")
        subscriber.close()
    print("after the end of the bin, ms".ljust(32), *(f"p{p:<6g}" for p in PERCENTILES), " p99 by block")
    for column, what in enumerate(("received", "published")):
        for label, blocks in (("alone", alone), ("watched", watched)):
            numbers = np.percentile(np.concatenate(blocks)[:, column], PERCENTILES)
            each = " ".join(f"{np.percentile(block[:, column], 99):.2f}" for block in blocks)
            print(f"{what}, {label}".ljust(32), *(f"{number:<7.2f}" for number in numbers), "", each)
    print(
        f"of a core: page {np.mean(used['web']):.0%}, terminal {np.mean(used['terminal']):.0%}; "
        f"{np.mean(used['frames']):.1f} frames/s a page, {given.pages} pages, one of them stalled"
    )


if __name__ == "__main__":
    main()
