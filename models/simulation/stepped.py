"""From behaviour to spikes per bin, bin by bin: the stepped version of `AlignNet.simulate`.

    stepped = SteppedSimulation(net, "monday")
    rates = stepped.step(z)                             # z-scored behaviour [D] → spikes per bin [C]

In NumPy: torch takes several times as long for small products of a matrix and a vector.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import numpy as np
from torch import nn

from rtdecode.errors import RtdecodeError
from rtdecode.kernels.arrays import F4
from rtdecode.models.networks.alignnet import AlignNet
from rtdecode.models.nn.layers import KERNEL, ConvUnit, Pointwise
from rtdecode.models.nn.lif import LIF, POTENTIAL_MAX, TAU, THRESHOLD


class SteppedSimulation:
    """The simulating path of a causal AlignNet, with its state.

    Level ℓ of the encoder and of the decoder ticks every 2^ℓ bins, and its last output is held between ticks,
    as by `layers.hold`. The first step follows silence. Rates agree with those of `AlignNet.simulate` up to
    the rounding of sums, which can make a neuron at its threshold fire a bin sooner or later.

    Args:
        net: causal; it is read once, and not stored.
        session: of the read-in, which gives each channel's SD and mean.

    Raises:
        RtdecodeError: the network is not causal.
    """

    def __init__(self, net: AlignNet, session: str) -> None:
        if not net.causal:
            raise RtdecodeError(
                "the network is non-causal, and cannot follow a movement bin by bin", fix="use a causal one"
            )
        self._lift = [_linear(cast(Pointwise, net.lift[i])) for i in (0, 2)]
        self._down = [_stage(units) for units in net.behavior_encoder.stages]
        self._latent = _linear(net.behavior_encoder.latent)
        self._up = [_stage(units) for units in net.spike_decoder.stages]
        self._reads_potentials = net.spike_decoder.potentials
        self._head = _linear(net.rate_head)
        self._sd: F4 = net.read_in.sd(session, 1)[0, :, 0].detach().numpy()
        self._mean_offset: F4 = np.zeros_like(self._sd)
        if net.config.centred_rates:
            self._mean_offset = net.read_in.mean_offset(session, 1)[0, :, 0].detach().numpy()
        widths = [*net.config.dec_widths, net.config.latent]
        self._held = [np.zeros(width, np.float32) for width in widths]
        self._pooled = [np.zeros(width, np.float32) for width in net.widths]
        self._bin = 0

    def step(self, z: F4) -> F4:
        """Spikes per bin f4[C] of the next bin, from z-scored behaviour f4[D] at its end."""
        x = self._lift[1](np.maximum(self._lift[0](z), 0.0))
        skips: list[F4] = []
        self._bin += 1
        for level, (first, second) in enumerate(self._down):
            if self._bin % (1 << level):
                break
            if level:
                x = self._pooled[level - 1]
            one = first.step(x)
            two = second.step(one)
            skips.append(np.concatenate((one, two)))
            self._pool(level, two)
        if len(skips) == len(self._down):
            self._held[-1] = self._latent(skips[-1])
        for level in reversed(range(min(len(skips), len(self._up)))):
            first, second = self._up[level]
            self._held[level] = second.step(first.step(self._held[level + 1], skips[level]))
        features = self._held[0]
        if self._reads_potentials:
            features = np.concatenate([unit.potential for unit in self._up[0]])
        relative = np.logaddexp(np.float32(0.0), self._head(features) + self._mean_offset)
        rates: F4 = relative * self._sd
        return rates

    def _pool(self, level: int, y: F4) -> None:
        """The maximum of frames 2j and 2j + 1, which the level below reads at 2j + 1."""
        second_of_pair = (self._bin >> level) % 2 == 0
        self._pooled[level] = np.maximum(self._pooled[level], y) if second_of_pair else y


def _linear(layer: Pointwise) -> Callable[[F4], F4]:
    """`Pointwise`, for one frame."""
    weight, bias = layer.weight.detach().numpy(), layer.bias.detach().numpy()
    return lambda x: weight @ x + bias


class _Unit:
    """`ConvUnit`, frame by frame: with its last inputs, and membrane potentials if it fires."""

    def __init__(self, unit: ConvUnit) -> None:
        weight: F4 = unit.conv.weight.detach().numpy()
        # Oldest frame first, as in `_frames`.
        self._weight = np.ascontiguousarray(weight.transpose(0, 2, 1).reshape(len(weight), -1))
        self._beside: F4 | None = None if unit.beside is None else unit.beside.weight.detach().numpy()
        self._scale, self._shift = (part.astype(np.float32) for part in unit.affine())
        self._frames = np.zeros((KERNEL, weight.shape[1]), np.float32)
        self._v = np.zeros(len(weight), np.float32) if isinstance(unit.neuron, LIF) else None
        self.potential: F4 = np.zeros(len(weight), np.float32)

    def step(self, x: F4, beside: F4 | None = None) -> F4:
        self._frames[:-1] = self._frames[1:]
        self._frames[-1] = x
        driven = self._weight @ self._frames.ravel()
        if self._beside is not None and beside is not None:
            driven = driven + self._beside @ beside
        current: F4 = driven * self._scale + self._shift
        if self._v is None:
            return np.maximum(current, np.float32(0.0))
        self._v += (current - self._v) * np.float32(1.0 / TAU)
        self.potential = np.clip(self._v, np.float32(0.0), np.float32(POTENTIAL_MAX))
        fired = self._v >= np.float32(THRESHOLD)
        self._v[fired] = 0.0
        return fired.astype(np.float32)


def _stage(units: nn.Module) -> tuple[_Unit, _Unit]:
    first, second = cast("tuple[ConvUnit, ConvUnit]", units)
    return _Unit(first), _Unit(second)
