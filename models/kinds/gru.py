"""Gated recurrent units as a kind of network."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rtdecode.artifact import Arrays, ModelArtifact
from rtdecode.decode.decoder import Decoder
from rtdecode.kernels.arrays import F8
from rtdecode.models.kinds.network_kind import NetworkKind, train_tensor

if TYPE_CHECKING:
    from rtdecode.models.networks.gru import GRUNet


def _fold_read_in(model: ModelArtifact, scale: F8, offset: F8) -> Arrays:
    weight, bias = (train_tensor(model, f"net.gru.{name}_ih_l0") for name in ("weight", "bias"))
    return {
        "gru.weight_ih": (weight.T * scale[:, np.newaxis]).astype(np.float32),
        "gru.bias_ih": (bias + weight @ offset).astype(np.float32),
    }


def _network() -> type[GRUNet]:
    from rtdecode.models.networks.gru import GRUNet

    return GRUNet


def _decoder(artifact: ModelArtifact, device: str) -> Decoder:
    from rtdecode.models.engine.gru import FoldedGRU

    return FoldedGRU(artifact, device)


GRU = NetworkKind(name="gru", head="net.head", fold_read_in=_fold_read_in, network=_network, decoder=_decoder)
