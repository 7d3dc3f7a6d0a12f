"""Networks for timing: random weights, and as active as trained networks."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from rtdecode.artifact import ModelArtifact, Output
from rtdecode.calibrate.training.build import export_members, new_members
from rtdecode.calibrate.training.settings import ONE_DAY
from rtdecode.kernels.arrays import U1
from rtdecode.models.nn.layers import ConvUnit
from rtdecode.models.nn.lif import LIF, Fired, spikingjelly_lif
from rtdecode.models.nn.network import Network

BIN_WIDTH_S = 0.02
OUTPUTS = (
    Output("x", "mm", 0.0, 1.0, "position"),
    Output("y", "mm", 0.0, 1.0, "position"),
    Output("vx", "mm/s", 0.0, 1.0, "velocity"),
    Output("vy", "mm/s", 0.0, 1.0, "velocity"),
)

_SESSION = "bench"
_CALIBRATION_WINDOWS, _CALIBRATION_BINS = 8, 200


def random_networks(kind: str, n_channels: int, rate_hz: float, seed: int = 0) -> list[Network]:
    """The networks of an ensemble as `fit` makes it, for Poisson counts, in evaluation mode.

    BatchNorm statistics are estimated on such counts, so that about a fifth of an AlignNet's neurons fire in
    a frame.

    Args:
        kind: "alignnet" or "gru".
        n_channels: of the array.
        rate_hz: spikes per second and channel.
        seed: of the weights and of the counts.
    """
    expected = rate_hz * BIN_WIDTH_S
    nets = new_members(kind, n_channels, OUTPUTS, BIN_WIDTH_S, seed, ONE_DAY)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        counts = torch.poisson(torch.full((_CALIBRATION_WINDOWS, n_channels, _CALIBRATION_BINS), expected))
    for net in nets:
        net.read_in.add(
            _SESSION, np.full(n_channels, expected), np.full(n_channels, max(math.sqrt(expected), 1e-3))
        )
        for module in net.eval().modules():
            if isinstance(module, nn.BatchNorm1d):
                module.momentum = None  # cumulative mean instead of a running one
                module.train()
        with torch.no_grad():
            net.decode(counts, _SESSION)
        net.eval()
    return nets


def as_artifact(nets: Sequence[Network]) -> ModelArtifact:
    """The model of these networks, as the engine steps it."""
    return export_members(nets, _SESSION, BIN_WIDTH_S, OUTPUTS)


def poisson_counts(n_channels: int, rate_hz: float, n_bins: int, seed: int = 1) -> U1:
    """Independent Poisson counts u1[n_bins, n_channels] at one rate."""
    counts = np.random.default_rng(seed).poisson(rate_hz * BIN_WIDTH_S, size=(n_bins, n_channels))
    return np.minimum(counts, np.iinfo(np.uint8).max).astype(np.uint8)


class SpikingjellyLIF(LIF):
    """The neuron of the reference implementation in place of `LIF`."""

    def fire(self, current: Tensor) -> Fired:
        """Spikes and pre-reset membrane potentials f4[…, T] for currents f4[…, T], from rest."""
        return spikingjelly_lif(current, current.new_zeros(current.shape[:-1]))


def with_spikingjelly(net: Network) -> Network:
    """The same network with spikingjelly's neurons; changes `net`."""
    for module in net.modules():
        if isinstance(module, ConvUnit) and not isinstance(module.neuron, nn.ReLU):
            module.neuron = SpikingjellyLIF()
    return net
