"""A source of Poisson spikes for benchmarks: the `events` layout with exact timestamps.

python -m rtdecode.tools.bench.spike_source --stream B --channels 64 --rate 15 --push 1 --seconds 70
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator

import numpy as np
import pylsl

from rtdecode.ingest.connection.lsl_config import silence_liblsl
from rtdecode.ingest.signals.layouts import Layout
from rtdecode.kernels.arrays import F8
from rtdecode.tools.replay.outlets import open_event_outlet


def main() -> None:
    """Push until the time is up."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stream", required=True)
    parser.add_argument("--channels", type=int, default=64)
    parser.add_argument("--rate", type=float, default=15.0, help="Hz per channel")
    parser.add_argument("--push", type=float, default=1.0, help="ms; 0: each spike by itself")
    parser.add_argument("--seconds", type=float, default=70.0)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    silence_liblsl()
    outlet = open_event_outlet(given.stream, Layout.EVENTS, given.channels, f"rtdecode-source:{given.stream}")
    rng = np.random.default_rng(given.seed)
    rate_hz = given.channels * given.rate
    seq = 0
    for stamps in (
        pushed_together(rate_hz, given.push / 1e3, given.seconds, rng)
        if given.push
        else pushed_alone(rate_hz, given.seconds, rng)
    ):
        n = len(stamps)
        rows = np.zeros((n, 3), np.int32)
        rows[:, 0] = rng.integers(0, given.channels, n)
        rows[:, 2] = np.arange(seq, seq + n)
        seq += n
        outlet.push_chunk(rows, stamps)


def pushed_together(rate_hz: float, push_s: float, seconds: float, rng: np.random.Generator) -> Iterator[F8]:
    """Every `push_s`, yield the times of the spikes since the last push, if any: f8[n]."""
    start = due = since = pylsl.local_clock()
    while since - start < seconds:
        due = max(due + push_s, since)
        time.sleep(max(due - pylsl.local_clock(), 0.0))
        now = pylsl.local_clock()
        if n := rng.poisson(rate_hz * (now - since)):
            yield np.sort(rng.uniform(since, now, n))
        since = now


def pushed_alone(rate_hz: float, seconds: float, rng: np.random.Generator) -> Iterator[F8]:
    """Wait for each spike, then yield its time: f8[1]."""
    stamp = pylsl.local_clock()
    end = stamp + seconds
    while (stamp := stamp + rng.exponential(1.0 / rate_hz)) < end:
        time.sleep(max(stamp - pylsl.local_clock(), 0.0))
        yield np.array([stamp])


if __name__ == "__main__":
    main()
