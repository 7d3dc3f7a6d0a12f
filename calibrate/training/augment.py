"""What goes wrong with a real array, done to training windows: drift, dead and noisy channels, artefacts.

settings = Augmentation(bin_width_s=0.02)
batch = disturbed(batch, net.read_in.sd(batch.sessions, len(batch.counts)), count_max=20, settings=settings)
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from rtdecode.calibrate.training.windows import Batch


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """How often, and how much; sizes are in SDs of the channel's counts where nothing else is said.

    A channel keeps its drift, or its fault, for the whole window. Behaviour stays as it is.

    Attributes:
        bin_width_s: of the counts, in seconds.
        windows: part of the windows that anything is done to; an array that is well must be decoded best.
        gain: SD of the logarithm by which the counts of a channel are multiplied.
        baseline: SD of what is added to them.
        dead: probability that a channel is silent. That is not what channel dropout does, which hides it as
            if it were known to be bad.
        noisy: probability that a channel holds noise instead of spikes, uniform up to `noise`.
        noise: its top.
        artefacts_hz: how often an artefact begins, of movement or chewing, which lasts from one bin to
            `artefact_s` and adds up to `artefact` to most channels at once, each in its own measure.
        artefact, artefact_s: its top, and its longest, in seconds.
    """

    bin_width_s: float
    windows: float = 0.25
    gain: float = 0.15
    baseline: float = 0.15
    dead: float = 0.02
    noisy: float = 0.02
    noise: float = 6.0
    artefacts_hz: float = 0.0625
    artefact: float = 8.0
    artefact_s: float = 0.256


def disturbed(batch: Batch, sd: Tensor, count_max: int, settings: Augmentation) -> Batch:
    """The same windows from a worse array. Draws from torch's global generator of the batch's device.

    Args:
        batch: as the sampler drew it; it is left as it is.
        sd: [N or 1, C, 1], of each channel's counts, in spikes per bin; a channel without any is left silent.
        count_max: largest count that comes out; the smallest is 0. They need not be whole any more.
        settings: what is done.
    """
    counts = batch.counts
    shape = (counts.shape[0], counts.shape[1], 1)
    gain = torch.exp(settings.gain * torch.randn(shape, device=counts.device))
    drift = settings.baseline * torch.randn(shape, device=counts.device)
    worse = counts * gain + (drift + _artefacts(counts, settings)) * sd
    fault = torch.rand(shape, device=counts.device)
    noise = settings.noise * sd * torch.rand_like(counts)
    worse = torch.where(fault < settings.dead + settings.noisy, noise, worse)
    worse = torch.where((fault < settings.dead) | (sd == 0.0), torch.zeros((), device=counts.device), worse)
    chosen = torch.rand((shape[0], 1, 1), device=counts.device) < settings.windows
    return replace(batch, counts=torch.where(chosen, worse.clamp(0.0, float(count_max)), counts))


def _artefacts(counts: Tensor, settings: Augmentation) -> Tensor:
    """What artefacts add, in SDs, [N, C, W]."""
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
    # The reference electrode and the wires decide how much of it a channel picks up, some nothing at all.
    share = (1.25 * torch.rand(n_windows, n_channels, device=counts.device) - 0.25).clamp(min=0.0)
    return share[:, :, None] * over[:, None, :]
