"""A recorder of an LSL stream that uses nothing of rtdecode: pylsl alone, as a lab script would.

python -m rtdecode.testing.lsl_recorder NAME OUT.npz    # until its standard input ends
"""

from __future__ import annotations

import select
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pylsl

FIND_S = 60.0
OPEN_S = 10.0


def record(name: str, path: Path) -> None:
    """Record the stream `name` until standard input ends; prints "open" to standard error once connected.

    Writes to `path`, an .npz file: samples f8[T, C], stamps f8[T] in seconds of this machine's LSL clock as
    received, labels and units of the channels, nominal rate in Hz and content type.

    Raises:
        SystemExit: there is no such stream within 60 s.
    """
    found = pylsl.resolve_byprop("name", name, timeout=FIND_S)
    if not found:
        sys.exit(f"there is no stream {name!r} within {FIND_S:g} s. Fix: start its outlet first")
    inlet = pylsl.StreamInlet(found[0])
    info = inlet.info(OPEN_S)
    labels, units = [], []
    channel = info.desc().child("channels").child("channel")
    while not channel.empty():
        labels.append(channel.child_value("label"))
        units.append(channel.child_value("unit"))
        channel = channel.next_sibling("channel")
    inlet.open_stream(OPEN_S)
    sys.stderr.write("open\n")
    sys.stderr.flush()
    samples: list[Any] = []
    stamps: list[float] = []
    ended = False
    # Once more after the end, for the samples that have arrived by then.
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


def main() -> None:
    """Record the stream and to the file that the command line names."""
    if len(sys.argv) != 3:
        sys.exit("usage: python -m rtdecode.testing.lsl_recorder NAME OUT.npz")
    record(sys.argv[1], Path(sys.argv[2]))


if __name__ == "__main__":
    main()
