"""The tensors of a streaming AlignNet: what an artifact must hold, and the layout of the kernels' arrays."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtdecode.artifact import ModelArtifact
from rtdecode.decode.ensemble import split_networks
from rtdecode.decode.halfwords import as_halfwords
from rtdecode.decode.tensors import check_tensors, last_axis
from rtdecode.errors import RtdecodeError
from rtdecode.kernels.arrays import F4, I8
from rtdecode.kernels.decoders.alignnet import (
    BIAS,
    DECAY,
    KEPT,
    N_COLUMNS,
    N_IN,
    N_OTHERS,
    N_OUT,
    PENDING,
    POOLED,
    SCALE,
    SKIP,
    SKIP_SCALE,
    SPIKES,
    WEIGHT,
)
from rtdecode.kernels.decoders.causal_conv import N_LAGS

MAX_LEVELS = 16

_FIX = "make a new one with `rtdecode fit SESSION.h5 --kind alignnet`"
_FLOAT32_BITS = 24
_LEAKY, _HIDDEN = "leaky", "hidden"
_OPTIONAL = (_LEAKY, _HIDDEN)


@dataclass(frozen=True)
class SpikingLayer:
    """One layer of integrate-and-fire neurons.

    Args:
        name: of its convolution in the artifact, such as "enc0.1".
        level: ticks in every 2**level-th bin: in bin k if k + 1 is a multiple of that.
        n_units: how many neurons.
        offset: index of its first neuron in the row of spikes.
    """

    name: str
    level: int
    n_units: int
    offset: int


class _Arena:
    """Arrays one after another in a flat one."""

    def __init__(self) -> None:
        self._chunks: list[NDArray[Any]] = []
        self._length = 0

    def add(self, array: NDArray[Any]) -> int:
        """Append the array; returns the index of its first entry."""
        first = self._length
        self._chunks.append(array.reshape(-1))
        self._length += array.size
        return first

    def flat(self) -> NDArray[Any]:
        return np.concatenate(self._chunks)


class Layout:
    """Networks laid out flat for `rtdecode.kernels.decoders.alignnet`, whose docstrings describe the arrays.

    Args:
        artifact: kind "alignnet"; the networks of an ensemble come one after another.

    Attributes:
        plan: i8[networks, 4·levels − 2 + N_OTHERS, N_COLUMNS].
        weights: i2, or f4 where a tensor does not fit (`halfwords`), of every layer but the heads.
        parameters: f4, biases, decays, scales of the weights, and the heads' weights.
        n_memory, n_pooled, n_spikes: lengths of the arrays of these names.
        n_widest: length of the longest input or continuous layer, a level's potentials included.
        layers: the spiking ones, in the order of the plan.
        dense_macs: multiply-adds of a bin, on average, if every input counts.

    Raises:
        RtdecodeError: a tensor is missing, unknown or misshapen, or sums before a threshold are not exact in
            float32.
    """

    def __init__(self, artifact: ModelArtifact) -> None:
        networks = split_networks(artifact)
        if len(networks) > 1:
            least = min(network.fractional_bits or 0 for network in networks)
            if artifact.fractional_bits != least:
                raise RtdecodeError(
                    f"grid_bits is {artifact.fractional_bits}, which is not the least of its networks' "
                    "run.grid",
                    fix=_FIX,
                )
        self._in_16_bits = all(as_halfwords(tensor) is not None for tensor in _engine_weights(artifact))
        self._weights, self._parameters = _Arena(), _Arena()
        self.layers: list[SpikingLayer] = []
        self.n_memory = self.n_pooled = self.n_spikes = 0
        self.dense_macs = 0.0
        plans = []
        for i, network in enumerate(networks):
            try:
                plans.append(self._add(network, f"{i}." if len(networks) > 1 else ""))
            except RtdecodeError as error:
                if len(networks) == 1:
                    raise
                what = f"network {i} does not fit: {error.what}"
                raise RtdecodeError(what, where=error.where, fix=error.fix) from error
        self.plan = np.array(plans)
        self.weights, self.parameters = self._weights.flat(), self._parameters.flat()
        self.n_widest = max(int(self.plan[..., [N_IN, N_OUT]].max()), 2 * max(artifact.widths))

    def _add(self, network: ModelArtifact, prefix: str) -> I8:
        """Lay out one network, the names of its layers behind `prefix`; its plan."""
        n_levels = len(network.widths)
        if not 1 <= n_levels <= MAX_LEVELS:
            raise RtdecodeError(f"the model has {n_levels} widths; it must have 1 to {MAX_LEVELS}", fix=_FIX)
        check_alignnet(network)
        _check_fixed_point(network)
        _check_decay(network)
        plan = np.zeros((4 * n_levels - 2 + N_OTHERS, N_COLUMNS), np.int64)
        for row, (name, level) in zip(plan, _parts(n_levels), strict=True):
            if name in _OPTIONAL and not _has(network, name):
                continue
            weight, bias = network.run[f"{name}.weight"], network.run[f"{name}.bias"]
            n_in, n_out = weight.shape[0], len(bias)
            row[[N_IN, N_OUT, BIAS]] = n_in, n_out, self._parameters.add(bias)
            self.dense_macs += weight.size / 2**level
            if name == "head":
                row[WEIGHT] = self._parameters.add(weight)
            else:
                row[[WEIGHT, SCALE]] = self._add_weights(weight)
            if name == _LEAKY:
                row[DECAY] = self._parameters.add(network.run[f"{name}.decay"])
                row[KEPT] = self._remember(n_out)
                self.dense_macs += n_out
            if weight.ndim == 2:
                continue
            row[PENDING] = self._remember(N_LAGS * n_out)
            if name.startswith("enc"):
                row[[KEPT, SPIKES]] = self._remember(n_out), self.n_spikes
                self.layers.append(SpikingLayer(f"{prefix}{name}", level, n_out, self.n_spikes))
                self.n_spikes += n_out
                if level > 0 and name.endswith(".0"):
                    row[POOLED] = self.n_pooled
                    self.n_pooled += n_in
            elif name.endswith(".0"):
                skip = network.run[f"skip{level}.weight"]
                row[KEPT] = self._remember(N_LAGS * n_out)
                row[[SKIP, SKIP_SCALE]] = self._add_weights(skip)
                self.dense_macs += skip.size / 2**level
        return plan

    def _add_weights(self, tensor: F4) -> tuple[int, int]:
        """Where the tensor is in the weights, in 16 bits if all fit, and its scale in the parameters."""
        words = as_halfwords(tensor) if self._in_16_bits else None
        values, scale = words or (tensor, np.float32(1.0))
        return self._weights.add(values), self._parameters.add(np.array([scale], np.float32))

    def _remember(self, n: int) -> int:
        self.n_memory += n
        return self.n_memory - n


def _engine_weights(artifact: ModelArtifact) -> Iterator[NDArray[Any]]:
    return (
        tensor
        for name, tensor in artifact.run.items()
        if name.endswith(".weight") and name.split(".")[-2] != "head"
    )


def _parts(n_levels: int) -> Iterator[tuple[str, int]]:
    """Name and level of each layer with weights, in the order of the plan's rows."""
    for stage, n in (("enc", n_levels), ("dec", n_levels - 1)):
        for level in range(n):
            yield f"{stage}{level}.0", level
            yield f"{stage}{level}.1", level
    yield "latent", n_levels - 1
    yield _LEAKY, 0
    yield _HIDDEN, 0
    yield "head", 0


def _shapes(artifact: ModelArtifact) -> dict[str, tuple[int, ...]]:
    """The shape of each tensor of a network's run.* but `grid`, from the metadata and the biases' lengths."""
    shapes: dict[str, tuple[int, ...]] = {}

    def add(name: str, n_in: int, n_out: int, *lags: int) -> None:
        shapes[f"{name}.weight"], shapes[f"{name}.bias"] = (n_in, *lags, n_out), (n_out,)

    below = artifact.n_inputs
    for level, width in enumerate(artifact.widths):
        add(f"enc{level}.0", below, width, N_LAGS)
        add(f"enc{level}.1", width, width, N_LAGS)
        below = width
    above = last_axis(artifact, "latent.bias")
    add("latent", 2 * below, above)
    for level in range(len(artifact.widths) - 2, -1, -1):
        width = last_axis(artifact, f"dec{level}.0.bias")
        add(f"dec{level}.0", above, width, N_LAGS)
        shapes[f"skip{level}.weight"] = (2 * artifact.widths[level], width)
        add(f"dec{level}.1", width, width, N_LAGS)
        above = width
    for name in _OPTIONAL:
        if _has(artifact, name):
            n = last_axis(artifact, f"{name}.bias")
            add(name, above, n)
            above += n
    if _has(artifact, _LEAKY):
        shapes[f"{_LEAKY}.decay"] = (last_axis(artifact, f"{_LEAKY}.bias"),)
    add("head", above, len(artifact.outputs))
    return shapes


def check_alignnet(artifact: ModelArtifact) -> dict[str, tuple[int, ...]]:
    """The shapes of one network's run.*, which are those that the metadata and the biases require.

    Raises:
        RtdecodeError: a tensor is missing, unknown or misshapen.
    """
    shapes = _shapes(artifact)
    check_tensors(artifact, shapes, _FIX, besides=("grid",))
    return shapes


def _has(artifact: ModelArtifact, name: str) -> bool:
    return any(tensor.startswith(f"{name}.") for tensor in artifact.run)


def _check_decay(artifact: ModelArtifact) -> None:
    decay = artifact.run.get(f"{_LEAKY}.decay")
    if decay is not None and not ((decay >= 0.0) & (decay < 1.0)).all():
        raise RtdecodeError(
            f"run.{_LEAKY}.decay spans {decay.min():g} to {decay.max():g}; it must be in [0, 1)",
            fix=_FIX,
        )


def _check_fixed_point(artifact: ModelArtifact) -> None:
    """Every sum before a threshold is exact in float32, whatever the order of its terms."""
    layer_bits, n_levels = artifact.run.get("grid"), len(artifact.widths)
    if layer_bits is None:
        raise RtdecodeError("the model lacks the tensor run.grid", fix=_FIX)
    if layer_bits.shape != (2 * n_levels,) or layer_bits.dtype != np.int32:
        raise RtdecodeError(
            f"run.grid is {layer_bits.dtype}{list(layer_bits.shape)}; a model of {n_levels} levels needs "
            f"int32[{2 * n_levels}]",
            fix=_FIX,
        )
    least, most = layer_bits.min(), layer_bits.max()
    if least < 0 or most >= _FLOAT32_BITS or artifact.fractional_bits != least:
        raise RtdecodeError(
            f"run.grid is {layer_bits.tolist()}; it must be in 0..{_FLOAT32_BITS - 1}, and its "
            f"least must be grid_bits, {artifact.fractional_bits}",
            fix=_FIX,
        )
    for (name, _), bits in zip(_parts(n_levels), layer_bits.tolist(), strict=False):
        weight = artifact.run[f"{name}.weight"].astype(np.float64)
        bias = artifact.run[f"{name}.bias"].astype(np.float64)
        largest_input = artifact.largest_inputs[:, np.newaxis, np.newaxis] if name == "enc0.0" else 1
        for tensor, values in (("weight", weight), ("bias", bias)):
            if not (values * 2**bits == np.rint(values * 2**bits)).all():
                raise RtdecodeError(
                    f"run.{name}.{tensor} is not a multiple of 2^-{bits}: a faulty export made it",
                    fix=_FIX,
                )
        reach = float(((np.abs(weight) * largest_input).sum(axis=(0, 1)) + np.abs(bias)).max())
        if reach >= 2 ** (_FLOAT32_BITS - bits):
            raise RtdecodeError(
                f"the sums of run.{name} reach {reach:g}; in multiples of 2^-{bits} they are exact below "
                f"{2 ** (_FLOAT32_BITS - bits)} only: a faulty export made it",
                fix=_FIX,
            )
