"""AlignNet as a kind of network."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rtdecode.artifact import Arrays, ModelArtifact
from rtdecode.decode.decoder import Decoder
from rtdecode.kernels.arrays import F8
from rtdecode.models.export.fixed_point import fixed_point
from rtdecode.models.kinds.network_kind import NetworkKind, train_tensor

if TYPE_CHECKING:
    from rtdecode.models.networks.alignnet import AlignNet

#: The default `eps` of `nn.BatchNorm1d`.
NORM_EPS = 1e-5

_FIRST = "net.spike_encoder.stages.0.0"


def _fold_read_in(model: ModelArtifact, scale: F8, offset: F8) -> Arrays:
    norm = {
        name: train_tensor(model, f"{_FIRST}.norm.{name}")
        for name in ("weight", "bias", "running_mean", "running_var")
    }
    gain = norm["weight"] / np.sqrt(norm["running_var"] + NORM_EPS)
    weight = train_tensor(model, f"{_FIRST}.conv.weight").transpose(1, 2, 0)[:, ::-1] * gain
    bias = norm["bias"] - norm["running_mean"] * gain + np.einsum("ilo,i->o", weight, offset)
    largest = model.largest_inputs[:, np.newaxis, np.newaxis]
    weight, bias, bits = fixed_point(weight * scale[:, np.newaxis, np.newaxis], bias, largest)
    layer_bits = model.run["grid"].copy()
    layer_bits[0] = bits
    return {
        "enc0.0.weight": weight.astype(np.float32),
        "enc0.0.bias": bias.astype(np.float32),
        "grid": layer_bits,
    }


def _network() -> type[AlignNet]:
    from rtdecode.models.networks.alignnet import AlignNet

    return AlignNet


def _decoder(artifact: ModelArtifact, device: str) -> Decoder:
    from rtdecode.models.engine.alignnet import FoldedAlignNet

    return FoldedAlignNet(artifact, device)


ALIGNNET = NetworkKind(
    name="alignnet",
    head="net.behavior_head.head",
    fold_read_in=_fold_read_in,
    network=_network,
    decoder=_decoder,
    joins=True,
    two_way=True,
)
