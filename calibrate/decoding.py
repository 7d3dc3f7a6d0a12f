"""Sessions decoded by the engine of `serve`."""

from __future__ import annotations

import numpy as np

from rtdecode.artifact import ModelArtifact
from rtdecode.decode.load import load_decoder
from rtdecode.kernels.arrays import F4, Inputs


def decoded(artifact: ModelArtifact, counts: Inputs) -> F4:
    """Values f4[T, D] of consecutive bins u1[T, C] (i2[T, C + F] with features), nothing before the first.

    Raises:
        RtdecodeError: the model cannot be stepped, or the counts do not fit it.
    """
    values = np.empty((len(counts), len(artifact.outputs)), np.float32)
    load_decoder(artifact).run(counts, values)
    return values
