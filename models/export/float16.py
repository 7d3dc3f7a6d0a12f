"""What training goes on from, in half the bytes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtdecode.artifact import ModelArtifact

#: Smaller tensors, such as biases, statistics and read-ins, are not worth it.
SMALLEST = 1024

_FLOAT32 = np.dtype(np.float32)


def halved(artifact: ModelArtifact) -> ModelArtifact:
    """The same model with the large float32 tensors of train.* in float16; run.* stays as it is.

    A weight moves by 2⁻¹¹ of itself at most, which below ¼ is less than rounding to the grid of run.* does.
    What float16 cannot hold stays float32.
    """
    return replace(artifact, train={name: _halved(tensor) for name, tensor in artifact.train.items()})


def _halved(tensor: NDArray[Any]) -> NDArray[Any]:
    if tensor.dtype != _FLOAT32 or tensor.ndim < 2 or tensor.size < SMALLEST:
        return tensor
    if np.abs(tensor).max() > np.finfo(np.float16).max:
        return tensor
    return tensor.astype(np.float16)
