"""Store large tensors of train.* in float16."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtdecode.artifact import ModelArtifact

#: Smaller tensors, such as biases, statistics and read-ins, stay in float32.
SMALLEST = 1024

_FLOAT32 = np.dtype(np.float32)


def train_in_float16(artifact: ModelArtifact) -> ModelArtifact:
    """The same model with the tensors of train.* `in_float16`; run.* is unchanged."""
    return replace(artifact, train={name: in_float16(tensor) for name, tensor in artifact.train.items()})


def in_float16(tensor: NDArray[Any]) -> NDArray[Any]:
    """A tensor of train.* in float16 if it is large and float32, else as it is.

    A weight changes by 2⁻¹¹ of its value at most, which for weights below ¼ is less than the rounding of
    run.* (`fixed_point`). Values beyond the range of float16 stay in float32.
    """
    if tensor.dtype != _FLOAT32 or tensor.ndim < 2 or tensor.size < SMALLEST:
        return tensor
    if np.abs(tensor).max() > np.finfo(np.float16).max:
        return tensor
    return tensor.astype(np.float16)
