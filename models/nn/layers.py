"""Parts of a U-Net over time: convolution stages, pooling by pairs, and upsampling.

Tensors are [N, channels, T], or [N, features, channels, T] where convolutions run over channels too; time is
always the last axis. Causal parts read frame t and earlier ones, the others read both sides.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rtdecode.kernels.arrays import F8
from rtdecode.models.nn.dropout import Dropout
from rtdecode.models.nn.lif import LIF, POTENTIAL_MAX

KERNEL = 3


@dataclass(frozen=True, kw_only=True)
class UnitSettings:
    """Settings that all convolution units of an encoder or a decoder share.

    Attributes:
        spiking: neurons fire (`LIF`); else they rectify (`ReLU`).
        causal: convolve frames t−2 … t; else t−1 … t+1.
        planar: convolve over the channel axis too, 3 × 3, with zeros around it.
        dropout: probability of setting a single output to 0, while training.
    """

    spiking: bool
    causal: bool = True
    planar: bool = False
    dropout: float = 0.0


class ConvUnit(nn.Module):
    """A convolution over three frames, batch normalisation, and a neuron: `LIF` or `ReLU`.

        unit = ConvUnit(96, 64, UnitSettings(spiking=True))
        spikes = unit(torch.randn(8, 96, 100))         # [8, 64, 100]

    The convolution has no bias: the normalisation would subtract it. Frames before the first one count as
    zeros, and frames after the last one if the unit is not causal.

    Args:
        n_in: input channels (features, if planar).
        n_out: output channels.
        settings: of the unit.
        padded: False if the input already includes the frames around it.
        n_beside: channels of a second input, read at frame t only; 0 for none.

    Shape:
        [N, n_in, T], [N, n_beside, T] → [N, n_out, T] (T − 2 without padding); planar [N, n_in, C, T] →
        [N, n_out, C, T].
    """

    conv: nn.Conv1d | nn.Conv2d
    norm: nn.BatchNorm1d | nn.BatchNorm2d

    def __init__(
        self,
        n_in: int,
        n_out: int,
        settings: UnitSettings,
        *,
        padded: bool = True,
        n_beside: int = 0,
    ) -> None:
        super().__init__()
        self.beside = Pointwise(n_beside, n_out, bias=False) if n_beside else None
        if settings.planar:
            self.conv = nn.Conv2d(n_in, n_out, KERNEL, bias=False)
            self.norm = nn.BatchNorm2d(n_out)
        else:
            self.conv = nn.Conv1d(n_in, n_out, KERNEL, bias=False)
            self.norm = nn.BatchNorm1d(n_out)
        self.neuron = LIF() if settings.spiking else nn.ReLU()
        self.dropout = Dropout(settings.dropout)
        around = frames_around(settings.causal) if padded else (0, 0)
        self.padding = (*around, 1, 1) if settings.planar else around

    def forward(self, x: Tensor, beside: Tensor | None = None) -> Tensor:
        return self.with_potential(x, beside)[0]

    def with_potential(self, x: Tensor, beside: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Outputs, and pre-reset membrane potentials clipped to [0, 1]; both are the same for `ReLU`."""
        x = F.pad(x, self.padding)
        if x.shape[-1] < KERNEL:  # no frame: the window is too short for this level
            none = x.new_zeros(
                len(x), self.conv.out_channels, *(size - KERNEL + 1 for size in x.shape[2:-1]), 0
            )
            return none, none
        # Neurons sum over time, and the 8 significant bits of bfloat16 are too few for that.
        driven = self.conv(x)
        if self.beside is not None and beside is not None:
            driven = driven + self.beside(beside)
        current = self.norm(driven).float()
        if isinstance(self.neuron, LIF):
            fired = self.neuron.fire(current)
            return self.dropout(fired.spikes), fired.potential.clamp(0.0, POTENTIAL_MAX)
        y: Tensor = self.dropout(self.neuron(current))
        return y, y

    def affine(self) -> tuple[F8, F8]:
        """Gain and shift f8[n_out] of the normalisation in evaluation."""
        norm = self.norm
        assert norm.running_mean is not None
        assert norm.running_var is not None
        mean, variance, weight, bias = (
            part.detach().cpu().double().numpy()
            for part in (norm.running_mean, norm.running_var, norm.weight, norm.bias)
        )
        gain = weight / np.sqrt(variance + norm.eps)
        return gain, bias - mean * gain


class Pointwise(nn.Linear):
    """A linear map of the channels, the same in every frame: a 1 × 1 convolution that accepts T = 0.

    Shape:
        [N, n_in, …] → [N, n_out, …].
    """

    def forward(self, x: Tensor) -> Tensor:
        y = self.weight @ x.flatten(2)
        if self.bias is not None:
            y = y + self.bias[:, None]
        return y.reshape(len(x), self.out_features, *x.shape[2:])


def stage(
    n_in: int, n_out: int, settings: UnitSettings, *, padded: bool = True, n_beside: int = 0
) -> nn.Sequential:
    """Two `ConvUnit`s, n_in → n_out → n_out; `padded` and `n_beside` apply to the input of the first."""
    return nn.Sequential(
        ConvUnit(n_in, n_out, settings, padded=padded, n_beside=n_beside), ConvUnit(n_out, n_out, settings)
    )


def frames_around(causal: bool) -> tuple[int, int]:
    """Number of frames that a convolution reads before and after its own."""
    return (KERNEL - 1, 0) if causal else (KERNEL // 2, KERNEL // 2)


def pool(x: Tensor, *, planar: bool = False) -> Tensor:
    """The maximum of frames 2j and 2j+1 (of spikes: whether either fired); a last odd frame is dropped.

    Where both are equal, as in silence, each gets half of the gradient.

    Shape:
        […, T] → […, ⌊T/2⌋]; planar […, C, T] → […, ⌊C/2⌋, ⌊T/2⌋].
    """
    n = x.shape[-1] // 2
    pooled = torch.maximum(x[..., 0 : 2 * n : 2], x[..., 1 : 2 * n : 2])
    if planar:
        return pool(pooled.transpose(-1, -2)).transpose(-1, -2)
    return pooled


def hold(x: Tensor, n_frames: int) -> Tensor:
    """Causal upsampling by 2: frame k reads frame ⌊(k+1)/2⌋ − 1, where frame −1 is zero.

    Frame j of `x` covers fine frames 2j and 2j+1, so 2j+1 is the first that may read it.

    Args:
        x: […, ⌊n_frames/2⌋].
        n_frames: number of frames of the result.
    """
    return F.pad(x.repeat_interleave(2, dim=-1), (1, 0))[..., :n_frames]


class Rise(nn.Module):
    """Non-causal upsampling by 2: a transposed convolution over pairs, as in the paper.

    Args:
        n_channels: in and out.
        planar: upsample the channel axis too.

    Shape:
        [N, n_channels, ⌊T/2⌋] → [N, n_channels, T], frames without a source are zero; planar
        [N, n_channels, ⌊C/2⌋, ⌊T/2⌋] → [N, n_channels, C, T].
    """

    def __init__(self, n_channels: int, *, planar: bool = False) -> None:
        super().__init__()
        transposed = nn.ConvTranspose2d if planar else nn.ConvTranspose1d
        self.conv = transposed(n_channels, n_channels, kernel_size=2, stride=2)

    def forward(self, x: Tensor, like: Tensor) -> Tensor:
        if not x.numel():
            return x.new_zeros(*x.shape[:2], *like.shape[2:])
        risen: Tensor = self.conv(x)
        missing = [size - have for size, have in zip(like.shape[2:], risen.shape[2:], strict=True)]
        return F.pad(risen, [pad for size in reversed(missing) for pad in (0, size)])
