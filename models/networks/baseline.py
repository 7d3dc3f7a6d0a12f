"""The paper's baseline networks, in both directions, with AlignNet's interface."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from torch import Tensor, nn

from rtdecode.models.networks.trunks import new_trunk
from rtdecode.models.nn.layers import Pointwise
from rtdecode.models.nn.network import Network


class BaselineNet(Network):
    """A trunk from spikes to behaviour and another one back, which share nothing but the read-in.

        net = BaselineNet(96, 4, 64, trunk="mlp", causal=True)
        net.read_in.add("monday", mean=counts.mean(axis=0), sd=counts.std(axis=0))
        net.decode(batch)                               # [N, 96, T] counts → [N, 4, T] behaviour
        net.simulate(behavior)                          # [N, 4, T] → [N, 96, T] spikes per bin

    Heads are AlignNet's: linear for behaviour, a softplus in units of each channel's SD for spikes.

    Args:
        n_channels: C, of counts.
        n_outputs: D, of behaviour.
        count_max: larger counts are clipped to it.
        trunk: "mlp", "gru", "resnet" or "resnet-unet", see `new_trunk`.
        causal: bin k reads bins 0 … k.
        width, depth, reach: of each trunk.
        dropout, channel_dropout: on the read-in's normalised counts, see `ReadIn`.
        feature_dropout: inside the trunks.

    Raises:
        RtdecodeError: there is no such trunk, or a number is out of its range.
    """

    kind: ClassVar[str] = "baseline"

    def __init__(
        self,
        n_channels: int,
        n_outputs: int,
        count_max: int,
        *,
        trunk: str,
        causal: bool,
        width: int = 128,
        depth: int = 3,
        reach: int = 16,
        dropout: float = 0.2,
        channel_dropout: float = 0.2,
        feature_dropout: float = 0.2,
    ) -> None:
        super().__init__(n_channels, n_outputs, count_max, dropout, channel_dropout, feature_dropout)
        self.trunk, self.causal = trunk, causal
        self.width, self.depth, self.reach = width, depth, reach
        form: dict[str, Any] = {"width": width, "depth": depth, "reach": reach, "causal": causal}
        self.spike_trunk = new_trunk(trunk, n_channels, dropout=feature_dropout, **form)
        self.behavior_trunk = new_trunk(trunk, n_outputs, dropout=feature_dropout, **form)
        self.behavior_head = Pointwise(self.spike_trunk.n_out, n_outputs)
        self.rate_head = Pointwise(self.behavior_trunk.n_out, n_channels)

    @property
    def settings(self) -> dict[str, Any]:
        return {
            "n_channels": self.n_channels,
            "n_outputs": self.n_outputs,
            "count_max": self.read_in.count_max,
            "trunk": self.trunk,
            "causal": self.causal,
            "width": self.width,
            "depth": self.depth,
            "reach": self.reach,
            "dropout": self.read_in.dropout.p,
            "channel_dropout": self.read_in.channel_dropout.p,
            "feature_dropout": self.feature_dropout,
        }

    def decode(self, counts: Tensor, session: str | Sequence[str] | None = None) -> Tensor:
        behavior: Tensor = self.behavior_head(self.spike_trunk(self.read_in(counts, session)))
        return behavior

    def simulate(self, behavior: Tensor, session: str | Sequence[str] | None = None) -> Tensor:
        """Spikes from behaviour: z-scored [N, D, T] → spikes per bin [N, C, T] of a session."""
        return self.read_in.rates(self.rate_head(self.behavior_trunk(behavior)), session)

    def decoding_parts(self) -> list[nn.Module]:
        """What decodes, the read-in apart."""
        return [self.spike_trunk, self.behavior_head]

    def simulating_parts(self) -> list[nn.Module]:
        """What simulates."""
        return [self.behavior_trunk, self.rate_head]
