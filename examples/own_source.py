"""A device of your own as a stream of rtdecode, without LSL in between.

Copy it, and replace what is marked HERE. It is the command line of rtdecode with one stream more: all options
of `rtdecode serve` and `rtdecode record`, rig.toml and the environment hold.

    python own_source.py record --stream M1 --output today.h5
    python own_source.py serve --stream M1 --model today.fitted.safetensors --record session.h5

It runs as it is: a device that is not there fires at random. To unplug it, `touch unplugged` in the folder
where it runs; to plug it in again, `rm unplugged`. Meanwhile the fail-safe is published, and the reason said.

What it shows of rtdecode:

- `main(sources={name: open})` calls `open()` on a thread of its own, and again after each loss.
- `pull` is called in the hot loop. It waits up to `timeout_s` for a first row, without holding the
  interpreter (`time.sleep`, a `queue` and a call by `ctypes` do not), then writes all rows that have come.
- A stamp is when it happened, in seconds of `pylsl.local_clock()`.
- `SourceLost` says that the device is gone, and why.

docs/own-source.md has the rest.
"""

from __future__ import annotations

import random
import time
from pathlib import Path
from typing import Any

from numpy.typing import NDArray
from pylsl import local_clock

from rtdecode.cli import main
from rtdecode.ingest import SourceLost, StreamDescription

N_CHANNELS = 96
RATE_HZ = 20.0 * N_CHANNELS
UNPLUGGED = Path("unplugged")


class Device:
    """HERE: your vendor's SDK. This one fires at random, and is unplugged while a file is there."""

    def __init__(self) -> None:
        self._next_s = local_clock()
        self._answer()

    def spikes(self, most: int, timeout_s: float) -> list[tuple[float, int]]:
        """Time and channel of the spikes since the last call; waits for a first one."""
        self._answer()
        time.sleep(max(0.0, min(timeout_s, self._next_s - local_clock())))
        now, found = local_clock(), []
        while self._next_s <= now and len(found) < most:
            found.append((self._next_s, random.randrange(N_CHANNELS)))
            self._next_s += random.expovariate(RATE_HZ)
        return found

    def _answer(self) -> None:
        if UNPLUGGED.exists():
            raise OSError("the device does not answer")


class DeviceSource:
    """The spikes of the device, as a `rtdecode.ingest.Source`."""

    # HERE: type, columns, rate and format say what a row means, as of a stream of LSL (docs/messages.md).
    # This is an event: channel from 0, sorted unit (0: none), running number, by which losses are noticed.
    stream = StreamDescription(
        "M1", "Spikes", 3, 0.0, "int32", source_id="device-1234", n_channels=N_CHANNELS
    )

    def __init__(self) -> None:
        # What is raised here is shown as a warning, and the source is opened again half a second later.
        self._device = Device()
        self._n_sent = 0

    def pull(self, samples: NDArray[Any], time: NDArray[Any], timeout_s: float) -> int:
        """Write what has come into the first rows of `samples` and `time`; returns how many they are."""
        try:
            spikes = self._device.spikes(len(time), timeout_s)
        except OSError as error:
            raise SourceLost(str(error)) from error
        for row, (stamp_s, channel) in enumerate(spikes):
            samples[row] = channel, 0, self._n_sent
            time[row] = stamp_s
            self._n_sent += 1
        return len(spikes)

    def close(self) -> None:
        """HERE: release the device, so that it can be opened again."""


if __name__ == "__main__":
    main(sources={"M1": DeviceSource})
