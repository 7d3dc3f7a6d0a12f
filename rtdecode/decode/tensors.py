"""Checks that decoders share: the tensors of an artifact, and the arrays of a bin."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtdecode.artifact import ModelArtifact
from rtdecode.errors import RtdecodeError

FLOAT32 = np.dtype(np.float32)
UINT8 = np.dtype(np.uint8)


def last_axis(artifact: ModelArtifact, name: str) -> int:
    """Length of the last axis of run.`name`; 0 if it has none or is missing."""
    tensor = artifact.run.get(name)
    return 0 if tensor is None or tensor.ndim == 0 else tensor.shape[-1]


def check_tensors(
    artifact: ModelArtifact, shapes: Mapping[str, tuple[int, ...]], fix: str, besides: tuple[str, ...] = ()
) -> None:
    """The artifact holds float32 tensors of just these names and shapes, none of them empty.

    Args:
        artifact: whose run.* are checked.
        shapes: by name.
        fix: what the person can do.
        besides: names of tensors that may be there and are left to the caller.

    Raises:
        RtdecodeError: it does not, or it asks for a normalisation that runs while decoding.
    """
    for name in shapes:
        if name not in artifact.run:
            raise RtdecodeError(f"the model lacks the tensor run.{name}", fix=fix)
    for name, shape in shapes.items():
        tensor = artifact.run[name]
        if tensor.shape != shape or tensor.dtype != FLOAT32 or tensor.size == 0:
            raise RtdecodeError(
                f"run.{name} is {tensor.dtype}{list(tensor.shape)}; next to its other tensors, this model of "
                f"{artifact.n_channels} channels and {len(artifact.outputs)} outputs needs float32"
                f"{list(shape)}",
                fix=fix,
            )
    for name in sorted(artifact.run.keys() - shapes.keys() - set(besides)):
        raise RtdecodeError(f"the model holds run.{name}, which is no part of this {artifact.kind}", fix=fix)
    if artifact.normaliser is not None:
        raise RtdecodeError(f"the model has a normaliser, which no {artifact.kind} here runs", fix=fix)


def fits_bin(counts: NDArray[Any], out: NDArray[Any], n_channels: int, n_outputs: int) -> bool:
    """Whether these are counts u1[n_channels] and values f4[n_outputs]."""
    return (
        counts.shape == (n_channels,)
        and out.shape == (n_outputs,)
        and counts.dtype == UINT8
        and out.dtype == FLOAT32
    )


def fits_bins(counts: NDArray[Any], out: NDArray[Any], n_channels: int, n_outputs: int) -> bool:
    """Whether these are counts u1[T, n_channels] and values f4[T, n_outputs]."""
    return (
        counts.ndim == 2
        and counts.shape[1] == n_channels
        and out.shape == (counts.shape[0], n_outputs)
        and counts.dtype == UINT8
        and out.dtype == FLOAT32
    )


def misfit(counts: NDArray[Any], out: NDArray[Any], n_channels: int, n_outputs: int) -> RtdecodeError:
    """What to say if they are not."""
    return RtdecodeError(
        f"counts of shape {counts.shape}, {counts.dtype} and values of shape {out.shape}, {out.dtype} "
        f"do not fit a model of {n_channels} channels (uint8) and {n_outputs} outputs (float32)"
    )
