"""The trunks of the baseline networks: from a sequence to features of every frame.

Each maps [N, n_in, T] to [N, n_out, T], causal (frame t reads frames 0 … t) or not.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rtdecode.errors import RtdecodeError
from rtdecode.models.nn.dropout import Dropout
from rtdecode.models.nn.layers import ConvUnit, Pointwise, Rise, UnitSettings, frames_around, hold, pool
from rtdecode.models.nn.network import NetworkSettings


@dataclass(frozen=True, kw_only=True)
class BaselineNetSettings(NetworkSettings):
    """Settings of a `BaselineNet`, and of both of its trunks.

    Attributes:
        trunk: "mlp", "gru", "resnet" or "resnet-unet".
        causal: frame t reads frames 0 … t.
        width: units of each layer, or channels of each block or level.
        depth: number of layers, blocks or levels; not for a GRU, which has one layer.
        reach: for an MLP, frames that its window covers: the last ones if causal, else centred.
        feature_dropout: after each layer of an MLP, in each residual block, and on the features.
    """

    trunk: str
    causal: bool
    width: int = 128
    depth: int = 3
    reach: int = 16
    dropout: float = 0.2
    channel_dropout: float = 0.2
    feature_dropout: float = 0.2


class MLPTrunk(nn.Module):
    """A perceptron over a window of frames, as one vector: layers of rectified units.

    Args:
        n_in: input channels.
        settings: of the trunk.
    """

    def __init__(self, n_in: int, settings: BaselineNetSettings) -> None:
        super().__init__()
        reach, width = settings.reach, settings.width
        self.n_out = width
        self.around = (reach - 1, 0) if settings.causal else (reach // 2, reach - 1 - reach // 2)
        self.window = nn.Conv1d(n_in, width, reach)
        self.layers = nn.ModuleList(Pointwise(width, width) for _ in range(settings.depth - 1))
        self.dropout = Dropout(settings.feature_dropout)

    def forward(self, x: Tensor) -> Tensor:
        features: Tensor = self.dropout(F.relu(self.window(F.pad(x, self.around))))
        for layer in self.layers:
            features = self.dropout(F.relu(layer(features)))
        return features


class GRUTrunk(nn.Module):
    """Gated recurrent units (Cho et al. 2014); bidirectional if not causal.

    Args:
        n_in: input channels.
        settings: of the trunk; `width` units for each direction.
    """

    def __init__(self, n_in: int, settings: BaselineNetSettings) -> None:
        super().__init__()
        self.n_out = settings.width if settings.causal else 2 * settings.width
        self.gru = nn.GRU(n_in, settings.width, batch_first=True, bidirectional=not settings.causal)
        self.dropout = Dropout(settings.feature_dropout)

    def forward(self, x: Tensor) -> Tensor:
        states, _ = self.gru(x.transpose(1, 2))
        features: Tensor = self.dropout(states.transpose(1, 2))
        return features


class Residual(nn.Module):
    """x + f(x), rectified; f is two convolutions over three frames (He et al. 2016, CVPR).

    Args:
        n_in, n_out: channels; x is mapped linearly if they differ.
        causal: frame t reads frames 0 … t.
        dropout: after the first convolution.
    """

    def __init__(self, n_in: int, n_out: int, *, causal: bool, dropout: float) -> None:
        super().__init__()
        self.first = ConvUnit(n_in, n_out, UnitSettings(spiking=False, causal=causal, dropout=dropout))
        self.second = nn.Conv1d(n_out, n_out, 3, bias=False)
        self.norm = nn.BatchNorm1d(n_out)
        self.past = Pointwise(n_in, n_out, bias=False) if n_in != n_out else nn.Identity()
        self.around = frames_around(causal)

    def forward(self, x: Tensor) -> Tensor:
        if not x.shape[-1]:  # the window is too short for this level
            return x.new_zeros(len(x), self.second.out_channels, 0)
        y = self.norm(self.second(F.pad(self.first(x), self.around)))
        return F.relu(self.past(x) + y)


class ResNetTrunk(nn.Module):
    """A chain of residual blocks, all at the rate of the bins.

    Args:
        n_in: input channels.
        settings: of the trunk.
    """

    def __init__(self, n_in: int, settings: BaselineNetSettings) -> None:
        super().__init__()
        self.n_out = settings.width
        self.blocks = nn.Sequential(*_blocks(n_in, settings))
        self.dropout = Dropout(settings.feature_dropout)

    def forward(self, x: Tensor) -> Tensor:
        features: Tensor = self.dropout(self.blocks(x))
        return features


class ResUNetTrunk(nn.Module):
    """A residual encoder that halves time at each level, and a U-Net's decoder with skips.

    Args:
        n_in: input channels.
        settings: of the trunk; a causal one upsamples by `hold`, others by `Rise`.
    """

    def __init__(self, n_in: int, settings: BaselineNetSettings) -> None:
        super().__init__()
        width, depth, causal = settings.width, settings.depth, settings.causal
        self.n_out = width
        self.causal = causal
        self.down = nn.ModuleList(_blocks(n_in, settings))
        self.rise = nn.ModuleList(Rise(width) for _ in range(0 if causal else depth - 1))
        self.up = nn.ModuleList(
            Residual(2 * width, width, causal=causal, dropout=settings.feature_dropout)
            for _ in range(depth - 1)
        )
        self.dropout = Dropout(settings.feature_dropout)

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
_TRUNKS: dict[str, type[Trunk]] = {
    "mlp": MLPTrunk,
    "gru": GRUTrunk,
    "resnet": ResNetTrunk,
    "resnet-unet": ResUNetTrunk,
}


def new_trunk(n_in: int, settings: BaselineNetSettings) -> Trunk:
    """The trunk for a number of input channels.

    Raises:
        RtdecodeError: the kind is unknown, or a number is below 1.
    """
    kind = settings.trunk
    if min(n_in, settings.width, settings.depth, settings.reach) < 1:
        raise RtdecodeError(
            f"a {kind} cannot have width {settings.width}, depth {settings.depth} and reach {settings.reach}",
            fix="give 1 or more for each",
        )
    if kind not in _TRUNKS:
        raise RtdecodeError(f"there is no baseline {kind!r}", fix="use mlp, gru, resnet or resnet-unet")
    return _TRUNKS[kind](n_in, settings)


def _blocks(n_in: int, settings: BaselineNetSettings) -> list[Residual]:
    width = settings.width
    return [
        Residual(n_in if i == 0 else width, width, causal=settings.causal, dropout=settings.feature_dropout)
        for i in range(settings.depth)
    ]
