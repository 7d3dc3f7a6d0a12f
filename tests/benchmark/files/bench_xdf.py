"""Time and memory of reading the spikes of an XDF file with a waveform of 48 samples for each.

    python tests/benchmark/files/bench_xdf.py [--spikes 7000000] [--seconds 3600]

A stream of snippets is written once; a process of its own then opens the file and reads all spikes.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from rtdecode.ingest.signals.layouts import StreamDescription
from rtdecode.tools.files.xdf.write import WrittenStream, write_streams

READ = """
import sys, time
from pathlib import Path
import numpy as np
from rtdecode.tools.files.xdf.open import open_xdf

start = time.perf_counter()
spikes = open_xdf(Path(sys.argv[1])).spikes[0]
n = len(spikes.read(np.arange(len(spikes.units.ids)))[0])
held = int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) / 1024
print(f"{n:,} spikes in {time.perf_counter() - start:.1f} s, {held:.0f} MB at most")
"""


class Snippets:
    """Rows of channel, unit and waveform, made as they are written."""

    def __getitem__(self, part: slice) -> Any:
        rng = np.random.default_rng(part.start)
        rows = rng.integers(-500, 500, (part.stop - part.start, 50), dtype=np.int16)
        rows[:, 0], rows[:, 1] = rng.integers(0, 192, len(rows)), 0
        return rows


def main() -> None:
    """Write, read, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--spikes", type=int, default=7_000_000)
    parser.add_argument("--seconds", type=float, default=3600.0)
    args = parser.parse_args()
    n = args.spikes // 4096 * 4096
    time = np.sort(np.random.default_rng(0).uniform(0, args.seconds, n))
    stream = StreamDescription("M1", "SpikeEvents", 50, 0.0, "int16")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "snippets.xdf"
        write_streams(path, [WrittenStream(stream, time, Snippets())])  # type: ignore[arg-type]
        print(f"{path.stat().st_size / 1e6:,.0f} MB")
        subprocess.run([sys.executable, "-c", READ, str(path)], check=True)


if __name__ == "__main__":
    main()
