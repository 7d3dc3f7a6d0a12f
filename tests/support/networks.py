"""Small networks in the state that training leaves behind, and counts for them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from rtdecode.artifact import Feature, ModelArtifact, Output
from rtdecode.models.export.export import export
from rtdecode.models.networks.alignnet import AlignNet, AlignNetSettings
from rtdecode.models.networks.gru import GRUNet, GRUNetSettings
from rtdecode.models.nn.network import Network

N_CHANNELS, N_OUTPUTS, COUNT_MAX = 7, 3, 4
OUTPUTS = (
    Output("x", "mm", 12.5, 30.0, "position"),
    Output("y", "mm", -80.0, 25.0, "position"),
    Output("vx", "mm/s", 0.25, 140.0, "velocity"),
)

N = TypeVar("N", bound=Network)


def make_alignnet(seed: int = 0, sessions: Sequence[str] = ("monday",), **changes: Any) -> AlignNet:
    """An AlignNet of N_CHANNELS and N_OUTPUTS whose neurons fire at all levels, in evaluation mode."""
    torch.manual_seed(seed)
    sizes: dict[str, Any] = {
        "widths": (6, 5, 4),
        "latent": 3,
        "dec_widths": (5, 6),
        "leaky": 4,
        "hidden": 6,
    }
    config = AlignNetSettings(N_CHANNELS, N_OUTPUTS, COUNT_MAX, **(sizes | changes))
    return _as_trained(AlignNet(config), seed, sessions)


def make_gru(seed: int = 0, sessions: Sequence[str] = ("monday",), **changes: Any) -> GRUNet:
    """A GRUNet of N_CHANNELS and N_OUTPUTS, in evaluation mode."""
    torch.manual_seed(seed)
    config = GRUNetSettings(N_CHANNELS, N_OUTPUTS, COUNT_MAX, **({"hidden": 9} | changes))
    return _as_trained(GRUNet(config), seed, sessions)


def exported(net: Network, session: str = "monday", features: tuple[Feature, ...] = ()) -> ModelArtifact:
    """The artifact of a network, in 20-ms bins."""
    return export(net, session=session, bin_width_s=0.02, outputs=OUTPUTS, features=features)


def make_counts(n_bins: int, seed: int = 1) -> NDArray[np.uint8]:
    """Poisson counts u1[n_bins, N_CHANNELS], a few of them above COUNT_MAX."""
    counts = np.random.default_rng(seed).poisson(0.8, size=(n_bins, N_CHANNELS)).astype(np.uint8)
    counts[::13] *= 5
    return counts


def windows(counts: NDArray[np.uint8]) -> torch.Tensor:
    """The networks' input f4[1, C, T] from counts u1[T, C]."""
    return torch.from_numpy(counts.T.astype(np.float32))[None]


def _as_trained(net: N, seed: int, sessions: Sequence[str]) -> N:
    rng, generator = np.random.default_rng(seed), torch.Generator().manual_seed(seed)
    for name in sessions:
        net.read_in.add(name, rng.uniform(0.3, 0.8, N_CHANNELS), rng.uniform(0.4, 1.2, N_CHANNELS))
    net.set_output_scale([output.mean for output in OUTPUTS], [output.sd for output in OUTPUTS])
    for module in net.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            assert module.running_mean is not None
            assert module.running_var is not None
            module.running_mean.normal_(0.0, 0.2, generator=generator)
            module.running_var.uniform_(0.2, 0.8, generator=generator)
            with torch.no_grad():
                module.weight.uniform_(0.5, 1.5, generator=generator)
                module.bias.normal_(0.3, 0.3, generator=generator)
    return net.eval()


def trained_to_simulate(net: AlignNet) -> AlignNet:
    """The network with the batch counters of one trained from behaviour to spikes as well."""
    for module in net.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            assert module.num_batches_tracked is not None
            module.num_batches_tracked.fill_(60)
    return net
