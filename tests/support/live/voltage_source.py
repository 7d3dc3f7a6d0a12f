"""A process that sends raw voltage over LSL: python -m voltage_source NAME V.npy RATE_HZ CHUNK_MS SECONDS

The file is sent once, or again and again until SECONDS are over, from when somebody listens on. Sample n is
stamped begun + n/rate. Prints begun, and at the end the number of samples.
"""

from __future__ import annotations

import sys
import time

import numpy as np
import pylsl


def main(name: str, path: str, rate_hz: float, chunk_ms: float, seconds: float) -> None:
    samples = np.load(path)
    chunk = max(1, round(rate_hz * chunk_ms / 1e3))
    total = round(seconds * rate_hz) // chunk * chunk
    dtype = {"float64": "double64"}.get(str(samples.dtype), str(samples.dtype))
    outlet = pylsl.StreamOutlet(
        pylsl.StreamInfo(name, "Ephys", samples.shape[1], rate_hz, dtype, f"{name}-amplifier"), 0, 20
    )
    while not outlet.have_consumers():
        time.sleep(0.01)
    # A moment, in which what is left of the connection is set up.
    time.sleep(0.5)
    begun_s = pylsl.local_clock()
    print(repr(begun_s), flush=True)
    for n in range(chunk, total + 1, chunk):
        until_s = begun_s + n / rate_hz - pylsl.local_clock()
        if until_s > 0:
            time.sleep(until_s)
        rows = np.take(samples, np.arange(n - chunk, n), axis=0, mode="wrap")
        outlet.push_chunk(rows, begun_s + (n - 1) / rate_hz)
    print(total, flush=True)
    time.sleep(1.0)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], *map(float, sys.argv[3:]))
