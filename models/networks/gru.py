"""A recurrent network of gated units, the baseline that decoders are measured against."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from torch import Tensor, nn

from rtdecode.errors import RtdecodeError
from rtdecode.models.nn.dropout import dropout as dropped
from rtdecode.models.nn.network import Network


class GRUNet(Network):
    """One layer of gated recurrent units (Cho et al. 2014) over normalised counts, and a linear head.

        net = GRUNet(n_channels=96, n_outputs=4, count_max=64)
        net.read_in.add("monday", mean=counts.mean(axis=0), sd=counts.std(axis=0))
        net.decode(batch)                               # [N, 96, T] counts → [N, 4, T] behaviour

    The state starts at zero.

    Args:
        n_channels: C, of counts.
        n_outputs: D, of behaviour.
        count_max: larger counts are clipped to it.
        hidden: units.
        dropout, channel_dropout: on the read-in's normalised counts, see `ReadIn`.
        feature_dropout: on the units that the head reads.

    Raises:
        RtdecodeError: a number is out of its range.
    """

    kind: ClassVar[str] = "gru"

    hidden: int
    gru: nn.GRU
    head: nn.Linear

    def __init__(
        self,
        n_channels: int,
        n_outputs: int,
        count_max: int,
        *,
        hidden: int = 128,
        dropout: float = 0.1,
        channel_dropout: float = 0.1,
        feature_dropout: float = 0.0,
    ) -> None:
        super().__init__(n_channels, n_outputs, count_max, dropout, channel_dropout, feature_dropout)
        if hidden < 1:
            raise RtdecodeError(f"a network of {hidden} units")
        self.hidden = hidden
        self.gru = nn.GRU(n_channels, hidden, batch_first=True)
        self.head = nn.Linear(hidden, n_outputs)

    @property
    def settings(self) -> dict[str, Any]:
        return {
            "n_channels": self.n_channels,
            "n_outputs": self.n_outputs,
            "count_max": self.read_in.count_max,
            "hidden": self.hidden,
            "dropout": self.read_in.dropout.p,
            "channel_dropout": self.read_in.channel_dropout.p,
            "feature_dropout": self.feature_dropout,
        }

    def decode(self, counts: Tensor, session: str | Sequence[str] | None = None) -> Tensor:
        z = self.read_in(counts, session)
        states, _ = self.gru(z.transpose(1, 2))
        behavior: Tensor = self.head(dropped(states, self.feature_dropout, self.training)).transpose(1, 2)
        return behavior

    def forward(self, counts: Tensor, session: str | Sequence[str] | None = None) -> Tensor:
        """The same as `decode`, for wrappers that train through `forward`."""
        return self.decode(counts, session)
