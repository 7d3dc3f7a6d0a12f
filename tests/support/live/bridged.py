"""A bridge in a process of its own, what it sends, and how that compares with what was sent to it."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pylsl
from numpy.typing import NDArray

from rtdecode.tools.loopback import LoopbackRig


@dataclass(kw_only=True)
class Faults:
    """What goes wrong: probabilities for each message, and for each block of being late by up to `late_s`."""

    drop: float = 0.0
    garble: float = 0.0
    delay: float = 0.0
    late_s: float = 0.05


@dataclass
class Sent:
    """The truth: of each spike its channel, unit, LSL time, whether it was sent whole, and which start it is of."""

    channel: list[int] = field(default_factory=list)
    unit: list[int] = field(default_factory=list)
    time: list[float] = field(default_factory=list)
    whole: list[bool] = field(default_factory=list)
    start: list[int] = field(default_factory=list)

    def lost(self) -> int:
        """Spikes whose loss can be known: not those before the first that came, and after the last of a start."""
        whole, start = np.array(self.whole), np.array(self.start)
        n = 0
        for each in range(start.max() + 1):
            (came,) = np.nonzero(whole[start == each])
            n += int((~whole[start == each][came[0] if each == 0 else 0 : came[-1]]).sum())
        return n


class Bridged:
    """Starts `rtdecode bridge ARGUMENTS --stream NAME --json` and takes what it sends; a context manager."""

    def __init__(self, rig: LoopbackRig, stream: str, *arguments: str) -> None:
        self.rig, self.stream = rig, stream
        rig.start("bridge", ["bridge", *arguments, "--stream", stream, "--json"])
        (info,) = pylsl.resolve_byprop("name", stream, timeout=30)
        self.inlet = pylsl.StreamInlet(info, recover=False)
        self.info = self.inlet.info(10)
        self.inlet.open_stream(10)
        self._rows: list[NDArray[Any]] = []
        self._stamps: list[NDArray[np.float64]] = []

    def receive(self, seconds: float) -> None:
        """Take what comes for some time."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            rows, stamps = self.inlet.pull_chunk(0.0, max_samples=10_000)
            if stamps:
                self._rows.append(np.array(rows))
                self._stamps.append(np.array(stamps))
            time.sleep(0.005)

    def end(self) -> dict[str, Any]:
        """End the bridge as Ctrl-C does; returns its last status."""
        output = self.rig.end("bridge")
        last: dict[str, Any] = json.loads(output.splitlines()[-1])
        assert last["final"]
        return last

    @property
    def rows(self) -> NDArray[np.int32]:
        """Rows [n, 3] so far: channel, unit, seq."""
        return np.concatenate([np.zeros((0, 3), np.int32), *self._rows])

    @property
    def stamps(self) -> NDArray[np.float64]:
        """Their stamps, f8[n]."""
        return np.concatenate([np.zeros(0), *self._stamps])


def errors_ms(bridged: Bridged, sent: Sent, order: Sequence[int] | None = None) -> NDArray[np.float64]:
    """Errors of the stamps, after a check that every spike that was sent whole has come, once and in order."""
    whole = np.nonzero(sent.whole)[0] if order is None else np.asarray(order)
    np.testing.assert_array_equal(bridged.rows[:, 0], np.array(sent.channel)[whole])
    np.testing.assert_array_equal(bridged.rows[:, 1], np.array(sent.unit)[whole])
    return 1e3 * (bridged.stamps - np.array(sent.time)[whole])
