"""A recording survives SIGKILL: plain h5py opens it, and it contains all that was flushed.

RTDECODE_KILLS=100 for the full count; every kill is at a random moment, several recorders run at a time.
`python test_recording_kills.py PATH SECONDS SCALE` is one of those recorders: what it writes follows from the
row number alone, and after every flush it notes how many rows it has promised.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import pytest

from rtdecode.session.contents import Contents, DecodedColumns, DecodedRows
from rtdecode.session.grow import SessionWriter
from rtdecode.session.layout import LogEntry
from rtdecode.session.read import read_session

pytestmark = pytest.mark.realtime

KILLS = int(os.environ.get("RTDECODE_KILLS", "10"))
AT_A_TIME = 5
N_CHANNELS = 96
MODELS = ("aabbccdd", "11223344")
PACES = [(0.25, 1), (0.0, 1), (0.0, 40)]
"""Seconds between flushes, and how much data: as served; at full speed; so much that kills land in it."""
MOST_BYTES = 32_000_000
"""What one recorder may write, however long a busy disk holds up the one that is to kill it."""


def events(start: int, stop: int) -> tuple[np.ndarray, ...]:
    i = np.arange(start, stop)
    return i * 0.0007, (i % N_CHANNELS).astype("u2"), (i % 5).astype("u1")


def samples(start: int, stop: int) -> tuple[np.ndarray, ...]:
    i = np.arange(start, stop)
    return i * 0.016, np.stack([np.sin(i), np.cos(i)], axis=1).astype("f4")


def bins(start: int, stop: int) -> DecodedRows:
    i = np.arange(start, stop)
    return DecodedRows(
        i,
        (i + 1) * 0.02,
        np.stack([i, -i], axis=1).astype("f4"),
        (i % 64).astype("u4"),
        ((i // 500) % 2).astype("u1"),
        (i % 3).astype("u2"),
        (i % 4).astype("u4"),
        ((i[:, np.newaxis] + np.arange(N_CHANNELS)) % 20).astype("u1"),
    )


def entries(start: int, stop: int) -> list[LogEntry]:
    return [
        LogEntry(i * 0.5, i, "adapt", {"i": i, "rates": list(range(i % 400))}) for i in range(start, stop)
    ]


def record(path: Path, pause_s: float, scale: int) -> None:
    """Append and flush once, then, after a go-ahead, until killed or until MOST_BYTES are written."""
    contents = Contents(
        n_channels=N_CHANNELS,
        attrs={"subject": "nobody"},
        behavior=(("x", "y"), ("mm", "mm")),
        decoded=DecodedColumns(n_outputs=2, origin_s=0.0, models=MODELS),
        events=True,
    )
    writer = SessionWriter(path, contents)
    notes = os.open(notes_of(path), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    cycle = 0
    while path.stat().st_size < MOST_BYTES:
        e, s, b, n = (count * scale for count in (360, 16, 13, 1))
        writer.append_events(*events(cycle * e, (cycle + 1) * e))
        writer.append_behavior(*samples(cycle * s, (cycle + 1) * s))
        writer.append_decoded(bins(cycle * b, (cycle + 1) * b))
        writer.append_log(entries(cycle * n, (cycle + 1) * n))
        writer.flush()
        cycle += 1
        os.write(notes, f"{cycle * e} {cycle * s} {cycle * b} {cycle * n}\n".encode())
        if cycle == 1:
            print("recording", flush=True)
            # Nobody runs ahead while the others start.
            sys.stdin.readline()
        time.sleep(pause_s)
    # Killed here, or ended with the test should that have died itself.
    sys.stdin.read()


def notes_of(path: Path) -> Path:
    return path.with_suffix(".promised")


def start(path: Path, pace: tuple[float, int]) -> subprocess.Popen[str]:
    command = [sys.executable, __file__, path, *map(str, pace)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def check(path: Path, promised: list[int]) -> None:
    """Check a file; `promised`: flushed rows of events, behaviour, bins and log."""
    with h5py.File(path) as file:
        assert file.attrs["format"] == "rtdecode-session"
        assert file.attrs["complete"] == 0
    session = read_session(path)
    assert session.events is not None
    assert session.behavior is not None
    assert session.decoded is not None
    decoded = session.decoded
    rows = len(session.events.time), len(session.behavior.time), len(decoded.bin), len(session.log)
    assert all(n >= kept for n, kept in zip(rows, promised, strict=True))
    columns = (
        decoded.bin, decoded.t_bin, decoded.values, decoded.flags,
        decoded.model, decoded.late, decoded.lost, decoded.counts,
    )  # fmt: skip
    found = [
        *zip(
            (session.events.time, session.events.channel, session.events.unit),
            events(0, len(session.events.time)),
            strict=True,
        ),
        *zip(
            (session.behavior.time, session.behavior.values),
            samples(0, len(session.behavior.time)),
            strict=True,
        ),
        *zip(columns, bins(0, len(decoded.bin))[: len(columns)], strict=True),
    ]
    for actual, expected in found:
        np.testing.assert_array_equal(actual, expected)
    assert list(session.log) == entries(0, len(session.log))


@pytest.mark.timeout(60 + 3 * KILLS)
def test_a_recording_survives_being_killed(tmp_path: Path) -> None:
    rng = random.Random(os.urandom(8))
    killed = 0
    while killed < KILLS:
        batch = [
            (tmp_path / f"live{killed + i}.h5", PACES[(killed + i) % len(PACES)])
            for i in range(min(AT_A_TIME, KILLS - killed))
        ]
        recorders = [(path, start(path, pace)) for path, pace in batch]
        try:
            for _, recorder in recorders:
                assert recorder.stdout is not None
                assert recorder.stdout.readline() == "recording\n"
            for _, recorder in recorders:
                assert recorder.stdin is not None
                recorder.stdin.write("go\n")
                recorder.stdin.flush()
            for _, recorder in recorders:
                time.sleep(rng.uniform(0.02, 0.3))
                recorder.kill()
        finally:
            # A killed one dies when its write is through, however long: the others do not live on meanwhile.
            for _, recorder in recorders:
                recorder.kill()
            for _, recorder in recorders:
                recorder.communicate()
        for path, _ in recorders:
            # Stronger than all but the last second: everything a flush came back for.
            last = notes_of(path).read_text().splitlines()[-1]
            check(path, [int(n) for n in last.split()])
            path.unlink()
        killed += len(recorders)


if __name__ == "__main__":
    record(Path(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3]))
