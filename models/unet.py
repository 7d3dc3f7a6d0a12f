"""The two halves of a U-Net: down to a latent with a skip at every level, and up again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from rtdecode.errors import RtdecodeError
from rtdecode.models.layers import Pointwise, Rise, hold, pool, stage


class Encoding(NamedTuple):
    """What an encoder says of a window.

    Attributes:
        latent: [N, latent, T_deepest], continuous.
        skips: what each level but the deepest passes across, level ℓ at 1/2^ℓ of the frames.
    """

    latent: Tensor
    skips: tuple[Tensor, ...]


class UEncoder(nn.Module):
    """Down: at every level two convolutions; pooling by pairs between levels; a linear latent at the end.

        encoder = UEncoder(96, widths=(64, 64, 64), latent=32, spiking=True)
        latent, skips = encoder(torch.randn(8, 96, 100))    # [8, 32, 25]; [8, 64, 100] and [8, 64, 50]

    Args:
        n_in: channels in (features, if planar).
        widths: channels of each level, the finest first.
        latent: channels of the latent.
        spiking: fire (`LIF`) or rectify (`ReLU`).
        causal: no frame reads a later one.
        planar: convolve and pool over the channel axis too.
        padded: False where the input brings the frames around it that the first convolution reads.

    Raises:
        RtdecodeError: no level, or a width below 1.
    """

    stages: nn.ModuleList
    latent: Pointwise
    planar: bool

    def __init__(
        self,
        n_in: int,
        widths: Sequence[int],
        latent: int,
        *,
        spiking: bool,
        causal: bool = True,
        planar: bool = False,
        padded: bool = True,
    ) -> None:
        super().__init__()
        if not widths or min(*widths, latent, n_in) < 1:
            raise RtdecodeError(f"a network of levels {tuple(widths)} with a latent of {latent} from {n_in}")
        self.stages = nn.ModuleList(
            stage(before, width, spiking=spiking, causal=causal, planar=planar, padded=padded or level > 0)
            for level, (before, width) in enumerate(zip([n_in, *widths], widths, strict=False))
        )
        self.latent = Pointwise(widths[-1], latent)
        self.planar = planar

    def forward(self, x: Tensor) -> Encoding:
        levels: list[Tensor] = []
        for level, convolve in enumerate(self.stages):
            x = convolve(x if level == 0 else pool(x, planar=self.planar))
            levels.append(x)
        return Encoding(self.latent(x), tuple(levels[:-1]))


class UDecoder(nn.Module):
    """Up: from the latent, at every level twice the frames, the skip beside it, and two convolutions.

    Causal levels hold a frame until the next (`hold`), the others use a transposed convolution (`Rise`).
    With one level there is nothing to climb and the latent is the result.

    Args:
        widths: channels of the skips, the finest level first, the deepest level's included.
        latent: channels of the latent.
        dec_widths: channels that come out at each level but the deepest, the finest first.
        spiking: fire (`LIF`) or rectify (`ReLU`).
        causal: no frame reads a later one.
        planar: convolve over the channel axis too.
        dropout: on what each unit says, see `ConvUnit`.

    Raises:
        RtdecodeError: the widths do not fit each other.
    """

    stages: nn.ModuleList
    rises: nn.ModuleList
    n_out: int

    def __init__(
        self,
        widths: Sequence[int],
        latent: int,
        dec_widths: Sequence[int],
        *,
        spiking: bool,
        causal: bool = True,
        planar: bool = False,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if len(dec_widths) != len(widths) - 1 or min(dec_widths, default=1) < 1:
            raise RtdecodeError(f"decoder levels {tuple(dec_widths)} above encoder levels {tuple(widths)}")
        below = [*dec_widths[1:], latent] if dec_widths else []
        self.stages = nn.ModuleList(
            stage(deeper + skip, width, spiking=spiking, causal=causal, planar=planar, dropout=dropout)
            for deeper, skip, width in zip(below, widths, dec_widths, strict=False)
        )
        self.rises = nn.ModuleList([] if causal else [Rise(deeper, planar=planar) for deeper in below])
        self.n_out = dec_widths[0] if dec_widths else latent

    def forward(self, encoding: Encoding) -> Tensor:
        """[N, dec_widths[0], T] from an encoding of T frames."""
        x = encoding.latent
        for level in reversed(range(len(self.stages))):
            skip = encoding.skips[level]
            risen = self.rises[level](x, skip) if len(self.rises) else hold(x, skip.shape[-1])
            x = self.stages[level](torch.cat([risen, skip], dim=1))
        return x
