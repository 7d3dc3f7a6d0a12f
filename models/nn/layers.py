"""The parts of a U-Net over time: convolution stages, pooling by pairs, and the way back up.

Tensors are [N, channels, T], or [N, features, channels, T] where convolutions run over channels too; time is
always the last axis. Causal parts look at frame t and before, the others at both sides.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rtdecode.models.nn.dropout import Dropout
from rtdecode.models.nn.lif import FULL, LIF

KERNEL = 3


class ConvUnit(nn.Module):
    """A convolution of three frames, batch normalisation, and a neuron: `LIF` or `ReLU`.

        unit = ConvUnit(96, 64, spiking=True)
        spikes = unit(torch.randn(8, 96, 100))         # [8, 64, 100]

    The convolution has no bias, which the normalisation would take away again. Frames before the first one
    count as zeros, and after the last one where it is not causal.

    Args:
        n_in: channels in (features, if planar).
        n_out: channels out.
        spiking: fire (`LIF`) or rectify (`ReLU`).
        causal: frames t−2 … t, not t−1 … t+1.
        planar: convolve over the channel axis too, 3 × 3, with zeros around it.
        padded: False where the input already brings the frames around it.
        dropout: probability of taking a single result for 0, while training.
        n_beside: channels of a second input, of which frame t reads frame t alone; 0 for none.

    Shape:
        [N, n_in, T], [N, n_beside, T] → [N, n_out, T] (T − 2 without padding); planar [N, n_in, C, T] →
        [N, n_out, C, T].
    """

    conv: nn.Conv1d | nn.Conv2d
    beside: Pointwise | None
    norm: nn.BatchNorm1d | nn.BatchNorm2d
    neuron: nn.Module
    dropout: Dropout
    padding: tuple[int, ...]

    def __init__(
        self,
        n_in: int,
        n_out: int,
        *,
        spiking: bool,
        causal: bool = True,
        planar: bool = False,
        padded: bool = True,
        dropout: float = 0.0,
        n_beside: int = 0,
    ) -> None:
        super().__init__()
        self.beside = Pointwise(n_beside, n_out, bias=False) if n_beside else None
        if planar:
            self.conv = nn.Conv2d(n_in, n_out, KERNEL, bias=False)
            self.norm = nn.BatchNorm2d(n_out)
        else:
            self.conv = nn.Conv1d(n_in, n_out, KERNEL, bias=False)
            self.norm = nn.BatchNorm1d(n_out)
        self.neuron = LIF() if spiking else nn.ReLU()
        self.dropout = Dropout(dropout)
        around = frames_around(causal) if padded else (0, 0)
        self.padding = (*around, 1, 1) if planar else around

    def forward(self, x: Tensor, beside: Tensor | None = None) -> Tensor:
        return self.charged(x, beside)[0]

    def charged(self, x: Tensor, beside: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """What the neurons pass on, and beside it how far each was charged, 0 to 1.

        The charge is the membrane before the reset, 0 where it is below rest and 1 where it is above 1. For
        neurons that rectify both are the same.
        """
        x = F.pad(x, self.padding)
        if x.shape[-1] < KERNEL:  # no frame: the level is deeper than the window is long
            none = x.new_zeros(
                len(x), self.conv.out_channels, *(size - KERNEL + 1 for size in x.shape[2:-1]), 0
            )
            return none, none
        # Neurons sum over time, which 8 bits of a bfloat16 would not bear.
        driven = self.conv(x)
        if self.beside is not None and beside is not None:
            driven = driven + self.beside(beside)
        current = self.norm(driven).float()
        if isinstance(self.neuron, LIF):
            fired = self.neuron.fire(current)
            return self.dropout(fired.spikes), fired.charge.clamp(0.0, FULL)
        y: Tensor = self.dropout(self.neuron(current))
        return y, y


class Pointwise(nn.Linear):
    """A linear map of the channels, the same in every frame: a 1 × 1 convolution, for no frames as well.

    Shape:
        [N, n_in, …] → [N, n_out, …].
    """

    def forward(self, x: Tensor) -> Tensor:
        y = self.weight @ x.flatten(2)
        if self.bias is not None:
            y = y + self.bias[:, None]
        return y.reshape(len(x), self.out_features, *x.shape[2:])


def stage(
    n_in: int,
    n_out: int,
    *,
    spiking: bool,
    causal: bool = True,
    planar: bool = False,
    padded: bool = True,
    dropout: float = 0.0,
    n_beside: int = 0,
) -> nn.Sequential:
    """Two `ConvUnit`s, n_in → n_out → n_out; `padded` and `n_beside` are about the first one's input."""
    form: dict[str, Any] = {"spiking": spiking, "causal": causal, "planar": planar, "dropout": dropout}
    return nn.Sequential(
        ConvUnit(n_in, n_out, padded=padded, n_beside=n_beside, **form),
        ConvUnit(n_out, n_out, **form),
    )


def frames_around(causal: bool) -> tuple[int, int]:
    """How many frames before and after its own a convolution looks at."""
    return (KERNEL - 1, 0) if causal else (KERNEL // 2, KERNEL // 2)


def pool(x: Tensor, *, planar: bool = False) -> Tensor:
    """The larger of frames 2j and 2j+1 (spikes: whether either fired); a last odd frame is dropped.

    Where both are equal, as silent frames are, each gets half of the gradient.

    Shape:
        […, T] → […, ⌊T/2⌋]; planar […, C, T] → […, ⌊C/2⌋, ⌊T/2⌋].
    """
    n = x.shape[-1] // 2
    pooled = torch.maximum(x[..., 0 : 2 * n : 2], x[..., 1 : 2 * n : 2])
    if planar:
        return pool(pooled.transpose(-1, -2)).transpose(-1, -2)
    return pooled


def hold(x: Tensor, n_frames: int) -> Tensor:
    """Back to twice the frames without looking ahead: frame k reads frame ⌊(k+1)/2⌋ − 1, frame −1 being zero.

    Frame j of `x` covers fine frames 2j and 2j+1, so 2j+1 is the first that may read it.

    Args:
        x: […, ⌊n_frames/2⌋].
        n_frames: of the result.
    """
    return F.pad(x.repeat_interleave(2, dim=-1), (1, 0))[..., :n_frames]


class Rise(nn.Module):
    """Back to twice the frames by a transposed convolution over pairs, as the paper does; looks ahead.

    Args:
        n_channels: in and out.
        planar: twice the channel axis too.

    Shape:
        [N, n_channels, ⌊T/2⌋] → [N, n_channels, T], what has no source being zero; planar
        [N, n_channels, ⌊C/2⌋, ⌊T/2⌋] → [N, n_channels, C, T].
    """

    conv: nn.ConvTranspose1d | nn.ConvTranspose2d

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
