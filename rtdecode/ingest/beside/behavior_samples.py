"""Times and values of behaviour samples, judged before they are recorded; no input or output.

    samples = BehaviorSamples(stream, opened_s=now)
    block = samples.pulled(inlet.time, inlet.samples, n, now, emptied=True, attentive=True)

The fate of each sample is one of: kept, or left out by reason.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from rtdecode.ingest.beside.fates import Fates
from rtdecode.ingest.clock.judge import ClockJudge
from rtdecode.ingest.clock.settings import JudgeSettings
from rtdecode.ingest.connection.inlet import MAX_PULL
from rtdecode.ingest.signals.layouts import StreamDescription
from rtdecode.kernels import sequence
from rtdecode.kernels.arrays import F8, I8, U1

#: A tracker may deliver a sample this long after it was taken; older stamps are those of another clock.
MAX_AGE_S = 1.0

#: A column without a value for so many samples is reported, as are so many left out.
REPORT_NAN = 50


def column_names(stream: StreamDescription) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Names and units of the columns of a behaviour stream; b0, b1 … if it has no labels."""
    labelled = len(stream.labels) == stream.n_columns and len(set(stream.labels)) == stream.n_columns
    names = stream.labels if labelled and all(stream.labels) else None
    units = stream.units if len(stream.units) == stream.n_columns else None
    return (
        names or tuple(f"b{i}" for i in range(stream.n_columns)),
        units or ("",) * stream.n_columns,
    )


class Block(NamedTuple):
    """Samples that are kept.

    Attributes:
        time: f8[n], s on our clock, increasing, later than those of every block before.
        values: f4[n, d]; NaN where a column has no value.
    """

    time: F8
    values: npt.NDArray[np.float32]


class BehaviorSamples:
    """Samples of one attached behaviour stream.

    The times of a regular stream are those of its own period, estimated from the stamps. Samples of an
    irregular one that share a stamp, as those pushed in chunks do, are spread evenly from the stamp before.

    Args:
        stream: its description.
        opened_s: when its inlet was opened, on our clock.
        last_s: time of the last sample recorded before, of an earlier connection.

    Attributes:
        judge: of the stamps.
        last_s: time of the last sample kept.
        nan: i8[d], number of kept samples without a value, per column.
        kept: number of samples kept.
    """

    def __init__(self, stream: StreamDescription, opened_s: float, last_s: float = -np.inf) -> None:
        self.judge = ClockJudge(JudgeSettings(max_age_s=MAX_AGE_S), opened_s, MAX_PULL)
        self.last_s = last_s
        self._names, _ = column_names(stream)
        self.nan = np.zeros(stream.n_columns, np.int64)
        self.kept = self._received = self._judging = self._disordered = self._empty = 0
        self._chunks = False
        self._period_s = 1.0 / stream.rate_hz if stream.rate_hz else 0.0
        self._timing: F8 = np.zeros(4)
        self._state: I8 = np.array([-1, 0, 0, 0, 0], np.int64)
        self._held = Block(np.zeros(0), np.zeros((0, stream.n_columns), np.float32))

    def pulled(
        self, time: F8, values: npt.NDArray[np.generic], n: int, now: float, *, emptied: bool, attentive: bool
    ) -> Block | None:
        """Judge and keep the `n` >= 1 samples of a pull; arguments as of `ClockJudge.learn`."""
        verdict = self.judge.step(time, n, now, emptied=emptied)
        self._received += n
        possible = self.judge.possible[:n]
        if self.judge.learn(time, n, now, emptied=emptied, attentive=attentive) or verdict.jump_s:
            self._state[:] = -1, 0, 0, 0, 0
        if not verdict.trusted:
            self._judging += int(np.count_nonzero(possible))
            return None
        stamps = self._followed(time[:n], possible) if self._period_s else time[:n]
        usable = possible != 0
        return self._spread(Block(stamps[usable], values[:n][usable].astype(np.float32)))

    def finish(self) -> Block | None:
        """The samples that wait for a later stamp."""
        return self._keep(self._take_held(self._held.time.size))

    @property
    def true_period_s(self) -> float:
        """Period of a regular stream by its stamps, s; nominal before the first sample, 0 without one."""
        return float(self._timing[sequence.PERIOD]) or self._period_s

    @property
    def fates(self) -> Fates:
        """What has become of the samples so far."""
        ahead, behind, not_finite = self.judge.impossible.tolist()
        return Fates(
            self._received,
            self.kept,
            self._judging,
            ahead,
            behind,
            not_finite,
            self._disordered,
            self._empty,
            self._held.time.size,
        )

    def problems(self) -> list[str]:
        """Columns that are often NaN, a sentence each."""
        return [
            f"column {name} is NaN in {100 * n_nan / self.kept:.0f} % of samples"
            for name, n_nan in zip(self._names, self.nan.tolist(), strict=True)
            if n_nan > REPORT_NAN and n_nan > 0.05 * self.kept
        ]

    def _followed(self, time: F8, possible: U1) -> F8:
        """Times of the samples of a regular stream; those that are out of order keep their stamps."""
        followed = time.copy()
        for i in np.flatnonzero(possible):
            if not self._state[sequence.STARTED]:
                sequence.start_timing(time[i], 0, self._period_s, self._timing, self._state)
            number, _ = sequence.place_sample(time[i], 1, self._timing, self._state)
            if number == self._state[sequence.LAST]:
                followed[i] = self._timing[sequence.END]
        return followed

    def _spread(self, fresh: Block) -> Block | None:
        """Keep samples but those of the last stamp, if it is shared: more of them may follow."""
        self._held = Block(
            np.concatenate((self._held.time, fresh.time)), np.concatenate((self._held.values, fresh.values))
        )
        if not self._held.time.size:
            return None
        shared = self._held.time == self._held.time[-1]
        waiting = shared.size if shared.all() else int(np.argmin(shared[::-1]))
        # A stream that was once pushed in chunks always is, and a chunk may arrive in two pulls.
        self._chunks |= waiting > 1 and not self._period_s
        if not self._chunks:
            waiting = 0
        return self._keep(self._take_held(self._held.time.size - waiting))

    def _take_held(self, n: int) -> Block:
        taken = Block(self._held.time[:n], self._held.values[:n])
        self._held = Block(self._held.time[n:], self._held.values[n:])
        return taken

    def _keep(self, block: Block) -> Block | None:
        time = block.time.copy()
        edges = np.flatnonzero(np.diff(time, prepend=np.nan, append=np.nan))
        for start, stop in pairwise(edges):
            before = time[start - 1] if start else self.last_s
            if stop - start > 1 and np.isfinite(before) and before < time[start]:
                steps = np.arange(1, stop - start + 1) / (stop - start)
                time[start:stop] = before + (time[start] - before) * steps
        latest = np.maximum.accumulate(np.concatenate(([self.last_s], time)))[:-1]
        later = time > latest
        self._disordered += int(np.count_nonzero(~later))
        if not later.any():
            return None
        self.last_s = float(time[later][-1])
        finite = np.isfinite(block.values)
        kept = later & finite.any(axis=1)
        self._empty += int(np.count_nonzero(later & ~kept))
        values = np.where(finite, block.values, np.float32(np.nan))[kept]
        self.kept += len(values)
        self.nan += np.isnan(values).sum(axis=0)
        return Block(time[kept], values) if len(values) else None
