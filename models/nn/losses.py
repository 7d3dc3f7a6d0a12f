"""What training minimises: pure functions of tensors."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

TEMPERATURE = 0.1


def mse(predicted: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
    """Weighted mean of squared errors: Σ w (p − t)² / Σ w.

    Args:
        predicted, target: of one shape.
        weight: ≥ 0, broadcast to it, for instance [T] with zeros where the network warms up. A target that is
            NaN counts where its weight is above 0 only.

    Returns:
        A scalar; 0 where all weights are 0.
    """
    predicted = predicted.to(target.dtype)  # from whatever a mixed precision has left of it
    if weight is None:
        return F.mse_loss(predicted, target)
    weight = weight.to(predicted.dtype).expand_as(predicted)
    # Before the difference, not after it: the gradient of 0 · NaN would be NaN.
    target = torch.where(weight > 0, target, predicted.detach())
    return (weight * (predicted - target) ** 2).sum() / weight.sum().clamp(min=torch.finfo(weight.dtype).tiny)


def info_nce(spike_latent: Tensor, behavior_latent: Tensor, temperature: float = TEMPERATURE) -> Tensor:
    """Symmetric InfoNCE between windows of spikes and the behaviour in them (the paper's eqs. 16 and 17).

    Latents are averaged over time and scaled to length 1; each window's spikes have to find their own
    behaviour among the batch's, and the other way round.

    Args:
        spike_latent, behavior_latent: [N, …, T], T may differ.
        temperature: above 0.

    Returns:
        A scalar; log N where nothing is aligned, 0 for a batch of one.
    """
    spike, behavior = (_summary(latent) for latent in (spike_latent, behavior_latent))
    similarity = spike @ behavior.T / temperature
    own = torch.arange(len(similarity), device=similarity.device)
    return 0.5 * (F.cross_entropy(similarity, own) + F.cross_entropy(similarity.T, own))


def _summary(latent: Tensor) -> Tensor:
    """[N, features], of length 1."""
    return F.normalize(latent.mean(dim=-1).flatten(1), dim=1)
