"""A recurrent network of gated units, a baseline for other decoders."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn

from rtdecode.errors import RtdecodeError
from rtdecode.models.nn.dropout import dropout
from rtdecode.models.nn.network import Network, NetworkSettings


@dataclass(frozen=True, kw_only=True)
class GRUNetSettings(NetworkSettings):
    """Settings of a `GRUNet`; the fields are stored in model files.

    Attributes:
        hidden: number of units; `feature_dropout` is applied to them in front of the head.
    """

    hidden: int = 128


class GRUNet(Network):
    """One layer of gated recurrent units (Cho et al. 2014) over normalised counts, and a linear head.

        net = GRUNet(GRUNetSettings(n_channels=96, n_outputs=4, count_max=64))
        net.read_in.add("monday", mean=counts.mean(axis=0), sd=counts.std(axis=0))
        net.decode(batch)                               # [N, 96, T] counts → [N, 4, T] behaviour

    The state starts at zero.

    Raises:
        RtdecodeError: a number is out of its range.
    """

    kind: ClassVar[str] = "gru"
    Settings: ClassVar[type[GRUNetSettings]] = GRUNetSettings

    config: GRUNetSettings

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
