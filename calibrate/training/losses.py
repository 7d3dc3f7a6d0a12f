"""The losses, and their sum that training minimises."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rtdecode.calibrate.training.settings import SIMULATE, TrainingSettings
from rtdecode.calibrate.training.windows import Batch
from rtdecode.models.networks.alignnet import AlignNet
from rtdecode.models.networks.baseline import BaselineNet
from rtdecode.models.nn.network import Network

TEMPERATURE = 0.1


class Objective(nn.Module):
    """The loss of a network as a module: `DistributedDataParallel` averages the gradients of its `forward`.

    Args:
        net: to train.
        settings: of which `direction`, `cross` and `contrast` are used.
    """

    def __init__(self, net: Network, settings: TrainingSettings) -> None:
        super().__init__()
        self.net, self._settings = net, settings

    def forward(self, batch: Batch, clean: Tensor, auxiliary: float) -> Tensor:
        """The loss of a batch.

        Args:
            batch: augmented, as the network reads it.
            clean: f4[N, C, T], its counts before augmentation, the target of simulation.
            auxiliary: weight of the paths beside the deployed one (AlignNet only).
        """
        net, settings = self.net, self._settings
        simulating = settings.direction == SIMULATE
        if isinstance(net, AlignNet) and auxiliary:
            passes = net(batch.counts, batch.targets, batch.sessions)
            # Features are read, not simulated.
            n_counts, whole = net.n_channels - net.config.n_features, _complete(batch)
            counts = net.in_sd(clean, batch.sessions)[:, :n_counts]
            decoded = mse(passes.decoded, batch.targets, batch.weight)
            simulated = mse(net.in_sd(passes.simulated, batch.sessions)[:, :n_counts], counts, whole)
            deployed, other = (simulated, decoded) if simulating else (decoded, simulated)
            beside = (
                mse(passes.behavior, batch.targets, batch.weight)
                + mse(net.in_sd(passes.spikes, batch.sessions)[:, :n_counts], counts)
                + settings.cross * other
                + settings.contrast * info_nce(passes.spike_latent, passes.behavior_latent)
            )
            return settings.cross * deployed + auxiliary * beside
        if simulating and isinstance(net, AlignNet | BaselineNet):
            rates = net.in_sd(net.simulate(batch.targets, batch.sessions), batch.sessions)
            return settings.cross * mse(rates, net.in_sd(clean, batch.sessions), _complete(batch))
        return settings.cross * mse(net.decode(batch.counts, batch.sessions), batch.targets, batch.weight)


def _complete(batch: Batch) -> Tensor:
    """Weight [N, 1, W] of the bins in which all outputs are known: spikes are simulated from all of them."""
    return batch.weight.amin(dim=1, keepdim=True)


def mse(predicted: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
    """Weighted mean of squared errors: Σ w (p − t)² / Σ w.

    Args:
        predicted, target: of one shape.
        weight: ≥ 0, broadcast to that shape, for instance [T] with zeros during the warm-up of the network. A
            NaN in the target is ignored if its weight is 0.

    Returns:
        A scalar; 0 if all weights are 0, or there is nothing to predict.
    """
    if not predicted.numel():
        return predicted.sum()
    predicted = predicted.to(target.dtype)  # mixed precision may have changed it
    if weight is None:
        return F.mse_loss(predicted, target)
    weight = weight.to(predicted.dtype).expand_as(predicted)
    # Before the difference, not after it: the gradient of 0 · NaN would be NaN.
    target = torch.where(weight > 0, target, predicted.detach())
    return (weight * (predicted - target) ** 2).sum() / weight.sum().clamp(min=torch.finfo(weight.dtype).tiny)


def info_nce(spike_latent: Tensor, behavior_latent: Tensor) -> Tensor:
    """Symmetric InfoNCE between windows of spikes and of their behaviour (the paper's eqs. 16 and 17).

    Latents are averaged over time and scaled to length 1; the spikes of each window have to identify their
    own behaviour within the batch, and vice versa.

    Args:
        spike_latent, behavior_latent: [N, …, T], T may differ.

    Returns:
        A scalar; log N if nothing is aligned, 0 for a batch of one.
    """
    latents = (spike_latent, behavior_latent)
    spike, behavior = (F.normalize(latent.mean(dim=-1).flatten(1), dim=1) for latent in latents)
    similarity = spike @ behavior.T / TEMPERATURE
    own = torch.arange(len(similarity), device=similarity.device)
    return 0.5 * (F.cross_entropy(similarity, own) + F.cross_entropy(similarity.T, own))
