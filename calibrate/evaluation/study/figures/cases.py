"""The test segments that the study's figures show: drawn at random, with a fixed seed."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rtdecode.calibrate.evaluation.study.rows import Row, causalities_of, names_of, pick, session_of
from rtdecode.errors import RtdecodeError

#: Random seed of the draws: the same results always show the same cases.
SEED = 20

#: Bins further apart than this many bin widths have a gap between them.
GAP_BINS = 1.5


@dataclass(frozen=True, eq=False)
class Trace:
    """The first test bins of a job.

    Attributes:
        t_s: f8[T], seconds since the session's start, increasing; gaps are possible.
        values: f4[T, D], decoded behaviour in its units, or simulated spikes per bin.
        targets: f4[T, D], recorded.
    """

    t_s: NDArray[np.float64]
    values: NDArray[np.float32]
    targets: NDArray[np.float32]

    def cut(self, t_s: NDArray[np.float64], bin_width_s: float) -> Trace:
        """The bins with times in t_s, to within half a bin."""
        if not len(t_s) or not len(self.t_s):
            return Trace(self.t_s[:0], self.values[:0], self.targets[:0])
        place = np.clip(np.searchsorted(t_s, self.t_s), 1, max(len(t_s) - 1, 1))
        near = np.minimum(
            np.abs(self.t_s - t_s[np.minimum(place, len(t_s) - 1)]), np.abs(self.t_s - t_s[place - 1])
        )
        rows = near < 0.5 * bin_width_s
        return Trace(self.t_s[rows], self.values[rows], self.targets[rows])


@dataclass(frozen=True, eq=False)
class Case:
    """A segment of a trace.

    Attributes:
        row: the job.
        trace: of the segment only.
    """

    row: Row
    trace: Trace


def read_trace(folder: Path, row: Row) -> Trace | None:
    """A job's trace; None if it has none, or if its file is missing.

    Raises:
        RtdecodeError: the file is not a trace.
    """
    if row["trace"] is None or not (path := folder / row["trace"]).is_file():
        return None
    try:
        with np.load(path, allow_pickle=False) as arrays:
            trace = Trace(arrays["t_s"], arrays["values"], arrays["targets"])
    except (OSError, KeyError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise _unreadable(path, f"cannot be read as a trace ({error})") from error
    shape = (len(trace.t_s), len(row["outputs"]))
    if trace.t_s.ndim != 1 or trace.values.shape != shape or trace.targets.shape != shape:
        raise _unreadable(
            path,
            f"has values of shape {list(trace.values.shape)} and targets of shape "
            f"{list(trace.targets.shape)}, not {list(shape)}",
        )
    return trace


def shown_rows(rows: Sequence[Row], folder: Path) -> list[Row]:
    """Jobs that the figures show: those with a trace of the first kind and causality in order of preference.

    AlignNet first, trained by the protocol before pretrained; causal before offline; the chronological split
    of a single day before the random one, which has gaps.
    """
    traced = [row for row in rows if row["trace"] is not None and (folder / row["trace"]).is_file()]
    trained = [row for row in traced if row["base"] is None]
    pretrained = [row for row in traced if row["base"] is not None]
    for name in [*reversed(names_of(trained)), *reversed(names_of(pretrained))]:
        for causality in causalities_of(pick(traced, name=name)):
            for split in ("chronological", "random"):
                if chosen := pick(traced, name=name, causality=causality, split=split):
                    return chosen
    return []


def draw_cases(rows: Sequence[Row], folder: Path, n_cases: int, n_bins: int, seed: int = SEED) -> list[Case]:
    """Segments without a gap, drawn at random, from different sessions while there are any.

    Args:
        rows: jobs to draw from.
        folder: that their traces' paths are relative to.
        n_cases: number of segments; fewer if there are fewer traces.
        n_bins: longest length of a segment; shorter where no segment of that length is without a gap.
        seed: random seed; the draws depend on it and the rows only.

    Raises:
        RtdecodeError: a file is not a trace.
    """
    random = np.random.default_rng(seed)
    ordered = sorted(rows, key=lambda row: (session_of(row), row["seed"], row["base"] or "", row["job"]))
    shuffled = [ordered[i] for i in random.permutation(len(ordered))]
    # One job of each session, then a second of each, and so on.
    taken: dict[str, int] = {}
    turns = []
    for row in shuffled:
        turns.append(taken.get(session_of(row), 0))
        taken[session_of(row)] = turns[-1] + 1
    cases: list[Case] = []
    for _, row in sorted(zip(turns, shuffled, strict=True), key=lambda pair: pair[0]):
        if len(cases) == n_cases:
            break
        trace = read_trace(folder, row)
        if trace is not None and len(trace.t_s) >= 2:
            segment = _segment(trace.t_s, row["bin_width_s"], n_bins, random)
            cases.append(Case(row, Trace(trace.t_s[segment], trace.values[segment], trace.targets[segment])))
    return cases


def companion(case: Case, rows: Sequence[Row], folder: Path, causality: str) -> Case | None:
    """The same segment of the same task with another causality; None if there is none.

    Raises:
        RtdecodeError: a file is not a trace.
    """
    for row in pick(rows, causality=causality):
        if _task(row) == _task(case.row):
            trace = read_trace(folder, row)
            if trace is not None:
                cut = trace.cut(case.trace.t_s, row["bin_width_s"])
                return Case(row, cut) if len(cut.t_s) >= 2 else None
    return None


def _task(row: Row) -> tuple[object, ...]:
    """Everything that defines a job except its causality."""
    return (
        row["kind"], row["base"], row["protocol"], row["split"], row["train"], row["test"], row["seed"],
        row["direction"], row["outputs"],
    )  # fmt: skip


def _segment(t_s: NDArray[np.float64], bin_width_s: float, n_bins: int, random: np.random.Generator) -> slice:
    """At most n_bins bins of a run without a gap; all starts are equally likely."""
    edges = np.flatnonzero(np.diff(t_s) > GAP_BINS * bin_width_s) + 1
    starts, ends = np.r_[0, edges], np.r_[edges, len(t_s)]
    length = min(n_bins, int((ends - starts).max()))
    room = np.maximum(ends - starts - length + 1, 0)
    pick_at = int(random.integers(room.sum()))
    run = int(np.searchsorted(np.cumsum(room), pick_at, side="right"))
    first = int(starts[run] + pick_at - np.r_[0, np.cumsum(room)][run])
    return slice(first, first + length)


def _unreadable(path: Path, what: str) -> RtdecodeError:
    return RtdecodeError(what, where=str(path), fix="delete it, and the figures are drawn without it")
