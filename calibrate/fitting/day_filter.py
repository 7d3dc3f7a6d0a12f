"""A Wiener filter of one day, which every model of that day has to beat."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rtdecode.artifact import ModelArtifact, Output, count_max_at
from rtdecode.calibrate.fitting.fitters import FITTERS, TrainingSet


def wiener_of_today(
    counts: NDArray[np.uint8],
    targets: NDArray[np.float32],
    outputs: Sequence[Output],
    bin_width_s: float,
) -> ModelArtifact:
    """Fit one.

    Args:
        counts: u1[T, C].
        targets: f4[T, D]; NaN where unknown.
        outputs: D.
        bin_width_s: seconds.

    Raises:
        RtdecodeError: no channel fires, or too little is known.
    """
    data = TrainingSet([counts], [targets], tuple(outputs), bin_width_s)
    (fit,) = FITTERS["wiener"](data, lambda _done: None)
    return ModelArtifact(
        kind="wiener",
        causal=True,
        bin_width_s=bin_width_s,
        n_channels=counts.shape[1],
        channel_mask=fit.channel_mask,
        outputs=tuple(outputs),
        count_max=count_max_at(bin_width_s),
        run=fit.run,
    )
