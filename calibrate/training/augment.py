"""Augmented copies of training batches: drift, dead and noisy channels, artefacts.

settings = Augmentation(bin_width_s=0.02)
batch = augmented(batch, net.read_in.sd(batch.sessions, len(batch.counts)), count_max=20, settings=settings)
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from rtdecode.calibrate.training.settings import Augmentation
from rtdecode.calibrate.training.windows import Batch


def augmented(batch: Batch, sd: Tensor, count_max: int, settings: Augmentation, n_features: int = 0) -> Batch:
    """Augmented copy of a batch. Draws from torch's global generator of the batch's device.

    Args:
        batch: as the sampler drew it; it is unchanged.
        sd: [N or 1, C, 1], SD of each channel's counts, in spikes per bin; a channel with SD 0 is silent.
        count_max: counts are clipped to 0 … `count_max`; they need not be integers.
        settings: how often and how strongly.
        n_features: number of features among the channels, the last ones, which are not clipped.
    """
    counts = batch.counts
    shape = (counts.shape[0], counts.shape[1], 1)
    gain = torch.exp(settings.gain * torch.randn(shape, device=counts.device))
    drift = settings.baseline * torch.randn(shape, device=counts.device)
    changed = counts * gain + (drift + _artefacts(counts, settings)) * sd
    fault = torch.rand(shape, device=counts.device)
    noise = settings.noise * sd * torch.rand_like(counts)
    changed = torch.where(fault < settings.dead + settings.noisy, noise, changed)
    changed = torch.where(
        (fault < settings.dead) | (sd == 0.0), torch.zeros((), device=counts.device), changed
    )
    chosen = torch.rand((shape[0], 1, 1), device=counts.device) < settings.windows
    n_counts = counts.shape[1] - n_features
    clipped = changed[:, :n_counts].clamp(0.0, float(count_max))
    if n_features:
        clipped = torch.cat((clipped, changed[:, n_counts:]), dim=1)
    return replace(batch, counts=torch.where(chosen, clipped, counts))


def _artefacts(counts: Tensor, settings: Augmentation) -> Tensor:
    """Artefacts f4[N, C, W], in SDs."""
    n_windows, n_channels, n_bins = counts.shape
    longest = max(1, round(settings.artefact_s / settings.bin_width_s))
    chance = settings.artefacts_hz * settings.bin_width_s
    begins = torch.rand(n_windows, n_bins, device=counts.device) < chance
    height = settings.artefact * torch.rand(n_windows, n_bins, device=counts.device) * begins
    lasts = torch.randint(1, longest + 1, (n_windows, n_bins), device=counts.device)
    over = torch.zeros_like(height)
    for age in range(min(longest, n_bins)):
        here = torch.where(lasts > age, height, 0.0)
        over[:, age:] = torch.maximum(over[:, age:], here[:, : n_bins - age])
    # How much of it a channel picks up depends on reference electrode and wires; some pick up nothing.
    share = (1.25 * torch.rand(n_windows, n_channels, device=counts.device) - 0.25).clamp(min=0.0)
    return share[:, :, None] * over[:, None, :]
