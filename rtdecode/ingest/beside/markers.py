"""A marker stream, read beside the spikes: when what happened in the task."""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pylsl

from rtdecode.ingest.beside.fates import Fates
from rtdecode.ingest.beside.reader import BesideReader, Patience
from rtdecode.ingest.clock.judge import ClockJudge
from rtdecode.ingest.clock.settings import JudgeSettings
from rtdecode.ingest.connection.choice import marker_stream
from rtdecode.ingest.connection.connector import LslConnector
from rtdecode.ingest.connection.inlet import MAX_PULL, Inlet
from rtdecode.ingest.signals.layouts import StreamDescription
from rtdecode.kernels.arrays import F8
from rtdecode.session.layout import Markers
from rtdecode.session.raw import as_text

#: A task may push a marker this long after what it marks; older stamps are those of another clock.
SETTINGS = JudgeSettings(max_age_s=1.0)

#: A marker with an impossible stamp waits so long for its clock to be known: at some markers a second no two
#: of them are to be lost to a clock that is merely another.
HOLD_S = 60.0

#: Silence is no fault of a task; each marker that is left out is.
PATIENCE = Patience(silent_s=30.0, report_silent_s=math.inf, n_left_out=0, left_out=0.0)


class _Held(NamedTuple):
    stamp_s: float
    arrived_s: float
    text: str

    def at(self, stamp_s: float) -> bool:
        """Whether it can have been stamped then."""
        return self.arrived_s - SETTINGS.max_age_s <= stamp_s <= self.arrived_s + SETTINGS.ahead_s


class MarkerSamples:
    """Markers of one connection; no input or output.

    What arrives while the clock is in doubt, or with an impossible stamp, is held. Once the clock has been
    shifted onto ours it is kept where the shift, or its own stamp, makes it possible; else it is left out.

    Args:
        stream: its description.
        opened_s: when its inlet was opened, on our clock.
        last_s: time of the last marker kept before.

    Attributes:
        judge: of the stamps.
        last_s: time of the last marker kept.
    """

    def __init__(self, stream: StreamDescription, opened_s: float, last_s: float = -math.inf) -> None:
        self.judge = ClockJudge(SETTINGS, opened_s, MAX_PULL)
        self.last_s = last_s
        self._received = self._kept = 0
        self._left_out: Counter[str] = Counter()
        self._held: deque[_Held] = deque()

    @property
    def fates(self) -> Fates:
        """What has become of the markers so far."""
        return Fates(self._received, self._kept, waiting=len(self._held), **self._left_out)

    def problems(self) -> list[str]:
        """Nothing is wrong with a marker that is kept."""
        return []

    def pulled(
        self, time: F8, values: npt.NDArray[Any], n: int, now: float, *, emptied: bool, attentive: bool
    ) -> Markers | None:
        """Judge the `n` >= 1 markers of a pull; arguments as of `ClockJudge.learn`."""
        verdict = self.judge.step(time, n, now, emptied=emptied)
        self.judge.learn(time, n, now, emptied=emptied, attentive=attentive)
        self._received += n
        kept: list[tuple[float, str]] = []
        if verdict.jump_s:
            kept += self._release(len(self._held), verdict.jump_s)
        trusted = self.judge.possible[:n] if verdict.trusted else np.zeros(n)
        for stamp_s, value, usable in zip(time[:n].tolist(), values[:n, 0].tolist(), trusted, strict=True):
            if usable:
                kept.append((stamp_s, as_text(value)))
            else:
                self._held.append(_Held(stamp_s, now, as_text(value)))
        kept += self._release(sum(held.arrived_s < now - HOLD_S for held in self._held), 0.0)
        return self._markers(kept)

    def finish(self) -> Markers | None:
        """The markers that wait for a clock and are possible as they are."""
        return self._markers(self._release(len(self._held), 0.0))

    def _release(self, n: int, shift_s: float) -> list[tuple[float, str]]:
        """Decide on the `n` markers that are held the longest."""
        kept = []
        for held in [self._held.popleft() for _ in range(n)]:
            stamps_s = [stamp_s for stamp_s in (held.stamp_s + shift_s, held.stamp_s) if held.at(stamp_s)]
            if stamps_s:
                kept.append((stamps_s[0], held.text))
            elif not math.isfinite(held.stamp_s):
                self._left_out["not_finite"] += 1
            else:
                self._left_out["ahead" if held.stamp_s > held.arrived_s else "behind"] += 1
        return kept

    def _markers(self, kept: list[tuple[float, str]]) -> Markers | None:
        if not kept:
            return None
        self._kept += len(kept)
        self.last_s = kept[-1][0]
        return Markers(np.array([stamp_s for stamp_s, _ in kept]), tuple(text for _, text in kept))


def _accept_any(inlet: Inlet, layout: None) -> None:
    """All that `marker_stream` needs is in the description."""


class MarkerReader(BesideReader[Markers]):
    """Reads a marker stream.

    Args:
        name: of the stream.
        source_id: `--markers-source-id`, the only source of that name that is read, None for any single one.
        clock: the LSL clock, seconds.
    """

    def __init__(
        self, name: str, source_id: str | None = None, clock: Callable[[], float] = pylsl.local_clock
    ) -> None:
        connector = LslConnector(name, marker_stream, _accept_any, source_id, "--markers-source-id")
        super().__init__("markers", connector, MarkerSamples, PATIENCE, clock)
