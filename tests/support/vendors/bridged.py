"""A bridge in a process of its own, what it sends, and how that compares with what was sent to it."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pylsl
from numpy.typing import NDArray

from rtdecode.tools.loopback import LoopbackRig

#: A device sends in time, which a sleep alone does not.
SPIN_S = 0.0005


def wait_until(due_s: float) -> float:
    """Wait until a time of the LSL clock, precisely; returns how long ago it was."""
    time.sleep(max(due_s - SPIN_S - pylsl.local_clock(), 0.0))
    while (late_s := pylsl.local_clock() - due_s) < 0.0:
        pass
    return late_s


@dataclass(kw_only=True)
class Faults:
    """What goes wrong: probabilities for each message, and for each block of being late by up to `late_s`."""

    drop: float = 0.0
    garble: float = 0.0
    delay: float = 0.0
    late_s: float = 0.05


@dataclass
class Sent:
    """The truth: of each spike its channel, unit, LSL time, whether it was sent whole, which start it is of.

    `sent_s` is when the emulator sent it, which is late on a machine that is busy; `late_s` has by how much
    it was late at least, for each start.
    """

    channel: list[int] = field(default_factory=list)
    unit: list[int] = field(default_factory=list)
    time: list[float] = field(default_factory=list)
    whole: list[bool] = field(default_factory=list)
    start: list[int] = field(default_factory=list)
    sent_s: list[float] = field(default_factory=list)
    late_s: list[float] = field(default_factory=list)

    def add(self, channel: int, unit: int, time: float, *, whole: bool) -> None:
        """Add a spike of the present start, which is the last that has a `late_s`."""
        self.channel.append(channel)
        self.unit.append(unit)
        self.time.append(time)
        self.whole.append(whole)
        self.start.append(len(self.late_s) - 1)

    def note_sent(self) -> None:
        """Note that all spikes so far have been sent by now."""
        self.sent_s += [pylsl.local_clock()] * (len(self.unit) - len(self.sent_s))

    def lost(self) -> int:
        """Number of losses that can be known: not before the first of all, or after the last of a start."""
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
        self.process = rig.start("bridge", ["bridge", *arguments, "--stream", stream, "--json"])
        self.arrivals: list[NDArray[np.float64]] = []
        # A resolver that has missed an answer may miss the next ones too; a new one does not.
        found = next(filter(None, (pylsl.resolve_byprop("name", stream, timeout=10) for _ in range(5))), None)
        assert found, rig.stderr("bridge")
        self.inlet = pylsl.StreamInlet(found[0], recover=False)
        self.info = self.inlet.info(10)
        self.inlet.open_stream(10)
        self._rows: list[NDArray[Any]] = []
        self._stamps: list[NDArray[np.float64]] = []

    def receive(self, seconds: float, n: int | None = None) -> None:
        """Take what comes for some time, or until there are `n` rows."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and (n is None or sum(map(len, self._stamps)) < n):
            rows, stamps = self.inlet.pull_chunk(0.02, max_samples=10_000, min_samples=1, as_numpy=True)
            if len(stamps):
                self.arrivals.append(np.full(len(stamps), pylsl.local_clock()))
                self._rows.append(rows)
                self._stamps.append(stamps)

    def end(self) -> dict[str, Any]:
        """End the bridge as Ctrl-C does; returns its last status, and the worst bound as `limit_ms`."""
        statuses = [json.loads(line) for line in self.rig.end("bridge").splitlines()]
        last: dict[str, Any] = statuses[-1]
        assert last["final"]
        # A machine that is busy with something else makes the stamps worse; the bridge says so.
        stated = [each["clock_bound_ms"] for each in statuses if not each["held"] and each["clock_bound_ms"]]
        return {**last, "limit_ms": max([1.0, *stated])}

    @property
    def rows(self) -> NDArray[np.int32]:
        """Rows [n, 3] so far: channel, unit, seq."""
        return np.concatenate([np.zeros((0, 3), np.int32), *self._rows])

    @property
    def stamps(self) -> NDArray[np.float64]:
        """Their stamps, f8[n]."""
        return np.concatenate([np.zeros(0), *self._stamps])


def errors_ms(bridged: Bridged, sent: Sent, *, numbered: bool = False) -> NDArray[np.float64]:
    """Errors of the stamps, in the order in which spikes were sent; checks that all have come, once.

    Those that were sent whole must have come, in order, or in any if their units number them.
    """
    whole, rows, stamps = np.nonzero(sent.whole)[0], bridged.rows, bridged.stamps
    if numbered:
        order = np.argsort(rows[:, 1])
        rows, stamps = rows[order], stamps[order]
    np.testing.assert_array_equal(rows[:, 1], np.array(sent.unit)[whole][: len(rows)])
    np.testing.assert_array_equal(rows[:, 0], np.array(sent.channel)[whole][: len(rows)])
    assert len(rows) == len(whole)
    late_s = np.array(sent.late_s)[np.array(sent.start)[whole]]
    return 1e3 * (stamps - np.array(sent.time)[whole] - late_s)
