"""A recurrent network of gated units, a baseline for other decoders."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from typing import ClassVar

from torch import Tensor, nn

from rtdecode.errors import RtdecodeError
from rtdecode.models.nn.dropout import dropout
from rtdecode.models.nn.network import Network


@dataclass(frozen=True)
class GRUNetSettings:
    """Settings of a `GRUNet`; the fields are stored in model files.

    Attributes:
        n_channels: C, of counts.
        n_outputs: D, of behaviour.
        count_max: larger counts are clipped to it.
        hidden: number of units.
        dropout, channel_dropout: on the read-in's normalised counts, see `ReadIn`.
        feature_dropout: on the units that the head reads.
    """

    n_channels: int
    n_outputs: int
    count_max: int
    _: KW_ONLY
    hidden: int = 128
    dropout: float = 0.1
    channel_dropout: float = 0.1
    feature_dropout: float = 0.0


class GRUNet(Network):
    """One layer of gated recurrent units (Cho et al. 2014) over normalised counts, and a linear head.

        net = GRUNet(GRUNetSettings(n_channels=96, n_outputs=4, count_max=64))
        net.read_in.add("monday", mean=counts.mean(axis=0), sd=counts.std(axis=0))
        net.decode(batch)                               # [N, 96, T] counts → [N, 4, T] behaviour

    The state starts at zero.

    Args:
        config: settings.

    Raises:
        RtdecodeError: a number is out of its range.
    """

    kind: ClassVar[str] = "gru"
    Settings: ClassVar[type[GRUNetSettings]] = GRUNetSettings

    config: GRUNetSettings
    gru: nn.GRU
    head: nn.Linear

    def __init__(self, config: GRUNetSettings) -> None:
        super().__init__(config)
        if config.hidden < 1:
            raise RtdecodeError(f"a network cannot have {config.hidden} units", fix="give 1 or more")
        self.gru = nn.GRU(config.n_channels, config.hidden, batch_first=True)
        self.head = nn.Linear(config.hidden, config.n_outputs)

    def decode(self, counts: Tensor, session: str | Sequence[str] | None = None) -> Tensor:
        z = self.read_in(counts, session)
        states, _ = self.gru(z.transpose(1, 2))
        features = dropout(states, self.config.feature_dropout, self.training)
        behavior: Tensor = self.head(features).transpose(1, 2)
        return behavior

    def forward(self, counts: Tensor, session: str | Sequence[str] | None = None) -> Tensor:
        """The same as `decode`, for wrappers that train through `forward`."""
        return self.decode(counts, session)
