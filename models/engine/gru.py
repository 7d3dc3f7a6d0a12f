"""The gated recurrent units of an artifact, computed by torch."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from rtdecode.artifact import ModelArtifact
from rtdecode.decode.tensors import check_gru
from rtdecode.models.engine.base import CHUNK_BINS, FoldedNetwork


class FoldedGRU(FoldedNetwork):
    """The gated recurrent units of an artifact of kind "gru"; arguments and errors as of `FoldedNetwork`."""

    kind: ClassVar[str] = "gru"

    def __init__(self, artifact: ModelArtifact, device: str = "cpu", chunk_bins: int = CHUNK_BINS) -> None:
        super().__init__(artifact, device, chunk_bins)
        shapes = check_gru(artifact)
        n = shapes["head.weight"][0]
        self._gru = nn.GRU(self.shape.n_inputs, n).to(self._device)
        weights = {
            f"{name.removeprefix('gru.')}_l0": self._tensor(artifact.run[name].T)
            for name in shapes
            if name.startswith("gru.")
        }
        self._gru.load_state_dict(weights)
        self._head_weight = self._tensor(artifact.run["head.weight"])
        self._head_bias = self._tensor(artifact.run["head.bias"])
        self._state["hidden"] = torch.zeros(n, device=self._device)

    def _advance(self, counts: Tensor) -> Tensor:
        states, last = self._gru(counts, self._state["hidden"][None])
        self._state["hidden"] = last[0]
        return torch.addmm(self._head_bias, states, self._head_weight)
