"""The limit a pipeline cannot beat: a bare LSL inlet and a bare ZeroMQ hop, in the same run.

    python -m rtdecode.tools.bench.hops STREAM SECONDS tcp://127.0.0.1:5999 ARRIVALS.npy

Prints one JSON object: quantiles of arrival − stamp at a bare inlet, in ms; writes the stamp and arrival of
each event, f8[2, n], s. Every 20 ms it publishes a message of a cursor's size with the time of sending, from
which the subscriber measures the hop.
"""

from __future__ import annotations

import json
import struct
import sys
import time

import numpy as np
import pylsl
import zmq

from rtdecode.ingest.connection.inlet import LslInlet
from rtdecode.ingest.connection.lsl_config import silence_liblsl
from rtdecode.ingest.connection.streams import StreamFinder

PAYLOAD_BYTES = 160
PULL_S = 0.02


def main() -> None:
    """Receive and publish until the time is up."""
    stream, seconds, endpoint, arrivals = sys.argv[1:]
    silence_liblsl()
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    socket = context.socket(zmq.PUB)
    socket.bind(endpoint)
    finder = StreamFinder(stream)
    while not (found := finder.found()):
        time.sleep(PULL_S)
    inlet = LslInlet(found[0])
    stamps, arrived = [], []
    now = start = sent = pylsl.local_clock()
    while now - start < float(seconds):
        n = inlet.pull(PULL_S)
        now = pylsl.local_clock()
        stamps.append(inlet.time[:n].copy())
        arrived.append(np.full(n, now))
        if now - sent >= PULL_S:
            sent = now
            socket.send(b"hop" + struct.pack("d", pylsl.local_clock()) + bytes(PAYLOAD_BYTES))
    socket.close()
    context.term()
    times = np.stack((np.concatenate(stamps), np.concatenate(arrived)))
    np.save(arrivals, times)
    p50, p99, p999 = np.percentile(times[1] - times[0], [50, 99, 99.9]) * 1e3
    sys.stdout.write(json.dumps({"p50": p50, "p99": p99, "p999": p999}) + "\n")


if __name__ == "__main__":
    main()
