"""The two halves of a U-Net: an encoder to a latent with a skip at every level, and a decoder."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from rtdecode.errors import RtdecodeError
from rtdecode.models.nn.layers import ConvUnit, Pointwise, Rise, UnitSettings, hold, pool, stage


class Encoding(NamedTuple):
    """Output of an encoder for a window.

    Attributes:
        latent: [N, latent, T_deepest], continuous.
        skips: of each level but the deepest, level ℓ at 1/2^ℓ of the frames.
    """

    latent: Tensor
    skips: tuple[Tensor, ...]


class UEncoder(nn.Module):
    """At every level two convolutions, pooling by pairs between levels, and a linear latent at the end.

    Convolutions read spikes only. A causal encoder makes its latent and its skips from the pre-reset membrane
    potentials (`ConvUnit.with_potential`) of both layers of a level; the paper's makes them from the spikes
    of the second layer.

        encoder = UEncoder(96, (64, 64, 64), 32, UnitSettings(spiking=True))
        latent, skips = encoder(torch.randn(8, 96, 100))    # [8, 32, 25]; [8, 128, 100] and [8, 128, 50]

    Args:
        n_in: input channels (features, if planar).
        widths: channels of each level, the finest first.
        latent: channels of the latent.
        settings: of the units; planar ones pool over the channel axis too.
        padded: False if the input includes the frames around it that the first convolution reads.

    Raises:
        RtdecodeError: there is no level, or a width is below 1.
    """

    def __init__(
        self, n_in: int, widths: Sequence[int], latent: int, settings: UnitSettings, *, padded: bool = True
    ) -> None:
        super().__init__()
        if not widths or min(*widths, latent, n_in) < 1:
            raise RtdecodeError(
                f"a network cannot have levels {tuple(widths)} and a latent of {latent} from {n_in} channels",
                fix="give one level or more, each number 1 or more",
            )
        self.stages = nn.ModuleList(
            stage(before, width, settings, padded=padded or level > 0)
            for level, (before, width) in enumerate(zip([n_in, *widths], widths, strict=False))
        )
        self._planar, self._passes_potentials = settings.planar, settings.causal
        self.skip_widths = tuple(2 * width if self._passes_potentials else width for width in widths)
        self.latent = Pointwise(self.skip_widths[-1], latent)

    def forward(self, x: Tensor) -> Encoding:
        levels: list[Tensor] = []
        for level, units in enumerate(self.stages):
            first, second = cast("tuple[ConvUnit, ConvUnit]", units)
            x, potential = first.with_potential(x if level == 0 else pool(x, planar=self._planar))
            x, other = second.with_potential(x)
            levels.append(torch.cat([potential, other], dim=1) if self._passes_potentials else x)
        return Encoding(self.latent(levels[-1]), tuple(levels[:-1]))


class UDecoder(nn.Module):
    """From the latent, at every level: upsampling by 2, the skip, and two convolutions.

    Causal levels hold a frame until the next (`hold`), and read the skip at the current frame only: a
    membrane potential has a memory of its own. The others use a transposed convolution (`Rise`), and convolve
    the skip as well. With a single level there is nothing to upsample and the latent is the result.

    Args:
        skip_widths: `UEncoder.skip_widths`: the finest level first, the deepest included.
        latent: channels of the latent.
        dec_widths: output channels of each level but the deepest, the finest first.
        settings: of the units.
        potentials: output the potentials of both layers of the finest level (`ConvUnit.with_potential`);
            else the spikes of its second layer.

    Raises:
        RtdecodeError: the widths do not fit each other.
    """

    def __init__(
        self,
        skip_widths: Sequence[int],
        latent: int,
        dec_widths: Sequence[int],
        settings: UnitSettings,
        *,
        potentials: bool = False,
    ) -> None:
        super().__init__()
        if len(dec_widths) != len(skip_widths) - 1 or min(dec_widths, default=1) < 1:
            raise RtdecodeError(
                f"decoder levels {tuple(dec_widths)} do not fit skips of {tuple(skip_widths)} channels",
                fix=f"give {len(skip_widths) - 1} decoder levels, each 1 or more",
            )
        below = [*dec_widths[1:], latent] if dec_widths else []
        self.stages = nn.ModuleList(
            stage(deeper, width, settings, n_beside=skip)
            if settings.causal
            else stage(deeper + skip, width, settings)
            for deeper, skip, width in zip(below, skip_widths, dec_widths, strict=False)
        )
        self.rises = nn.ModuleList(
            [] if settings.causal else [Rise(deeper, planar=settings.planar) for deeper in below]
        )
        self.potentials = potentials and bool(dec_widths)
        self.n_out = (2 if self.potentials else 1) * dec_widths[0] if dec_widths else latent

    def forward(self, encoding: Encoding) -> Tensor:
        """[N, n_out, T] from an encoding of T frames."""
        x = encoding.latent
        potentials: tuple[Tensor, ...] = ()
        for level in reversed(range(len(self.stages))):
            skip = encoding.skips[level]
            first, second = cast("tuple[ConvUnit, ConvUnit]", self.stages[level])
            if len(self.rises):
                x, potential = first.with_potential(torch.cat([self.rises[level](x, skip), skip], dim=1))
            else:
                x, potential = first.with_potential(hold(x, skip.shape[-1]), skip)
            x, other = second.with_potential(x)
            potentials = (potential, other)
        return torch.cat(potentials, dim=1) if self.potentials else x
