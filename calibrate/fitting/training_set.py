"""How a model is fitted, and to which data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from rtdecode.artifact import Feature, Output
from rtdecode.calibrate.data.refit_labels import RECORDED
from rtdecode.calibrate.data.splits import LAST_FIFTH
from rtdecode.calibrate.training.settings import ONE_DAY, ONE_DAY_TRAINING, Sizes, TrainingSettings
from rtdecode.kernels.arrays import F4, I8, Inputs
from rtdecode.session.bins import stretches

#: Labels before the held-out time that an output is fitted to, at least.
MIN_TRAIN_S = 20.0


@dataclass(frozen=True, kw_only=True)
class FitSettings:
    """How a model is fitted.

    Attributes:
        holdout: fraction of each session's labelled time that is held out, in (0, 0.5].
        labels: "recorded" for behaviour, or "refit" for intended velocities towards each trial's target.
        blocks: blocks of trials that are used; () for the whole of each session.
        features: names of the features that are read; () for counts alone, None for all.
        steady_state: for a Kalman filter, use the gain to which it converges instead of its covariance.
        sizes, training: of a network.
    """

    holdout: float = LAST_FIFTH
    labels: str = RECORDED
    blocks: Sequence[str] = ()
    features: Sequence[str] | None = None
    steady_state: bool = False
    sizes: Sizes = ONE_DAY
    training: TrainingSettings = ONE_DAY_TRAINING


@dataclass(frozen=True, eq=False)
class TrainingSet:
    """Binned sessions with labels.

    Attributes:
        counts: u1[T, C] for each session; with features i2[T, C + F], their codes last.
        targets: f4[T, D] for each; NaN where an output is not trained on.
        outputs: the D columns, in order.
        bin_width_s: seconds.
        names: of the sessions; only networks need them.
        features: F for each session, with the statistics of its codes; () for counts alone. A linear filter
            decodes all sessions, so they have the same.
        starts: of each session, row of the first bin of each stretch between gaps; () where none has gaps.
    """

    counts: Sequence[Inputs]
    targets: Sequence[F4]
    outputs: tuple[Output, ...]
    bin_width_s: float
    names: Sequence[str] = ()
    features: Sequence[tuple[Feature, ...]] = ()
    starts: Sequence[I8] = ()

    def in_stretches(self, rows: Sequence[NDArray[Any]]) -> list[Any]:
        """Arrays of T rows of each session; of one with gaps, a list of those of its stretches."""
        if not self.starts:
            return list(rows)
        return [
            [each[part] for part in stretches(starts, len(each))] if len(starts) > 1 else each
            for each, starts in zip(rows, self.starts, strict=True)
        ]

    @property
    def n_features(self) -> int:
        """F."""
        return len(self.features[0]) if self.features else 0
