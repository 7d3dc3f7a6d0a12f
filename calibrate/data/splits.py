"""Which bins a model is trained on and which it is scored on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rtdecode.errors import RtdecodeError
from rtdecode.kernels.arrays import Mask

#: The test part of a session and the validation part of its training bins: the last fifth in time.
LAST_FIFTH = 0.2

MAX_HOLDOUT = 0.5

#: Which minutes of a day have labels in a few-shot evaluation: those just before its test part, or the first.
LABELLED_PARTS = ("last", "first")


def is_labelled(targets: NDArray[np.floating]) -> Mask:
    """bool[T], bins of f[T, D] in which any column is finite: outputs are trained and scored one by one."""
    return np.asarray(np.isfinite(targets).any(axis=1))


def is_complete(targets: NDArray[np.floating]) -> Mask:
    """bool[T], bins of f[T, D] in which every column is finite, as whatever reads behaviour needs it."""
    return np.asarray(np.isfinite(targets).all(axis=1))


def check_holdout(holdout: float) -> float:
    """`holdout`, if it is a fraction that leaves most of the session for training.

    Raises:
        RtdecodeError: it is not in (0, 0.5].
    """
    if not 0.0 < holdout <= MAX_HOLDOUT:
        raise RtdecodeError(
            f"the held-out fraction must be above 0 and at most {MAX_HOLDOUT}, got {holdout}",
            fix=f"give a fraction such as --holdout {LAST_FIFTH}",
        )
    return holdout


def chronological_split(labelled: Mask, holdout: float) -> tuple[Mask, Mask]:
    """Cut a session in time: the first labelled bins for training, the last for testing.

    No gap is left at the cut. Decoders are causal: no training label has a test bin in its history, while the
    first test bins have training bins in theirs, as they would have live.

    Args:
        labelled: bool[T], bins with a label of any output; the others are in neither part.
        holdout: test fraction of the labelled bins.

    Returns:
        (training, test), bool[T] each.

    Raises:
        RtdecodeError: `holdout` is not in (0, 0.5].
    """
    check_holdout(holdout)
    rows = np.flatnonzero(labelled)
    n_test = round(holdout * len(rows))
    training, test = np.zeros(len(labelled), np.bool_), np.zeros(len(labelled), np.bool_)
    training[rows[: len(rows) - n_test]] = True
    test[rows[len(rows) - n_test :]] = True
    return training, test


@dataclass(frozen=True, eq=False)
class FewShotSplit:
    """A day whose last fifth is scored, and whose labels before it are used for a number of minutes.

    Attributes:
        test: bool[T], the bins that are scored.
        first, stop: range of the bins before them that has behaviour.
        part: which minutes of that range are used, one of `LABELLED_PARTS`.
        bin_width_s: seconds.
    """

    test: Mask
    first: int
    stop: int
    part: str
    bin_width_s: float

    def has(self, minutes: float) -> bool:
        """Whether the day has this many minutes before its test part."""
        return self._bins(minutes) <= self.stop - self.first

    def of(self, minutes: float) -> slice:
        """The bins of this many minutes, or of all there are."""
        n = min(self._bins(minutes), self.stop - self.first)
        if self.part == "first":
            return slice(self.first, self.first + n)
        return slice(self.stop - n, self.stop)

    def _bins(self, minutes: float) -> int:
        return round(minutes * 60.0 / self.bin_width_s)


def few_shot_split(labelled: Mask, bin_width_s: float, part: str) -> FewShotSplit:
    """Hold out the last fifth of a day's labelled bins.

    Args:
        labelled: bool[T].
        bin_width_s: seconds.
        part: one of `LABELLED_PARTS`.
    """
    before, test = chronological_split(labelled, LAST_FIFTH)
    rows = np.flatnonzero(before)
    return FewShotSplit(test, int(rows[0]), int(rows[-1]) + 1, part, bin_width_s)
