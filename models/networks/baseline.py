"""The paper's baseline networks, in both directions, with AlignNet's interface."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from torch import Tensor, nn

from rtdecode.models.networks.trunks import BaselineNetSettings, new_trunk
from rtdecode.models.nn.layers import Pointwise
from rtdecode.models.nn.network import Network


class BaselineNet(Network):
    """A trunk from spikes to behaviour and another one back, which share only the read-in.

        net = BaselineNet(BaselineNetSettings(96, 4, 64, trunk="mlp", causal=True))
        net.read_in.add("monday", mean=counts.mean(axis=0), sd=counts.std(axis=0))
        net.decode(batch)                               # [N, 96, T] counts → [N, 4, T] behaviour
        net.simulate(behavior)                          # [N, 4, T] → [N, 96, T] spikes per bin

    Heads are AlignNet's: linear for behaviour, a softplus in units of each channel's SD for spikes.

    Args:
        config: settings.

    Raises:
        RtdecodeError: the trunk is unknown, or a number is out of its range.
    """

    kind: ClassVar[str] = "baseline"
    Settings: ClassVar[type[BaselineNetSettings]] = BaselineNetSettings

    def __init__(self, config: BaselineNetSettings) -> None:
        super().__init__(config)
        self.spike_trunk = new_trunk(config.n_channels, config)
        self.behavior_trunk = new_trunk(config.n_outputs, config)
        self.behavior_head = Pointwise(self.spike_trunk.n_out, config.n_outputs)
        self.rate_head = Pointwise(self.behavior_trunk.n_out, config.n_channels)

    def decode(self, counts: Tensor, session: str | Sequence[str] | None = None) -> Tensor:
        behavior: Tensor = self.behavior_head(self.spike_trunk(self.read_in(counts, session)))
        return behavior

    def simulate(self, behavior: Tensor, session: str | Sequence[str] | None = None) -> Tensor:
        """Spikes from behaviour: z-scored [N, D, T] → spikes per bin [N, C, T] of a session."""
        return self.read_in.rates(self.rate_head(self.behavior_trunk(behavior)), session)

    def decoding_parts(self) -> list[nn.Module]:
        """The modules of the decoding path, except the read-in."""
        return [self.spike_trunk, self.behavior_head]

    def simulating_parts(self) -> list[nn.Module]:
        """The modules of the simulating path."""
        return [self.behavior_trunk, self.rate_head]
