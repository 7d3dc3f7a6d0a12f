"""The data that a model is fitted to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rtdecode.artifact import Output
from rtdecode.calibrate.training.settings import ONE_DAY, ONE_DAY_TRAINING, Sizes, TrainingSettings


@dataclass(frozen=True, eq=False)
class TrainingSet:
    """Binned sessions with labels, and what a kind of model may need to know beside them.

    Attributes:
        counts: u1[T, C] for each session.
        targets: f4[T, D] for each; NaN for bins that are not trained on.
        outputs: the D columns, in order.
        bin_width_s: seconds.
        names: of the sessions.
        steady_state: for a Kalman filter, whether to use the gain to which it converges.
        sizes, training: of a network.
    """

    counts: Sequence[NDArray[np.uint8]]
    targets: Sequence[NDArray[np.float32]]
    outputs: tuple[Output, ...]
    bin_width_s: float
    names: Sequence[str] = ()
    steady_state: bool = False
    sizes: Sizes = ONE_DAY
    training: TrainingSettings = ONE_DAY_TRAINING
