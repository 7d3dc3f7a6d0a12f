"""Time and memory of reading the spikes of an NWB file that is larger than the memory allowed for it.

    python tests/benchmark/files/bench_nwb.py [--units 192] [--rate 50] [--seconds 3600]

A file of sorted units with a waveform of 48 samples for each spike is written once; a process of its own then
lists it and reads all spikes, and the most memory that it held is printed.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import h5py
import numpy as np

READ = """
import sys, time
from pathlib import Path
import numpy as np
from rtdecode.tools.files.nwb.open import open_nwb

def held():
    return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) / 1024

before, start = held(), time.perf_counter()
spikes = open_nwb(Path(sys.argv[1])).spikes[0]
listed, seconds = held(), time.perf_counter() - start
n = len(spikes.units.ids)
if sys.argv[2] == "one":
    count = sum(len(spikes.read(np.array([row]))[0]) for row in range(n))
else:
    count = len(spikes.read(np.arange(n))[0])
took = time.perf_counter() - start - seconds
print(f"{sys.argv[2]:>4} at a time: {count:,} spikes, listed in {seconds:.2f} s, read in {took:.2f} s; "
      f"most memory {before:.0f} MB before, {listed:.0f} MB listed, {held():.0f} MB read")
"""


def write(path: Path, n_units: int, per_unit: int, seconds: float) -> None:
    """The file, in the layout that pynwb writes."""
    rng, total = np.random.default_rng(0), n_units * per_unit
    with h5py.File(path, "w") as file:
        file.attrs["nwb_version"] = "2.8.0"
        units = file.create_group("units")
        units.attrs["colnames"] = ["spike_times", "waveforms"]
        units["id"] = np.arange(n_units)
        units["spike_times_index"] = np.arange(1, n_units + 1) * per_unit
        times = units.create_dataset("spike_times", total, "f8")
        waveforms = units.create_dataset("waveforms", (total, 48), "i2")
        units["waveforms_index"] = np.arange(1, total + 1)
        units["waveforms_index_index"] = np.arange(1, n_units + 1) * per_unit
        for row in range(n_units):
            piece = np.s_[row * per_unit : (row + 1) * per_unit]
            times[piece] = np.sort(rng.uniform(0, seconds, per_unit))
            waveforms[piece] = rng.integers(-500, 500, (per_unit, 48), dtype=np.int16)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--units", type=int, default=192)
    parser.add_argument("--rate", type=float, default=50)
    parser.add_argument("--seconds", type=float, default=3600)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "hour.nwb"
        write(path, given.units, int(given.rate * given.seconds), given.seconds)
        print(f"{path.stat().st_size / 1e9:.2f} GB")
        for how in ("one", "all"):
            subprocess.run([sys.executable, "-c", READ, str(path), how], check=True)


if __name__ == "__main__":
    main()
