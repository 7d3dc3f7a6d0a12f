"""A labelled session in two parts: bins to train on, and the last ones to test on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from rtdecode.calibrate.data.sessions import LabelledSession
from rtdecode.calibrate.data.splits import chronological_split
from rtdecode.decode.inputs import with_codes
from rtdecode.kernels.arrays import F4, F8, I8, U1, Inputs, Mask
from rtdecode.models.alive import channel_scale, clipped_inputs
from rtdecode.session.bins import starts_in


@dataclass(frozen=True, eq=False)
class SplitSession:
    """One session in bins, and the two parts of its labelled bins.

    Attributes:
        of: the session.
        counts: u1[T, C].
        targets: f4[T, D], the labels at the end of each bin; NaN where unknown.
        training, test: bool[T], the labelled bins of each part; the test part is the last.
    """

    of: LabelledSession
    counts: U1
    targets: F4
    training: Mask
    test: Mask

    @property
    def name(self) -> str:
        """Of the session."""
        return self.of.session.name

    @property
    def bin_width_s(self) -> float:
        """Seconds."""
        return self.of.binned.bin_width_s

    @property
    def training_s(self) -> float:
        """Labelled time of the training part."""
        return float(self.training.sum() * self.bin_width_s)

    @property
    def test_s(self) -> float:
        """Labelled time of the test part."""
        return float(self.test.sum() * self.bin_width_s)

    @property
    def labelled(self) -> bool:
        """Whether there is any label to train on."""
        return bool(self.training.any())

    @property
    def end(self) -> int:
        """Number of bins that training may use: those before the test part, all without labels."""
        return int(np.flatnonzero(self.training)[-1]) + 1 if self.labelled else len(self.counts)

    @property
    def training_counts(self) -> U1:
        """u1[end, C]."""
        return self.counts[: self.end]

    @property
    def starts(self) -> I8:
        """i8[S], first bin of each stretch between gaps, 0 first."""
        return self.of.binned.starts

    @property
    def training_starts(self) -> I8:
        """`starts` of the bins that training may use."""
        return starts_in(self.starts, slice(0, self.end))

    @property
    def inputs(self) -> Inputs:
        """What a model reads: the counts; with features i2[T, C + F], their codes behind them."""
        return with_codes(self.counts, self.of.codes)

    @property
    def training_inputs(self) -> Inputs:
        """`inputs` of the bins that training may use."""
        return self.inputs[: self.end]

    @property
    def training_targets(self) -> F4:
        """f4[end, D], NaN outside the training part."""
        training = self.training[: self.end, np.newaxis]
        return np.where(training, self.targets[: self.end], np.float32(np.nan))

    @property
    def test_targets(self) -> F4:
        """f4[test, D], the labels that models are scored against; 0 throughout for an output without scores.

        With intended velocities the positions have none: the cursor was where the model in use put it, which
        would be right by definition.
        """
        targets = self.targets[self.test].copy()
        if self.of.refit is not None:
            targets[:, [output.role != "velocity" for output in self.of.refit.outputs]] = 0.0
        return targets

    def statistics(self, count_max: int) -> tuple[F8, F8, Mask]:
        """Mean and SD f8[C + F] of the clipped inputs before the test part, and `alive_inputs`."""
        n_features = len(self.of.features)
        clipped = clipped_inputs(self.training_inputs, count_max, n_features).astype(np.float32)
        return channel_scale(clipped, self.bin_width_s, n_features)

    def provenance(self) -> dict[str, Any]:
        """What a model keeps of the session."""
        return self.of.provenance() | {"train_s": self.training_s, "holdout_s": self.test_s}


def split_session(labelled: LabelledSession, holdout: float) -> SplitSession:
    """Cut a session by `chronological_split`.

    Raises:
        RtdecodeError: `holdout` is not in (0, 0.5].
    """
    parts = chronological_split(labelled.labelled_bins, holdout)
    return SplitSession(labelled, labelled.binned.counts, labelled.targets, *parts)
