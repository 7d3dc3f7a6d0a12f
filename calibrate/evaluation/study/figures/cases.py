"""Which held-out stretches the study's figures show: drawn at random, with a fixed seed."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rtdecode.calibrate.evaluation.study.rows import Row, forms_of, names_of, pick, session_of
from rtdecode.errors import RtdecodeError

#: Of the draws; figures made anew from the same results show the same cases.
SEED = 20

#: A gap: bins that lie further apart than this many bin widths.
GAP_BINS = 1.5


@dataclass(frozen=True, eq=False)
class Trace:
    """The first held-out bins of a job.

    Attributes:
        t_s: f8[T], seconds since the session's start, rising; gaps are possible.
        values: f4[T, D], decoded behaviour in its units, or simulated spikes per bin.
        targets: f4[T, D], recorded.
    """

    t_s: NDArray[np.float64]
    values: NDArray[np.float32]
    targets: NDArray[np.float32]

    def cut(self, t_s: NDArray[np.float64], bin_width_s: float) -> Trace:
        """The bins whose times are among t_s, to within half a bin."""
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
    """A stretch of a trace.

    Attributes:
        row: the job.
        trace: of the stretch only.
    """

    row: Row
    trace: Trace


def read_trace(folder: Path, row: Row) -> Trace | None:
    """A job's trace; None if it has none, or if its file is not there.

    Raises:
        RtdecodeError: the file is no trace.
    """
    if row["trace"] is None or not (path := folder / row["trace"]).is_file():
        return None
    try:
        with np.load(path, allow_pickle=False) as arrays:
            trace = Trace(arrays["t_s"], arrays["values"], arrays["targets"])
    except (OSError, KeyError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise _broken(path, f"cannot be read as a trace ({error})") from error
    shape = (len(trace.t_s), len(row["outputs"]))
    if trace.t_s.ndim != 1 or trace.values.shape != shape or trace.targets.shape != shape:
        raise _broken(
            path,
            f"has values of shape {list(trace.values.shape)} and targets of shape "
            f"{list(trace.targets.shape)}, not {list(shape)}",
        )
    return trace


def shown_rows(rows: Sequence[Row], folder: Path) -> list[Row]:
    """Jobs that the figures are of: of those with a trace, the first kind and form in order of preference.

    AlignNet comes first, and trained as the protocol says; the causal form before the offline ones. Of a
    single day those of the chronological split come first, as a random one has gaps.
    """
    there = [row for row in rows if row["trace"] is not None and (folder / row["trace"]).is_file()]
    trained = [row for row in there if row["base"] is None]
    pretrained = [row for row in there if row["base"] is not None]
    for name in [*reversed(names_of(trained)), *reversed(names_of(pretrained))]:
        for form in forms_of(pick(there, name=name)):
            for split in ("chronological", "random"):
                if chosen := pick(there, name=name, form=form, split=split):
                    return chosen
    return []


def draw_cases(rows: Sequence[Row], folder: Path, n_cases: int, n_bins: int, seed: int = SEED) -> list[Case]:
    """Stretches without a gap, of different sessions as long as there are any, drawn at random.

    Args:
        rows: jobs to draw from.
        folder: that their traces' paths start from.
        n_cases: how many; fewer if there are not as many traces.
        n_bins: of a stretch, at most; shorter where no longer one is without a gap.
        seed: of the draws, which depend on nothing else but the rows.

    Raises:
        RtdecodeError: a file is no trace.
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
            rows_shown = _stretch(trace.t_s, row["bin_width_s"], n_bins, random)
            cases.append(
                Case(row, Trace(trace.t_s[rows_shown], trace.values[rows_shown], trace.targets[rows_shown]))
            )
    return cases


def companion(case: Case, rows: Sequence[Row], folder: Path, form: str) -> Case | None:
    """The same stretch by another form of the same kind, trained and held out alike; None if there is none.

    Raises:
        RtdecodeError: a file is no trace.
    """
    for row in pick(rows, form=form):
        if _task(row) == _task(case.row):
            trace = read_trace(folder, row)
            if trace is not None:
                cut = trace.cut(case.trace.t_s, row["bin_width_s"])
                return Case(row, cut) if len(cut.t_s) >= 2 else None
    return None


def _task(row: Row) -> tuple[object, ...]:
    """What a job was to do, whatever its form."""
    return (
        row["kind"], row["base"], row["protocol"], row["split"], row["train"], row["test"], row["seed"],
        row["direction"], row["outputs"],
    )  # fmt: skip


def _stretch(t_s: NDArray[np.float64], bin_width_s: float, n_bins: int, random: np.random.Generator) -> slice:
    """At most n_bins rows of the runs without a gap: any start is as likely as any other."""
    edges = np.flatnonzero(np.diff(t_s) > GAP_BINS * bin_width_s) + 1
    starts, ends = np.r_[0, edges], np.r_[edges, len(t_s)]
    length = min(n_bins, int((ends - starts).max()))
    room = np.maximum(ends - starts - length + 1, 0)
    pick_at = int(random.integers(room.sum()))
    run = int(np.searchsorted(np.cumsum(room), pick_at, side="right"))
    first = int(starts[run] + pick_at - np.r_[0, np.cumsum(room)][run])
    return slice(first, first + length)


def _broken(path: Path, what: str) -> RtdecodeError:
    return RtdecodeError(what, where=str(path), fix="delete it: the figures are then drawn without it")
