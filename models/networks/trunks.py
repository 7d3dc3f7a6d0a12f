"""The inside of the baseline networks: from a sequence to features of every frame.

Each maps [N, n_in, T] to [N, n_out, T], causal (frame t reads frames 0 … t) or not.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rtdecode.errors import RtdecodeError
from rtdecode.models.nn.dropout import Dropout
from rtdecode.models.nn.layers import ConvUnit, Pointwise, Rise, frames_around, hold, pool


class MLPTrunk(nn.Module):
    """A perceptron over a window of frames, taken as one vector: `depth` layers of rectified units.

    Args:
        n_in: channels in.
        width: units of each layer.
        depth: layers.
        reach: frames that a causal window looks back; another one looks half as far to each side.
        causal: see above.
        dropout: behind each layer.
    """

    def __init__(
        self, n_in: int, *, width: int, depth: int, reach: int, causal: bool, dropout: float
    ) -> None:
        super().__init__()
        self.n_out = width
        self.around = (reach - 1, 0) if causal else (reach // 2, reach - 1 - reach // 2)
        self.window = nn.Conv1d(n_in, width, reach)
        self.layers = nn.ModuleList(Pointwise(width, width) for _ in range(depth - 1))
        self.dropout = Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        features: Tensor = self.dropout(F.relu(self.window(F.pad(x, self.around))))
        for layer in self.layers:
            features = self.dropout(F.relu(layer(features)))
        return features


class GRUTrunk(nn.Module):
    """Gated recurrent units (Cho et al. 2014); both ways through time where it is not causal.

    Args:
        n_in: channels in.
        width: units, of each direction.
        causal: see above.
        dropout: on the units.
    """

    def __init__(self, n_in: int, *, width: int, causal: bool, dropout: float) -> None:
        super().__init__()
        self.n_out = width if causal else 2 * width
        self.gru = nn.GRU(n_in, width, batch_first=True, bidirectional=not causal)
        self.dropout = Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        states, _ = self.gru(x.transpose(1, 2))
        features: Tensor = self.dropout(states.transpose(1, 2))
        return features


class Residual(nn.Module):
    """x + f(x), f being two convolutions of three frames (He et al. 2016, CVPR), rectified.

    Args:
        n_in, n_out: channels; where they differ, x is mapped linearly.
        causal: see above.
        dropout: behind the first convolution.
    """

    def __init__(self, n_in: int, n_out: int, *, causal: bool, dropout: float) -> None:
        super().__init__()
        self.first = ConvUnit(n_in, n_out, spiking=False, causal=causal, dropout=dropout)
        self.second = nn.Conv1d(n_out, n_out, 3, bias=False)
        self.norm = nn.BatchNorm1d(n_out)
        self.past = Pointwise(n_in, n_out, bias=False) if n_in != n_out else nn.Identity()
        self.around = frames_around(causal)

    def forward(self, x: Tensor) -> Tensor:
        if not x.shape[-1]:  # the level is deeper than the window is long
            return x.new_zeros(len(x), self.second.out_channels, 0)
        y = self.norm(self.second(F.pad(self.first(x), self.around)))
        return F.relu(self.past(x) + y)


class ResNetTrunk(nn.Module):
    """Residual blocks one after the other, all at the rate of the bins.

    Args:
        n_in: channels in.
        width: channels of each block.
        depth: blocks.
        causal: see above.
        dropout: in each block, and behind the last.
    """

    def __init__(self, n_in: int, *, width: int, depth: int, causal: bool, dropout: float) -> None:
        super().__init__()
        self.n_out = width
        self.blocks = nn.Sequential(
            *(
                Residual(n_in if i == 0 else width, width, causal=causal, dropout=dropout)
                for i in range(depth)
            )
        )
        self.dropout = Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        features: Tensor = self.dropout(self.blocks(x))
        return features


class ResUNetTrunk(nn.Module):
    """A residual encoder that halves time at each level, and a U-Net's decoder with skips back up.

    Args:
        n_in: channels in.
        width: channels of each level.
        depth: levels.
        causal: see above; a causal one holds a coarse frame until the next (`hold`), another one takes a
            transposed convolution.
        dropout: in each block, and behind the last.
    """

    def __init__(self, n_in: int, *, width: int, depth: int, causal: bool, dropout: float) -> None:
        super().__init__()
        self.n_out = width
        self.causal = causal
        self.down = nn.ModuleList(
            Residual(n_in if level == 0 else width, width, causal=causal, dropout=dropout)
            for level in range(depth)
        )
        self.rise = nn.ModuleList(Rise(width) for _ in range(0 if causal else depth - 1))
        self.up = nn.ModuleList(
            Residual(2 * width, width, causal=causal, dropout=dropout) for _ in range(depth - 1)
        )
        self.dropout = Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        skips: list[Tensor] = []
        for level, block in enumerate(self.down):
            x = block(x if level == 0 else pool(x))
            skips.append(x)
        for level in reversed(range(len(self.up))):
            skip = skips[level]
            risen = hold(x, skip.shape[-1]) if self.causal else self.rise[level](x, skip)
            x = self.up[level](torch.cat([risen, skip], dim=1))
        features: Tensor = self.dropout(x)
        return features


Trunk = MLPTrunk | GRUTrunk | ResNetTrunk | ResUNetTrunk


def new_trunk(
    kind: str, n_in: int, *, width: int, depth: int, reach: int, causal: bool, dropout: float
) -> Trunk:
    """The trunk of a kind: "mlp", "gru", "resnet" or "resnet-unet".

    Args:
        kind: see above.
        n_in: channels in.
        width, depth, reach, dropout: see the kind's class; `reach` is an MLP's, a GRU has one layer.
        causal: frame t reads frames 0 … t.

    Raises:
        RtdecodeError: there is no such kind, or a number is out of its range.
    """
    if min(n_in, width, depth, reach) < 1:
        raise RtdecodeError(f"a {kind} of width {width}, depth {depth} and reach {reach}")
    if kind == "mlp":
        return MLPTrunk(n_in, width=width, depth=depth, reach=reach, causal=causal, dropout=dropout)
    if kind == "gru":
        return GRUTrunk(n_in, width=width, causal=causal, dropout=dropout)
    if kind == "resnet":
        return ResNetTrunk(n_in, width=width, depth=depth, causal=causal, dropout=dropout)
    if kind == "resnet-unet":
        return ResUNetTrunk(n_in, width=width, depth=depth, causal=causal, dropout=dropout)
    raise RtdecodeError(f"there is no baseline {kind!r}", fix="use mlp, gru, resnet or resnet-unet")
