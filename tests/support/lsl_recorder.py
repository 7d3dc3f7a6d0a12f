"""A recorder that knows nothing of rtdecode: pylsl alone, as any lab script would use it.

python lsl_recorder.py NAME OUT.npz, until its stdin ends
"""

from __future__ import annotations

import select
import sys

import numpy as np
import pylsl


def main() -> None:
    name, path = sys.argv[1:]
    found = pylsl.resolve_byprop("name", name, timeout=60.0)
    inlet = pylsl.StreamInlet(found[0])
    info = inlet.info(10.0)
    labels, units = [], []
    channel = info.desc().child("channels").child("channel")
    while not channel.empty():
        labels.append(channel.child_value("label"))
        units.append(channel.child_value("unit"))
        channel = channel.next_sibling("channel")
    inlet.open_stream(10.0)
    print("open", file=sys.stderr, flush=True)
    samples, stamps = [], []
    ended = False
    # Once more after the end: what has come by then.
    while not ended:
        ended = bool(select.select([sys.stdin], [], [], 0)[0])
        chunk, times = inlet.pull_chunk(0.1)
        samples += chunk
        stamps += times
    np.savez(
        path,
        samples=np.array(samples, np.float64).reshape(len(samples), info.channel_count()),
        stamps=np.array(stamps, np.float64),
        labels=labels,
        units=units,
        rate=info.nominal_srate(),
        type=info.type(),
    )


if __name__ == "__main__":
    main()
