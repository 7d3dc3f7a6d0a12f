"""The two halves of a U-Net: down to a latent with a skip at every level, and up again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn

from rtdecode.errors import RtdecodeError
from rtdecode.models.nn.layers import ConvUnit, Pointwise, Rise, hold, pool, stage


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

    What fires reads spikes alone. A causal encoder makes its latent and its skips of charges
    (`ConvUnit.charged`), of both layers of a level; the paper's makes them of the second layer's spikes.

        encoder = UEncoder(96, widths=(64, 64, 64), latent=32, spiking=True)
        latent, skips = encoder(torch.randn(8, 96, 100))    # [8, 32, 25]; [8, 128, 100] and [8, 128, 50]

    Args:
        n_in: channels in (features, if planar).
        widths: channels of each level, the finest first.
        latent: channels of the latent.
        spiking: fire (`LIF`) or rectify (`ReLU`).
        causal: no frame reads a later one.
        planar: convolve and pool over the channel axis too.
        padded: False where the input brings the frames around it that the first convolution reads.
        dropout: on what each unit says, see `ConvUnit`.

    Raises:
        RtdecodeError: no level, or a width below 1.
    """

    stages: nn.ModuleList
    latent: Pointwise
    planar: bool
    graded: bool
    across: tuple[int, ...]

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
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if not widths or min(*widths, latent, n_in) < 1:
            raise RtdecodeError(f"a network of levels {tuple(widths)} with a latent of {latent} from {n_in}")
        form: dict[str, Any] = {"spiking": spiking, "causal": causal, "planar": planar, "dropout": dropout}
        self.stages = nn.ModuleList(
            stage(before, width, padded=padded or level > 0, **form)
            for level, (before, width) in enumerate(zip([n_in, *widths], widths, strict=False))
        )
        self.planar, self.graded = planar, causal
        self.across = tuple(2 * width if self.graded else width for width in widths)
        self.latent = Pointwise(self.across[-1], latent)

    def forward(self, x: Tensor) -> Encoding:
        levels: list[Tensor] = []
        for level, units in enumerate(self.stages):
            first, second = cast("tuple[ConvUnit, ConvUnit]", units)
            x, charge = first.charged(x if level == 0 else pool(x, planar=self.planar))
            x, another = second.charged(x)
            levels.append(torch.cat([charge, another], dim=1) if self.graded else x)
        return Encoding(self.latent(levels[-1]), tuple(levels[:-1]))


class UDecoder(nn.Module):
    """Up: from the latent, at every level twice the frames, the skip beside it, and two convolutions.

    Causal levels hold a frame until the next (`hold`), and read the skip's frame at hand alone: a charge
    remembers by itself. The others use a transposed convolution (`Rise`), and convolve the skip as well.
    With one level there is nothing to climb and the latent is the result.

    Args:
        across: channels of what each level of the encoder passes across, the finest first, the deepest
            level's included.
        latent: channels of the latent.
        dec_widths: channels that come out at each level but the deepest, the finest first.
        spiking: fire (`LIF`) or rectify (`ReLU`).
        causal: no frame reads a later one.
        planar: convolve over the channel axis too.
        dropout: on what each unit says, see `ConvUnit`.
        graded: what comes out are the charges of the finest level's two layers (`ConvUnit.charged`), not what
            its second one fires.

    Raises:
        RtdecodeError: the widths do not fit each other.
    """

    stages: nn.ModuleList
    rises: nn.ModuleList
    n_out: int

    def __init__(
        self,
        across: Sequence[int],
        latent: int,
        dec_widths: Sequence[int],
        *,
        spiking: bool,
        causal: bool = True,
        planar: bool = False,
        dropout: float = 0.0,
        graded: bool = False,
    ) -> None:
        super().__init__()
        if len(dec_widths) != len(across) - 1 or min(dec_widths, default=1) < 1:
            raise RtdecodeError(f"decoder levels {tuple(dec_widths)} beside skips of {tuple(across)}")
        form: dict[str, Any] = {"spiking": spiking, "causal": causal, "planar": planar, "dropout": dropout}
        below = [*dec_widths[1:], latent] if dec_widths else []
        self.stages = nn.ModuleList(
            stage(deeper, width, n_beside=skip, **form) if causal else stage(deeper + skip, width, **form)
            for deeper, skip, width in zip(below, across, dec_widths, strict=False)
        )
        self.rises = nn.ModuleList([] if causal else [Rise(deeper, planar=planar) for deeper in below])
        self.graded = graded and bool(dec_widths)
        self.n_out = (2 if self.graded else 1) * dec_widths[0] if dec_widths else latent

    def forward(self, encoding: Encoding) -> Tensor:
        """[N, n_out, T] from an encoding of T frames."""
        x = encoding.latent
        charges: tuple[Tensor, ...] = ()
        for level in reversed(range(len(self.stages))):
            skip = encoding.skips[level]
            first, second = cast("tuple[ConvUnit, ConvUnit]", self.stages[level])
            if len(self.rises):
                x, charge = first.charged(torch.cat([self.rises[level](x, skip), skip], dim=1))
            else:
                x, charge = first.charged(hold(x, skip.shape[-1]), skip)
            x, another = second.charged(x)
            charges = (charge, another)
        return torch.cat(charges, dim=1) if self.graded else x
