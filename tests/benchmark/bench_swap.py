"""Effect of swaps on the bins around them: 200 in 60 s, compared with blocks of the same run without swaps.

python tests/benchmark/bench_swap.py SESSION [--swaps 200] [--seconds 60] [--channels 64] [--kind alignnet]

The session's first channels are replayed in a loop as events. Blocks of 5 s with swaps and without alternate,
so that both have the same load of the machine. Prints the time from the end of a bin to its publication (ms)
for both, and for the bins at a swap and the two before, during which the next model is loaded.
"""

from __future__ import annotations

import argparse
import tempfile
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from rtdecode.artifact import read_artifact, write_artifact
from rtdecode.calibrate.fitting.fit import fit_sessions
from rtdecode.calibrate.fitting.training_set import FitSettings
from rtdecode.calibrate.training.settings import ONE_DAY_TRAINING
from rtdecode.client import ControlClient, CursorClient
from rtdecode.session.layout import Session
from rtdecode.session.read import read_session
from rtdecode.session.write import write_session
from rtdecode.tools.loopback import LoopbackRig, free_endpoint

BLOCK_S = 5.0
PERCENTILES = (50, 90, 99, 99.9, 100)


def first_channels(session: Session, n: int) -> Session:
    assert session.counts is not None
    counts = replace(session.counts, values=session.counts.values[:, :n])
    return replace(session, n_channels=n, counts=counts, decoded=None, path=None)


def models_of(session: Path, kind: str, folder: Path) -> list[Path]:
    """Two models that differ only slightly, so that they have different model ids."""
    settings = FitSettings(training=replace(ONE_DAY_TRAINING, steps=25))
    artifact = fit_sessions([session], kind, 0.02, settings=settings).artifact
    paths = []
    for i in range(2):
        name = next(each for each in artifact.run if each.split(".")[-2:] in (["head", "bias"], ["bias"]))
        run = {key: tensor.copy() for key, tensor in artifact.run.items()}
        run[name] = run[name] + np.asarray(0.001 * i, run[name].dtype)
        paths.append(folder / f"{kind}{i}.safetensors")
        write_artifact(paths[-1], replace(artifact, run=run))
    return paths


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("session", type=Path)
    parser.add_argument("--swaps", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--channels", type=int, default=64)
    parser.add_argument("--kind", default="alignnet")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        session = folder / "session.h5"
        write_session(session, first_channels(read_session(given.session), given.channels))
        paths = models_of(session, given.kind, folder)
        ids = [read_artifact(path).model_id for path in paths]
        with LoopbackRig(folder) as rig:
            measure(rig, session, paths, ids, given.swaps, given.seconds)


def measure(
    rig: LoopbackRig, session: Path, paths: list[Path], ids: list[str], n_swaps: int, seconds: float
) -> None:
    cursor, control = free_endpoint(), free_endpoint()
    rig.start("serve", ["serve", "--stream", "M1", "--model", str(paths[0]), "--bind", cursor,
                        "--control", control, "--record", str(rig.folder / "live.h5")])  # fmt: skip
    rig.await_line("serve", "ready for stream", 60.0)
    rig.start("replay", ["replay", str(session), "--stream", "M1", "--loop"])
    rows: list[tuple[int, float, int, str]] = []
    stop = threading.Event()

    def listen() -> None:
        with CursorClient(cursor) as client:
            while not stop.is_set():
                message = client.receive(timeout_s=1.0)
                if message is not None:
                    rows.append((message.bin, message.t_pub - message.t_bin, message.flags, message.model))

    listener = threading.Thread(target=listen)
    listener.start()
    client = ControlClient(control)
    while len(rows) < 250:
        time.sleep(0.1)
    at: list[int] = []
    took_s: list[float] = []
    blocks: list[tuple[int, int, bool]] = []
    every_s = seconds / n_swaps
    while len(at) < n_swaps:
        for swapping in (False, True):
            begin, end_s = rows[-1][0], time.monotonic() + BLOCK_S
            while time.monotonic() < end_s:
                if swapping:
                    asked_s = time.monotonic()
                    at.append(client.swap(paths[(len(at) + 1) % 2]))
                    took_s.append(time.monotonic() - asked_s)
                    time.sleep(max(0.0, asked_s + every_s - time.monotonic()))
                else:
                    time.sleep(0.1)
            blocks.append((begin, rows[-1][0], swapping))
    stop.set()
    listener.join()
    rig.end("replay", must_succeed=False)
    rig.end("serve")
    bins = np.array([row[0] for row in rows])
    late_ms = 1e3 * np.array([row[1] for row in rows])
    assert (np.diff(bins) == 1).all(), "a bin is missing or came twice"
    assert [row[0] for row in rows if row[2] & 8] == [b for b in at if b >= bins[0]]
    swapping_s = sum(swapping for _, _, swapping in blocks) * BLOCK_S
    print(f"{len(at)} swaps in {swapping_s:.0f} s; {len(bins)} bins, each once and in order")
    print(f"a swap took {1e3 * np.median(took_s):.0f} ms, at most {1e3 * max(took_s):.0f}")
    print(f"flags other than SWAPPED: {sum(bool(row[2] & ~8) for row in rows)}")
    print(f"{'published after the end of the bin, ms':42}" + "".join(f"{f'p{p:g}':>8}" for p in PERCENTILES))
    inside = {kind: np.zeros(len(bins), bool) for kind in (False, True)}
    for begin, end, swapping in blocks:
        inside[swapping] |= (bins > begin) & (bins <= end)
    around = np.isin(bins, np.array(at)[:, np.newaxis] - np.arange(3))
    for what, which in (("without swaps", inside[False]), ("with swaps", inside[True]),
                        ("  at a swap or up to two bins before", around)):  # fmt: skip
        print(f"{f'{what} ({which.sum()} bins)':42}"
              + "".join(f"{v:8.2f}" for v in np.percentile(late_ms[which], PERCENTILES)))  # fmt: skip


if __name__ == "__main__":
    main()
