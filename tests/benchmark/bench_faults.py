"""Live sources that go wrong at random: stamps, clocks, silence, restarts, of four layouts and behaviour.

    PYTHONPATH=tests/support/live python tests/benchmark/bench_faults.py [--seeds N] [--faults N]

Each run plays one source into `serve --record` and into `record`, and checks that no bin is missing, that no
value is unflagged that rests on a spike of another time, and that each received sample is in the file or left
out for a reason. A run takes some ten seconds; the pure parts have the same campaign in
tests/unit/rtdecode/serve/loop/test_campaign.py.
"""

from __future__ import annotations

import argparse
import re
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pylsl
from daemon import Served, assert_once_in_order
from numpy.typing import NDArray

from rtdecode.artifact import write_artifact
from rtdecode.calibrate.fitting.fit import fit_sessions
from rtdecode.session.write import write_session
from rtdecode.tools.loopback import LoopbackRig, private_lsl_config
from rtdecode.tools.simulator.scripted import CentreOut, draw_tuning, simulate_session

N_CHANNELS = 64
LAYOUTS = {
    "events": ("Spikes", 3, 0.0, "int32"),
    "snippets": ("SpikeEvents", 6, 0.0, "int16"),
    "channel": ("Crossings", 1, 0.0, "int16"),
    "counts": ("Counts", N_CHANNELS, 50.0, "int16"),
}

#: What a bin without a flag may hold: spikes of its time, of the bin before (carried), and of a clock that is
#: followed within this.
AHEAD_S, LATE_S = 0.008, 0.046


class RandomSource:
    """Sample i is a spike on channel i % N_CHANNELS; behaviour beside it; both go wrong."""

    def __init__(self, name: str, layout: str, seed: int) -> None:
        self.name, self.layout, self.rng = name, layout, np.random.default_rng(seed)
        self.period_s = 0.02 if layout == "counts" else 0.004
        self.taken_s: list[float] = []
        self.offset_s = self.hand_offset_s = 0.0
        self.jitter_s = self.wild = self.drift = 0.0
        self.silent = False
        self.done: list[str] = []
        self._lock, self._ended = threading.Lock(), threading.Event()
        self._spikes: Any = self._outlet()
        info = pylsl.StreamInfo(f"{name}-hand", "MoCap", 2, 100.0, "float32", f"{name}-tracker")
        self._hand: Any = pylsl.StreamOutlet(info)
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _outlet(self) -> Any:
        info = pylsl.StreamInfo(self.name, *LAYOUTS[self.layout], f"{self.name}-rig")
        info.desc().append_child_value("n_channels", str(N_CHANNELS))
        return pylsl.StreamOutlet(info)

    def _row(self, i: int) -> list[int]:
        if self.layout == "counts":
            return [int(c == i % N_CHANNELS) for c in range(N_CHANNELS)]
        return [i % N_CHANNELS, 0, i % 30_000, 0, 0, 0][: LAYOUTS[self.layout][1]]

    def _run(self) -> None:
        due = hand_due = pylsl.local_clock()
        while not self._ended.wait(0.002):
            now = pylsl.local_clock()
            with self._lock:
                while due <= now:
                    i = len(self.taken_s)
                    self.taken_s.append(due)
                    self.offset_s += self.drift * self.period_s
                    stamp = due + self.offset_s + self.rng.uniform(-self.jitter_s, self.jitter_s)
                    if self._spikes is not None and not self.silent:
                        self._spikes.push_sample(self._row(i), self._maybe_wild(stamp))
                    due += self.period_s
                while hand_due <= now:
                    stamp = self._maybe_wild(hand_due + self.hand_offset_s)
                    self._hand.push_sample([hand_due % 100.0, float(self.rng.choice([1.0, np.nan]))], stamp)
                    hand_due += 0.01

    def _maybe_wild(self, stamp: float) -> float:
        if self.rng.random() >= self.wild:
            return stamp
        return float(self.rng.choice([np.nan, np.inf, -np.inf, stamp + 1e6, stamp - 1e4, stamp + 0.5]))

    def fault(self) -> None:
        """Something happens, and ends."""
        rng, kind = self.rng, int(self.rng.integers(7))
        self.done.append(["clock", "drift", "jitter", "wild", "silence", "restart", "behaviour"][kind])
        with self._lock:
            match kind:
                case 0:
                    self.offset_s += float(rng.choice([1.8e9, -1e4, 3600.0, -60.0, 2.0, -0.7, 0.05, -0.1]))
                case 1:
                    self.drift = float(rng.choice([5e-4, -5e-4]))
                case 2:
                    self.jitter_s = float(rng.choice([1e-4, 1e-3]))
                case 3:
                    self.wild = float(rng.choice([0.01, 0.1, 0.5]))
                case 4:
                    self.silent = True
                case 5:
                    self._spikes = None
                case _:
                    self.hand_offset_s += float(rng.choice([1.8e9, -60.0, 3600.0, 2.0]))
        time.sleep(float(rng.choice([0.4, 1.2])))
        with self._lock:
            self.drift = self.jitter_s = self.wild = 0.0
            self.silent = False
            if self._spikes is None:
                self.offset_s = float(rng.choice([0.0, 0.0, 7200.0, -300.0]))
                self._spikes = self._outlet()
        time.sleep(1.5)

    def end(self) -> None:
        """Stop sending."""
        self._ended.set()
        self._thread.join()


def wrongly_timed(messages: list[dict[str, Any]], path: Path, taken_s: NDArray[np.float64]) -> int:
    """Number of unflagged bins with a spike of another time."""
    wrong = 0
    with h5py.File(path) as file:
        columns = (file["decoded"][name][:] for name in ("t_bin", "flags", "counts"))
        for t_bin, flags, counts in zip(*columns, strict=True):
            around = int(np.searchsorted(taken_s, t_bin))
            near = np.arange(max(0, around - N_CHANNELS), min(len(taken_s), around + N_CHANNELS))
            for channel in np.flatnonzero(counts) if not flags else ():
                age_s = t_bin - taken_s[near[near % N_CHANNELS == channel]]
                wrong += not ((age_s > -AHEAD_S) & (age_s < LATE_S)).any()
    return wrong


def unaccounted(printed: str) -> list[str]:
    """Lines of `record` whose samples are not all written or left out for a reason."""
    bad = []
    for line in printed.splitlines():
        if line.startswith(("spikes:", "behaviour:")):
            numbers = [int(n.replace(",", "")) for n in re.findall(r"(?<!\S)[\d,]+(?= )", line)]
            if numbers[0] != sum(numbers[1:]):
                bad.append(line)
    return bad


def run(layout: str, seed: int, n_faults: int, model: Path) -> bool:
    """One source; prints what was found, and returns whether it is as it must be."""
    with tempfile.TemporaryDirectory(prefix="faults-") as folder, LoopbackRig(Path(folder), CONFIG) as rig:
        name = f"M1-{layout}-{seed}"
        source = RandomSource(name, layout, seed)
        try:
            hand = ["--behavior", f"{name}-hand"]
            live, written = rig.folder / "serve.h5", rig.folder / "record.h5"
            forced = ["--layout", layout]
            served = Served(rig, name, model, "--record", str(live), *hand, *forced)
            given = ["--stream", name, "--output", str(written), "--channels", str(N_CHANNELS)]
            rig.start("record", ["record", *given, *hand, *forced])
            rig.await_line("record", "recording", 30.0)
            served.subscriber.until(lambda m: True)
            time.sleep(1.0)
            for _ in range(n_faults):
                source.fault()
            served.subscriber.take()
            status = served.request(cmd="status")
            served.end()
            rig.end("record")
        finally:
            source.end()
        messages = served.subscriber.messages
        assert_once_in_order(messages)
        wrong = wrongly_timed(messages, live, np.array(source.taken_s))
        bad = unaccounted(rig.stderr("record"))
        good = sum(not m["flags"] for m in messages)
        fine = not wrong and not bad and good > 50
        what = f"{'ok ' if fine else 'BAD'} {layout:<9} seed {seed:<3} {'+'.join(source.done):<40}"
        found = f"{len(messages)} bins, {good} unflagged, {wrong} wrong; {status['state']}"
        print(what, f"{found}; {'; '.join(bad) or 'all accounted for'}", flush=True)
        return fine


CONFIG = private_lsl_config()


def main() -> None:
    """Run the campaign; exit status 1 if anything is not as it must be."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--faults", type=int, default=3)
    given = parser.parse_args()
    pylsl.set_config_content(CONFIG)
    with tempfile.TemporaryDirectory() as folder:
        task = CentreOut(n_channels=N_CHANNELS)
        train, model = Path(folder) / "train.h5", Path(folder) / "model.safetensors"
        write_session(train, simulate_session(task, draw_tuning(task, 0), 60.0, 1, "train"))
        write_artifact(model, fit_sessions([train], "wiener", 0.02).artifact)
        fine = [run(layout, seed, given.faults, model) for seed in range(given.seeds) for layout in LAYOUTS]
    print(f"{sum(fine)} of {len(fine)} runs are as they must be")
    raise SystemExit(not all(fine))


if __name__ == "__main__":
    main()
