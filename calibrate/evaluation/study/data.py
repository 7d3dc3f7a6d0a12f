"""The bins of a job of the study: which are learnt from, which are scored, and how they are scaled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rtdecode.artifact import Output, count_max_at
from rtdecode.calibrate.data.sessions import LabelledSession, describe_outputs, distinct_names, read_all
from rtdecode.calibrate.data.splits import LAST_FIFTH, chronological_split
from rtdecode.calibrate.evaluation.study.plan import RANDOM, Job
from rtdecode.calibrate.evaluation.study.rows import CROSS_DAY
from rtdecode.errors import RtdecodeError
from rtdecode.models.alive import alive_channels, check_some_alive

#: Length of the pieces that a random split hands out, the paper's trials.
PIECE_S = 2.0


@dataclass(frozen=True, eq=False)
class StudyDay:
    """One session of a job.

    Attributes:
        name: no two of a job are the same.
        recorded: as it was read.
        counts: u1[T, C], clipped to `count_max`.
        learnt: bool[T], bins whose behaviour and spikes are learnt from.
        seen: bool[T], bins whose spikes give the channels' mean and SD.
        mean, sd: f8[C], spikes per bin; good: bool[C], channels that fire.
    """

    name: str
    recorded: LabelledSession
    counts: NDArray[np.uint8]
    learnt: NDArray[np.bool_]
    seen: NDArray[np.bool_]
    mean: NDArray[np.float64]
    sd: NDArray[np.float64]
    good: NDArray[np.bool_]

    @property
    def z_counts(self) -> NDArray[np.float64]:
        """f8[T, C], z-scored; 0 for channels that do not fire."""
        scaled = (self.counts - self.mean) / np.where(self.good, self.sd, 1.0)
        return np.asarray(np.where(self.good, scaled, 0.0))


@dataclass(frozen=True, eq=False)
class StudySet:
    """All of a job.

    Attributes:
        days: the one that is scored last; on a single day there is no other.
        held_out: bool[T] of the last day, the bins that are scored.
        outputs: of behaviour, with mean and SD over what is learnt from.
        bin_width_s: seconds.
        count_max: larger counts are clipped to it.
    """

    days: Sequence[StudyDay]
    held_out: NDArray[np.bool_]
    outputs: tuple[Output, ...]
    bin_width_s: float
    count_max: int

    @property
    def test(self) -> StudyDay:
        """The day that is scored."""
        return self.days[-1]

    def z_behavior(self, day: StudyDay) -> NDArray[np.float32]:
        """f4[T, D], z-scored; 0 where unknown."""
        mean, sd = (np.array([getattr(output, part) for output in self.outputs]) for part in ("mean", "sd"))
        known = day.recorded.labelled_bins[:, np.newaxis]
        return np.where(known, (day.recorded.targets - mean) / sd, 0.0).astype(np.float32)


def study_set(job: Job, described: Sequence[Output] | None = None) -> StudySet:
    """Read a job's sessions and split them.

    The last fifth of the test day is scored, across days and on a single day in order of time. A random split
    deals a fifth of the day's 2-s pieces out instead, so that what is scored lies between what was learnt.
    Channels are scaled by the spikes of each day that come before what is scored: no behaviour is needed.

    Args:
        job: whose sessions, split and seed.
        described: outputs of a pretrained model, by which behaviour is scaled; None to scale by what is
            learnt from.

    Raises:
        RtdecodeError: a session cannot be read, does not fit the others, or nothing in it is known.
    """
    single = job.protocol != CROSS_DAY
    paths = [job.test] if single else [*job.train, job.test]
    read = read_all(paths, job.bin_width_s, job.outputs, seed=0)
    test = read[-1]
    before, held_out = chronological_split(test.labelled_bins, LAST_FIFTH)
    if job.split == RANDOM:
        held_out = random_pieces(test.labelled_bins, LAST_FIFTH, job.bin_width_s, job.seed)
        before = test.labelled_bins & ~held_out
    learnt = [before] if single else [*(day.labelled_bins for day in read[:-1]), np.zeros_like(before)]
    seen = [before] if single else [*(np.ones_like(day.labelled_bins) for day in read[:-1]), before]
    if not before.any() or not held_out.any():
        raise RtdecodeError(
            "has too little behaviour to hold a fifth of it out", where=str(test.path), fix="leave it out"
        )
    days = [
        _day(name, recorded, bins, spikes)
        for name, recorded, bins, spikes in zip(distinct_names(read), read, learnt, seen, strict=True)
    ]
    outputs = tuple(described) if described is not None else describe_outputs(read, learnt)
    return StudySet(days, held_out, outputs, job.bin_width_s, count_max_at(job.bin_width_s))


def random_pieces(known: NDArray[np.bool_], part: float, bin_width_s: float, seed: int) -> NDArray[np.bool_]:
    """Hold out a part of a day's 2-s pieces, drawn at random: bool[T].

    Args:
        known: bool[T], bins with behaviour; the others are in no piece.
        part: of the pieces.
        bin_width_s: seconds.
        seed: of the draw.
    """
    rows = np.flatnonzero(known)
    pieces = np.array_split(rows, max(2, round(len(rows) * bin_width_s / PIECE_S)))
    drawn = np.random.default_rng([seed, len(rows)]).permutation(len(pieces))
    held_out = np.zeros_like(known)
    for piece in drawn[: max(1, round(part * len(pieces)))]:
        held_out[pieces[piece]] = True
    return held_out


def _day(
    name: str, recorded: LabelledSession, learnt: NDArray[np.bool_], seen: NDArray[np.bool_]
) -> StudyDay:
    bin_width_s = recorded.binned.bin_width_s
    counts = np.minimum(recorded.binned.counts, np.uint8(count_max_at(bin_width_s)))
    mean, sd = (getattr(counts[seen], what)(axis=0, dtype=np.float64) for what in ("mean", "std"))
    good = alive_channels(counts[seen], bin_width_s)
    check_some_alive(good, str(recorded.path))
    return StudyDay(name, recorded, counts, learnt, seen, mean, sd, good)
