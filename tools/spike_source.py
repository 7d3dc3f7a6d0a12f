"""A source of Poisson spikes for benchmarks: the `events` layout with true stamps.

python -m rtdecode.tools.spike_source --stream B --channels 64 --rate 15 --push 1 --seconds 70
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import pylsl

from rtdecode.ingest.lslconfig import silence_liblsl
from rtdecode.tools.replay import OUTLET_BUFFER, label_columns


def main() -> None:
    """Push until the time is up."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stream", required=True)
    parser.add_argument("--channels", type=int, default=64)
    parser.add_argument("--rate", type=float, default=15.0, help="Hz per channel")
    parser.add_argument("--push", type=float, default=1.0, help="ms")
    parser.add_argument("--seconds", type=float, default=70.0)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    silence_liblsl()
    info = pylsl.StreamInfo(given.stream, "Spikes", 3, 0.0, "int32", f"rtdecode-source:{given.stream}")
    info.desc().append_child_value("n_channels", str(given.channels))
    label_columns(info, ("channel", "unit", "seq"), ("", "", ""))
    outlet = pylsl.StreamOutlet(info, max_buffered=OUTLET_BUFFER)
    rng = np.random.default_rng(given.seed)
    start = due = since = pylsl.local_clock()
    seq = 0
    while since - start < given.seconds:
        due = max(due + given.push / 1e3, since)
        time.sleep(max(due - pylsl.local_clock(), 0.0))
        now = pylsl.local_clock()
        n = rng.poisson(given.channels * given.rate * (now - since))
        if n:
            rows = np.zeros((n, 3), np.int32)
            rows[:, 0] = rng.integers(0, given.channels, n)
            rows[:, 2] = np.arange(seq, seq + n)
            seq += n
            outlet.push_chunk(rows, np.sort(rng.uniform(since, now, n)))
        since = now


if __name__ == "__main__":
    main()
