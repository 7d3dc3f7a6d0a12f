"""What a training minimises."""

from __future__ import annotations

from torch import Tensor, nn

from rtdecode.calibrate.training.settings import SIMULATE, TrainingSettings
from rtdecode.calibrate.training.windows import Batch
from rtdecode.models.networks.alignnet import AlignNet
from rtdecode.models.networks.baseline import BaselineNet
from rtdecode.models.nn.losses import info_nce, mse
from rtdecode.models.nn.network import Network


class Objective(nn.Module):
    """What is minimised, as a module: `DistributedDataParallel` averages what its `forward` leads to.

    Args:
        net: to train.
        settings: `direction`, `cross` and `contrast` are looked at.
    """

    def __init__(self, net: Network, settings: TrainingSettings) -> None:
        super().__init__()
        self.net, self._settings = net, settings

    def forward(self, batch: Batch, clean: Tensor, auxiliary: float) -> Tensor:
        """The loss of a batch.

        Args:
            batch: as the network sees it.
            clean: f4[N, C, T], its counts before anything was done to them: what is to be simulated.
            auxiliary: weight of the ways beside the deployed one (AlignNet only).
        """
        return _loss(self.net, batch, clean, auxiliary, self._settings)


def _loss(net: Network, batch: Batch, clean: Tensor, auxiliary: float, settings: TrainingSettings) -> Tensor:
    simulating = settings.direction == SIMULATE
    if isinstance(net, AlignNet) and auxiliary:
        passes = net(batch.counts, batch.targets, batch.sessions)
        counts = net.in_sd(clean, batch.sessions)
        decoded = mse(passes.decoded, batch.targets, batch.weight)
        simulated = mse(net.in_sd(passes.simulated, batch.sessions), counts, batch.weight)
        deployed, other = (simulated, decoded) if simulating else (decoded, simulated)
        beside = (
            mse(passes.behavior, batch.targets, batch.weight)
            + mse(net.in_sd(passes.spikes, batch.sessions), counts)
            + settings.cross * other
            + settings.contrast * info_nce(passes.spike_latent, passes.behavior_latent)
        )
        return settings.cross * deployed + auxiliary * beside
    if simulating and isinstance(net, AlignNet | BaselineNet):
        rates = net.in_sd(net.simulate(batch.targets, batch.sessions), batch.sessions)
        return settings.cross * mse(rates, net.in_sd(clean, batch.sessions), batch.weight)
    return settings.cross * mse(net.decode(batch.counts, batch.sessions), batch.targets, batch.weight)
