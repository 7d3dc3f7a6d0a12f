"""The training and test bins of a job of the study, and their z-scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rtdecode.artifact import Output, count_max_at
from rtdecode.calibrate.data.sessions import LabelledSession, describe_outputs, distinct_names, read_all
from rtdecode.calibrate.data.splits import LAST_FIFTH, chronological_split, is_complete, is_labelled
from rtdecode.calibrate.evaluation.study.plan import RANDOM, Job
from rtdecode.calibrate.evaluation.study.rows import CROSS_DAY, DECODING
from rtdecode.calibrate.training.build import z_scored
from rtdecode.errors import RtdecodeError
from rtdecode.models.alive import alive_channels, check_some_alive

#: Length of the pieces of a random split, s: that of the paper's trials.
PIECE_S = 2.0


@dataclass(frozen=True, eq=False)
class StudyDay:
    """One session of a job.

    Attributes:
        name: unique within a job.
        recorded: the session.
        counts: u1[T, C], clipped to `count_max`.
        train_bins: bool[T], bins whose behaviour and spikes are trained on.
        norm_bins: bool[T], bins whose spikes give the channels' mean and SD.
        mean, sd: f8[C], spikes per bin; good: bool[C], channels that fire.
    """

    name: str
    recorded: LabelledSession
    counts: NDArray[np.uint8]
    train_bins: NDArray[np.bool_]
    norm_bins: NDArray[np.bool_]
    mean: NDArray[np.float64]
    sd: NDArray[np.float64]
    good: NDArray[np.bool_]

    @property
    def starts(self) -> NDArray[np.int64]:
        """i8[S], first bin of each stretch between gaps, 0 first."""
        return self.recorded.binned.starts

    @property
    def z_counts(self) -> NDArray[np.float64]:
        """f8[T, C], z-scored; 0 for channels that do not fire."""
        scaled = (self.counts - self.mean) / np.where(self.good, self.sd, 1.0)
        return np.asarray(np.where(self.good, scaled, 0.0))


@dataclass(frozen=True, eq=False)
class StudySet:
    """The data of a job.

    Attributes:
        days: the test day last; the only one on a single day.
        test_bins: bool[T] of the test day, the bins that are scored.
        outputs: of behaviour, with mean and SD over the training bins.
        bin_width_s: seconds.
        count_max: larger counts are clipped to it.
    """

    days: Sequence[StudyDay]
    test_bins: NDArray[np.bool_]
    outputs: tuple[Output, ...]
    bin_width_s: float
    count_max: int

    @property
    def test(self) -> StudyDay:
        """The test day."""
        return self.days[-1]

    def z_behavior(self, day: StudyDay) -> NDArray[np.float32]:
        """f4[T, D], z-scored; 0 where unknown."""
        return np.nan_to_num(self.z_labels(day))

    def z_labels(self, day: StudyDay) -> NDArray[np.float32]:
        """f4[T, D], z-scored; NaN where unknown."""
        return z_scored(day.recorded.targets, self.outputs).astype(np.float32)


def study_set(job: Job, described: Sequence[Output] | None = None) -> StudySet:
    """Read a job's sessions and split them.

    The last fifth of the test day is the test set, across days and for the chronological split of a single
    day. A random split draws a fifth of the day's 2-s pieces instead, between training pieces. Channels are
    z-scored by each day's spikes outside the test set, which needs no behaviour.

    Args:
        job: names the sessions, the split and the seed.
        described: outputs of a pretrained model, whose mean and SD scale behaviour; None for those of the
            training bins.

    Raises:
        RtdecodeError: a session cannot be read, does not fit the others, or has no behaviour.
    """
    single = job.protocol != CROSS_DAY
    paths = [job.test] if single else [*job.train, job.test]
    read = read_all(paths, job.bin_width_s, job.outputs, seed=0)
    test = read[-1]
    # Spikes are simulated from all columns of behaviour, and each column is decoded by itself.
    usable = is_labelled if job.direction == DECODING else is_complete
    *others, own = (usable(day.targets) for day in read)
    before, test_bins = chronological_split(own, LAST_FIFTH)
    if job.split == RANDOM:
        test_bins = random_pieces(own, LAST_FIFTH, job.bin_width_s, job.seed)
        before = own & ~test_bins
    train_bins = [before] if single else [*others, np.zeros_like(before)]
    norm_bins = [before] if single else [*map(np.ones_like, others), before]
    if not before.any() or not test_bins.any():
        raise RtdecodeError(
            "has too little behaviour for a test set of a fifth of it",
            where=str(test.path),
            fix="leave this session out",
        )
    days = [
        _day(name, recorded, train, norm)
        for name, recorded, train, norm in zip(distinct_names(read), read, train_bins, norm_bins, strict=True)
    ]
    outputs = tuple(described) if described is not None else describe_outputs(read, train_bins)
    return StudySet(days, test_bins, outputs, job.bin_width_s, count_max_at(job.bin_width_s))


def random_pieces(
    labelled: NDArray[np.bool_], fraction: float, bin_width_s: float, seed: int
) -> NDArray[np.bool_]:
    """Draw a fraction of a day's 2-s pieces at random as the test set: bool[T].

    Args:
        labelled: bool[T], bins with behaviour; the others are in no piece.
        fraction: of the pieces.
        bin_width_s: seconds.
        seed: random seed of the draw.
    """
    rows = np.flatnonzero(labelled)
    pieces = np.array_split(rows, max(2, round(len(rows) * bin_width_s / PIECE_S)))
    drawn = np.random.default_rng([seed, len(rows)]).permutation(len(pieces))
    test_bins = np.zeros_like(labelled)
    for piece in drawn[: max(1, round(fraction * len(pieces)))]:
        test_bins[pieces[piece]] = True
    return test_bins


def _day(
    name: str, recorded: LabelledSession, train_bins: NDArray[np.bool_], norm_bins: NDArray[np.bool_]
) -> StudyDay:
    bin_width_s = recorded.binned.bin_width_s
    counts = np.minimum(recorded.binned.counts, np.uint8(count_max_at(bin_width_s)))
    mean, sd = (getattr(counts[norm_bins], what)(axis=0, dtype=np.float64) for what in ("mean", "std"))
    good = alive_channels(counts[norm_bins], bin_width_s)
    check_some_alive(good, str(recorded.path))
    return StudyDay(name, recorded, counts, train_bins, norm_bins, mean, sd, good)
