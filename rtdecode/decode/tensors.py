"""Checks that decoders share: kind and tensors of an artifact, the arrays of a bin, a saved state."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtdecode.artifact import ModelArtifact
from rtdecode.errors import RtdecodeError

FLOAT32 = np.dtype(np.float32)


def check_kind(artifact: ModelArtifact, kind: str) -> None:
    """The artifact is of this kind.

    Raises:
        RtdecodeError: it is not.
    """
    if artifact.kind != kind:
        raise RtdecodeError(
            f"the model is of kind {artifact.kind!r}, not {kind!r}", fix="let load_decoder choose the decoder"
        )


def check_causal(artifact: ModelArtifact) -> None:
    """The model can be stepped bin by bin.

    Raises:
        RtdecodeError: it is non-causal.
    """
    if not artifact.causal:
        raise RtdecodeError(
            f"the {artifact.kind} model is non-causal (causal is false) and cannot be stepped bin by bin",
            fix="use a causal model",
        )


def last_axis(artifact: ModelArtifact, name: str) -> int:
    """Length of the last axis of run.`name`; 0 if it has none or is missing."""
    tensor = artifact.run.get(name)
    return 0 if tensor is None or tensor.ndim == 0 else tensor.shape[-1]


def check_tensors(
    artifact: ModelArtifact,
    shapes: Mapping[str, tuple[int, ...]],
    fix: str,
    *,
    types: Mapping[str, tuple[str, ...]] = MappingProxyType({}),
    besides: tuple[str, ...] = (),
) -> None:
    """Check that the artifact's run.* are tensors of these names and shapes, none of them empty.

    Args:
        artifact: the model.
        shapes: by name, without "run.".
        fix: what the user can do.
        types: the dtypes of those that are not float32.
        besides: names of further tensors that the artifact may have; the caller checks them.

    Raises:
        RtdecodeError: they are not, or the model needs a normalisation that runs while decoding.
    """
    for name in shapes:
        if name not in artifact.run:
            raise RtdecodeError(f"the model lacks the tensor run.{name}", fix=fix)
    for name in sorted(artifact.run.keys() - shapes.keys() - set(besides)):
        raise RtdecodeError(f"the model holds run.{name}, which is no part of this {artifact.kind}", fix=fix)
    for name, shape in shapes.items():
        tensor, allowed = artifact.run[name], types.get(name, ("float32",))
        if tensor.shape != shape or tensor.dtype not in allowed or tensor.size == 0:
            raise RtdecodeError(
                f"run.{name} is {tensor.dtype}{list(tensor.shape)}; next to its other tensors, this model of "
                f"{artifact.n_inputs} inputs and {len(artifact.outputs)} outputs needs "
                f"{' or '.join(allowed)}{list(shape)}",
                fix=fix,
            )
    if artifact.normaliser is not None:
        raise RtdecodeError(f"the model has a normaliser, which no {artifact.kind} here runs", fix=fix)


def check_gru(artifact: ModelArtifact) -> dict[str, tuple[int, ...]]:
    """The shapes of a GRU's run.*, which are those that the metadata and the length of a bias require.

    Raises:
        RtdecodeError: a tensor is missing, unknown or misshapen.
    """
    n_inputs, n_outputs = artifact.n_inputs, len(artifact.outputs)
    n = last_axis(artifact, "gru.bias_hh") // 3
    shapes: dict[str, tuple[int, ...]] = {
        "head.weight": (n, n_outputs),
        "head.bias": (n_outputs,),
        "gru.weight_ih": (n_inputs, 3 * n),
        "gru.bias_ih": (3 * n,),
        "gru.weight_hh": (n, 3 * n),
        "gru.bias_hh": (3 * n,),
    }
    check_tensors(artifact, shapes, "make a new one with `rtdecode fit SESSION.h5 --kind gru`")
    return shapes


@dataclass(frozen=True)
class BinShape:
    """The arrays of one bin.

    Attributes:
        n_inputs: length of the input: counts of the channels, then codes of the features.
        input_dtype: uint8 for counts alone, else int16.
        n_outputs: length of the value, float32.
    """

    n_inputs: int
    input_dtype: np.dtype[Any]
    n_outputs: int

    @classmethod
    def of(cls, artifact: ModelArtifact) -> BinShape:
        """The shape that a model's decoder takes."""
        return cls(artifact.n_inputs, artifact.input_dtype, len(artifact.outputs))


def check_bins(counts: NDArray[Any], out: NDArray[Any], shape: BinShape, *, n_axes: int = 2) -> None:
    """Check inputs [T, n_inputs] and values f4[T, n_outputs]; without T for one bin, `n_axes` 1.

    Raises:
        RtdecodeError: an array has another shape or dtype.
    """
    rows = counts.shape[:-1]
    needed = (*rows, shape.n_inputs), (*rows, shape.n_outputs), shape.input_dtype, FLOAT32
    if counts.ndim != n_axes or (counts.shape, out.shape, counts.dtype, out.dtype) != needed:
        raise misfit(counts, out, shape)


def misfit(counts: NDArray[Any], out: NDArray[Any], shape: BinShape) -> RtdecodeError:
    """The error for arrays of another shape or dtype than a bin has."""
    n_inputs, dtype, n_outputs = shape.n_inputs, shape.input_dtype, shape.n_outputs
    what = "channels" if dtype == np.uint8 else "channels and features"
    return RtdecodeError(
        f"counts of shape {counts.shape}, {counts.dtype} and values of shape {out.shape}, {out.dtype} "
        f"do not fit a model of {n_inputs} {what} ({dtype}) and {n_outputs} outputs (float32)",
        fix=f"pass {dtype}[{n_inputs}] and float32[{n_outputs}] to step, {dtype}[T, {n_inputs}] and "
        f"float32[T, {n_outputs}] to run",
    )


def check_state(kind: str, state: Mapping[str, NDArray[Any]], own: Mapping[str, NDArray[Any]]) -> None:
    """Check that both have arrays of the same names, shapes and dtypes.

    Raises:
        RtdecodeError: they have not.
    """
    given, needed = (
        {f"{name} {array.dtype}{list(array.shape)}" for name, array in arrays.items()}
        for arrays in (state, own)
    )
    if given != needed:
        raise RtdecodeError(
            f"the state does not fit this {kind}: it has {', '.join(sorted(given)) or 'no array'}, and needs "
            f"{', '.join(sorted(needed))}",
            fix="load a state that a decoder of the same model returned",
        )
