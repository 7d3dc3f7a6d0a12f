"""`rtdecode bench networks`: what a network costs in the live engine, as NeuroBench names it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtdecode.artifact import ModelArtifact
from rtdecode.calibrate.data.metrics import r2
from rtdecode.calibrate.verification.backends import SpikingDecoder
from rtdecode.decode.load import load_decoder
from rtdecode.kernels.arrays import F4, U1, Inputs
from rtdecode.models.kinds.registry import network_kind

_POOLED_BY = 2


@dataclass(frozen=True)
class Costs:
    """Figures of a network on some bins.

    Attributes:
        footprint_bytes: of the tensors that decoding needs, as the file holds them.
        connection_sparsity: fraction of the weights that are 0.
        activation_sparsity: fraction of zeros among the outputs of spiking neurons; None without any.
        effective_acs: per bin, accumulations of weights whose input is a spike.
        effective_macs: per bin, multiply-adds of weights whose input is another number than 0.
        dense: per bin, both if every input counted.
        r2: mean over two outputs, see `scored_outputs`; None without behaviour.
    """

    footprint_bytes: int
    connection_sparsity: float
    activation_sparsity: float | None
    effective_acs: float
    effective_macs: float
    dense: float
    r2: float | None


def costs_of(artifact: ModelArtifact, inputs: Inputs, targets: F4 | None = None) -> Costs:
    """What the live engine counts while it decodes.

    Args:
        artifact: of a kind of network.
        inputs: [T, n_inputs], from bin 0.
        targets: f4[T, D], behaviour in the outputs' units, NaN where unknown; None without.

    Raises:
        RtdecodeError: the model is not a network, or the inputs do not fit it.
    """
    network_kind(artifact)
    decoder: Any = load_decoder(artifact)
    values = np.empty((len(inputs), len(artifact.outputs)), np.float32)
    silent, acs = None, 0
    if isinstance(decoder, SpikingDecoder):
        spikes = decoder.run_traced(inputs, values)
        fired = sum(int(layer.sum(dtype=np.int64)) for layer in spikes.values())
        silent = 1.0 - fired / sum(layer.size for layer in spikes.values())
        acs = _of_spikes(artifact, spikes)
    else:
        decoder.run(inputs, values)
    weights = [tensor for name, tensor in artifact.run.items() if ".weight" in name]
    return Costs(
        footprint_bytes=sum(int(tensor.nbytes) for tensor in artifact.run.values()),
        connection_sparsity=sum(int((tensor == 0).sum()) for tensor in weights)
        / sum(tensor.size for tensor in weights),
        activation_sparsity=silent,
        effective_acs=acs / len(inputs),
        effective_macs=(decoder.adds - acs) / len(inputs),
        dense=decoder.dense_macs,
        r2=None if targets is None else _score(artifact, values, targets),
    )


def scored_outputs(artifact: ModelArtifact) -> list[int]:
    """The two outputs that NeuroBench's R² is of: the first two velocities, or else the first two outputs."""
    velocities = [i for i, output in enumerate(artifact.outputs) if output.role == "velocity"]
    return (velocities if len(velocities) > 1 else list(range(len(artifact.outputs))))[:2]


def _score(artifact: ModelArtifact, values: F4, targets: F4) -> float | None:
    pair = scored_outputs(artifact)
    known = known_rows(targets[:, pair])
    score = float(r2(values[known][:, pair], targets[known][:, pair]).mean())
    return score if np.isfinite(score) else None


def known_rows(targets: F4) -> NDArray[np.bool_]:
    """bool[T], the bins in which all of these outputs are known."""
    return np.asarray(np.isfinite(targets).all(axis=1))


def _of_spikes(artifact: ModelArtifact, spikes: dict[str, U1]) -> int:
    """Accumulations of the layers that read spikes: those of the layer before, pooled between levels."""
    names, adds = list(spikes), 0
    for before, name in pairwise(names):
        (network, (level, unit)), fired = _place(name), spikes[before]
        if _place(before)[0] != network or (level, unit) == ("0", "0"):
            continue
        if unit == "0":
            whole = len(fired) // _POOLED_BY * _POOLED_BY
            fired = fired[:whole].reshape(-1, _POOLED_BY, fired.shape[1]).max(axis=1)
        adds += int(fired.sum(dtype=np.int64)) * int(np.prod(artifact.run[f"{name}.weight"].shape[1:]))
    return adds


def _place(name: str) -> tuple[str, Sequence[str]]:
    """Of a layer "enc1.0", or "2.enc1.0" in an ensemble: its network, and its level and unit."""
    network, _, place = name.rpartition("enc")
    return network, place.split(".")
