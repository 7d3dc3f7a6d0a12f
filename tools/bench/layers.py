"""The networks of a model as layers of torch, which add what the live engine adds: for counting by hooks.

    net = layers_of(artifact)
    values = net(inputs)                        # [T, n_inputs] → [T, D]

An input adds its row of weights once, in its own frame, to the sums of this frame and the next two: what the
engine computes as a convolution is here a linear layer to three frames at once. Weights are those of run.*,
with the read-in, batch normalisation and output scale folded in.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rtdecode.artifact import Arrays, ModelArtifact
from rtdecode.decode.ensemble import split_networks
from rtdecode.kernels.arrays import Inputs
from rtdecode.models.kinds.registry import network_kind
from rtdecode.models.nn.layers import Pointwise, hold, pool
from rtdecode.models.nn.leaky_readout import leaky_sum
from rtdecode.models.nn.lif import LIF, POTENTIAL_MAX


class Fires(nn.Module):
    """Spiking neurons: spikes [1, n, T] of currents [1, n, T].

    Attributes:
        potential: [1, n, T], what the rest of the network reads of the last call.
    """

    def __init__(self) -> None:
        super().__init__()
        self.neuron, self.potential = LIF(), torch.zeros(0)

    def forward(self, current: Tensor) -> Tensor:
        fired = self.neuron.fire(current.contiguous())
        self.potential = fired.potential.clamp(0.0, POTENTIAL_MAX)
        return fired.spikes


class ThreeFrames(nn.Module):
    """The sums [1, n_out, T] to which inputs [1, n_in, T] add in three frames each.

    Args:
        run: with `name`.weight [n_in, 3, n_out] and `name`.bias.
        name: of the layer.
        held: inputs are frames of the level above, which come at half the rate and are held.
    """

    def __init__(self, run: Arrays, name: str, *, held: bool = False) -> None:
        super().__init__()
        weight = run[f"{name}.weight"]
        self.rows = _linear(weight.reshape(len(weight), -1))
        self.bias = _parameter(run[f"{name}.bias"])
        self._n_lags, self._held = weight.shape[1], held

    def forward(self, x: Tensor, n_frames: int) -> Tensor:
        rows = self.rows(x)
        lags = (hold(rows, n_frames) if self._held else rows).chunk(self._n_lags, dim=1)
        sums = sum(F.pad(each, (lag, 0))[..., :n_frames] for lag, each in enumerate(lags))
        return sums + self.bias[:, None]


class AlignNetLayers(nn.Module):
    """One AlignNet; [1, n_inputs, T] → [1, D, T]."""

    decay: Tensor

    def __init__(self, network: ModelArtifact) -> None:
        super().__init__()
        run, levels = network.run, range(len(network.widths))
        self.encoder = nn.ModuleList(ThreeFrames(run, f"enc{level}.{i}") for level in levels for i in (0, 1))
        self.fires = nn.ModuleList(Fires() for _ in self.encoder)
        self.latent = _linear(run["latent.weight"], run["latent.bias"])
        self.skips = nn.ModuleList(_linear(run[f"skip{level}.weight"]) for level in levels[:-1])
        self.decoder = nn.ModuleList(
            ThreeFrames(run, f"dec{level}.{i}", held=i == 0) for level in levels[:-1] for i in (0, 1)
        )
        self.rectifies = nn.ModuleList(nn.ReLU() for _ in self.decoder)
        has_leaky, has_hidden = "leaky.weight" in run, "hidden.weight" in run
        self.leaky = _linear(run["leaky.weight"], run["leaky.bias"]) if has_leaky else None
        self.hidden = (
            nn.Sequential(_linear(run["hidden.weight"], run["hidden.bias"]), nn.ReLU())
            if has_hidden
            else None
        )
        self.head = _linear(run["head.weight"], run["head.bias"])
        # What the file holds besides: time constants, and the fractional bits of the encoder's weights.
        self.register_buffer("decay", torch.from_numpy(run["leaky.decay"].copy()) if has_leaky else None)
        self.register_buffer("grid", torch.from_numpy(run["grid"].copy()))

    def forward(self, counts: Tensor) -> Tensor:
        spikes, potentials = counts, []
        for i, (conv, fires) in enumerate(zip(self.encoder, self.fires, strict=True)):
            if i and i % 2 == 0:
                spikes = pool(spikes)
            assert isinstance(fires, Fires)
            spikes = fires(conv(spikes, spikes.shape[-1]))
            potentials.append(fires.potential)
        levels = [torch.cat(pair, dim=1) for pair in zip(potentials[::2], potentials[1::2], strict=True)]
        x: Tensor = self.latent(levels[-1])
        for level in reversed(range(len(self.skips))):
            n_frames = levels[level].shape[-1]
            first, second = 2 * level, 2 * level + 1
            driven = self.decoder[first](x, n_frames) + self.skips[level](levels[level])
            x = self.rectifies[first](driven)
            x = self.rectifies[second](self.decoder[second](x, n_frames))
        if self.leaky is not None:
            leaked = leaky_sum(self.leaky(x).double(), self.decay.double())
            x = torch.cat([x, leaked.to(x.dtype)], dim=1)
        if self.hidden is not None:
            x = torch.cat([x, self.hidden(x)], dim=1)
        y: Tensor = self.head(x)
        return y


class GRULayers(nn.Module):
    """One network of gated recurrent units, bin by bin; [1, n_inputs, T] → [1, D, T]."""

    def __init__(self, network: ModelArtifact) -> None:
        super().__init__()
        run = network.run
        n_inputs, n = run["gru.weight_ih"].shape[0], run["gru.weight_hh"].shape[0]
        self.cell = nn.GRUCell(n_inputs, n)
        gates = {name: run[f"gru.{name}"] for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")}
        self.cell.load_state_dict({name: torch.from_numpy(gate.T.copy()) for name, gate in gates.items()})
        self.head = _linear(run["head.weight"], run["head.bias"])

    def forward(self, counts: Tensor) -> Tensor:
        hidden, states = counts.new_zeros(1, self.cell.hidden_size), []
        for row in counts[0].T:
            hidden = self.cell(row[None], hidden)
            states.append(hidden)
        y: Tensor = self.head(torch.stack(states, dim=-1))
        return y


class ModelLayers(nn.Module):
    """All networks of a model, whose outputs add up; [T, n_inputs] → [T, D].

    Args:
        artifact: of kind "alignnet" or "gru".
    """

    def __init__(self, artifact: ModelArtifact) -> None:
        super().__init__()
        self._limit = torch.from_numpy(artifact.limits.astype(np.float32))
        self.networks = nn.ModuleList(LAYERS[artifact.kind](each) for each in split_networks(artifact))

    def forward(self, inputs: Tensor) -> Tensor:
        read = torch.where(self._limit > 0, torch.minimum(inputs, self._limit), 0.0)
        outputs = [network(read.T[None])[0].T for network in self.networks]
        return torch.stack(outputs).sum(dim=0)


LAYERS = {"alignnet": AlignNetLayers, "gru": GRULayers}


def layers_of(artifact: ModelArtifact) -> ModelLayers:
    """The layers of a model, in evaluation mode.

    Raises:
        RtdecodeError: the model is not a network.
    """
    network_kind(artifact)
    return ModelLayers(artifact).eval()


def as_batch(inputs: Inputs) -> Tensor:
    """Inputs [T, n_inputs] as the layers take them."""
    return torch.from_numpy(inputs.astype(np.float32))


def _linear(weight: np.ndarray, bias: np.ndarray | None = None) -> Pointwise:
    """A linear layer of weights [n_in, n_out]."""
    layer = Pointwise(weight.shape[0], weight.shape[1], bias=bias is not None)
    layer.weight = _parameter(weight.T)
    if bias is not None:
        layer.bias = _parameter(bias)
    return layer


def _parameter(values: np.ndarray) -> nn.Parameter:
    return nn.Parameter(torch.from_numpy(np.array(values, np.float32, order="C")), requires_grad=False)
