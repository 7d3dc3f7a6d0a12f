"""Sessions decoded by the engine of `serve`."""

from __future__ import annotations

import numpy as np

from rtdecode.artifact import ModelArtifact
from rtdecode.decode.decoder import run_stretches
from rtdecode.decode.load import load_decoder
from rtdecode.kernels.arrays import F4, I8, Inputs


def decoded(artifact: ModelArtifact, counts: Inputs, starts: I8 | None = None) -> F4:
    """Values f4[T, D] of bins u1[T, C] (i2[T, C + F] with features), nothing before the first.

    Args:
        artifact: of any kind that can be stepped.
        counts: of the bins.
        starts: of their stretches, see `run_stretches`; None for consecutive bins.

    Raises:
        RtdecodeError: the model cannot be stepped, or the counts do not fit it.
    """
    values = np.empty((len(counts), len(artifact.outputs)), np.float32)
    run_stretches(load_decoder(artifact), counts, starts, values)
    return values
