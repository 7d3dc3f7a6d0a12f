"""A folded network in torch behind the runtime's `Decoder`: state, chunks and checks of every kind."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rtdecode.artifact import Arrays, ModelArtifact
from rtdecode.decode.tensors import BinShape, check_bins, check_kind, check_state
from rtdecode.kernels.arrays import F4, Inputs

#: Bins that `run` computes at once by default.
CHUNK_BINS = 8192


class FoldedNetwork:
    """A `rtdecode.decode.decoder.Decoder` that computes in torch, from an artifact's run.* alone.

    `run` computes a recording layer by layer and `step` bin by bin; either continues from the other.

    Args:
        artifact: of the class's kind.
        device: where torch computes, such as "cpu" or "cuda:1".
        chunk_bins: number of bins that `run` computes at once.

    Raises:
        RtdecodeError: the artifact is of another kind, or its tensors are missing, unknown or misshapen.
    """

    kind: ClassVar[str]

    def __init__(self, artifact: ModelArtifact, device: str, chunk_bins: int) -> None:
        check_kind(artifact, self.kind)
        self.n_channels, self.n_outputs = artifact.n_channels, len(artifact.outputs)
        self.clipped = 0
        self.shape, self._limit = BinShape.of(artifact), artifact.limits
        self._device, self._chunk_bins = torch.device(device), chunk_bins
        self._state: dict[str, Tensor] = {}

    def reset(self) -> None:
        """Go back to bin 0: what came before counts as silence."""
        self._state = {name: torch.zeros_like(tensor) for name, tensor in self._state.items()}

    def step(self, counts: Inputs, out: F4) -> None:
        """Decode counts u1[n_channels] of one bin into out f4[n_outputs].

        Raises:
            RtdecodeError: an array has another shape or dtype.
        """
        check_bins(counts, out, self.shape, n_axes=1)
        self._decode(counts[np.newaxis], out[np.newaxis])

    def run(self, counts: Inputs, out: F4) -> None:
        """Decode counts u1[T, n_channels] into out f4[T, n_outputs], continuing from the state.

        Raises:
            RtdecodeError: an array has another shape or dtype.
        """
        check_bins(counts, out, self.shape)
        for first in range(0, len(counts), self._chunk_bins):
            end = first + self._chunk_bins
            self._decode(counts[first:end], out[first:end])

    def state(self) -> Arrays:
        """A copy of everything that the next output depends on, besides the model."""
        return {name: tensor.cpu().numpy().copy() for name, tensor in self._state.items()}

    def load_state(self, state: Arrays) -> None:
        """Continue from what `state` returned.

        Raises:
            RtdecodeError: the state is another model's.
        """
        own = self.state()
        check_state(self.kind, state, own)
        self._state = {name: self._tensor(state[name]) for name in own}

    @abstractmethod
    def _advance(self, counts: Tensor) -> Tensor:
        """Values f4[T, D] of the next bins, T ≥ 1, from clipped counts f4[T, C]; advances the state."""

    def _decode(self, counts: Inputs, out: F4) -> None:
        self.clipped += int(np.count_nonzero((counts > self._limit)[:, self._limit > 0]))
        read = np.where(self._limit > 0, np.minimum(counts, self._limit), 0).astype(np.float32)
        with torch.inference_mode(), _full_precision():
            out[:] = self._advance(self._tensor(read)).cpu().numpy()

    def _tensor(self, array: NDArray[Any]) -> Tensor:
        return torch.from_numpy(np.array(array)).to(self._device)


@contextmanager
def _full_precision() -> Iterator[None]:
    """No TF32 and no bfloat16 inside float32 products: sums that are exact must stay exact."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)
