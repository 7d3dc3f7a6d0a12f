"""The networks of a model that tell spikes from behaviour, and the rates that they tell.

nets = simulating_networks(read_artifact("base.safetensors"))
rates = simulated_rates(nets, z, "monday")          # z-scored behaviour [T, D] → spikes per bin [T, C]
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from rtdecode.artifact import ModelArtifact
from rtdecode.errors import RtdecodeError
from rtdecode.models.ensemble.load import networks_of
from rtdecode.models.ensemble.split import trained_members
from rtdecode.models.networks.alignnet import AlignNet
from rtdecode.models.nn.network import exported_session

_FIX = "use one that rtdecode pretrain made, or calibrate made of such a base"


def simulating_networks(artifact: ModelArtifact) -> list[AlignNet]:
    """The members of an AlignNet, in evaluation mode, if they have learnt to tell spikes from behaviour.

    `pretrain` teaches both ways. `fit` teaches the way to behaviour alone and leaves the other as it was
    drawn: such networks tell rates that do not depend on behaviour. Calibration changes nothing on this way.

    Raises:
        RtdecodeError: the model is of another kind, holds no whole network, or has not learnt to simulate.
    """
    if artifact.kind != AlignNet.kind:
        raise RtdecodeError(f"a {artifact.kind} model tells no spikes from behaviour", fix=_FIX)
    nets = [net for net in networks_of(artifact) if isinstance(net, AlignNet)]
    if not all(_has_learnt(net) for net in nets):
        raise RtdecodeError(
            "has learnt to tell behaviour from spikes only, not spikes from behaviour", fix=_FIX
        )
    return nets


def folded_session(artifact: ModelArtifact) -> str:
    """The session whose read-in the model decodes with.

    Raises:
        RtdecodeError: it holds no whole network.
    """
    return exported_session(trained_members(artifact)[0])


def check_session(nets: Sequence[AlignNet], session: str, where: str) -> str:
    """`session`, if the networks have a read-in for it.

    Raises:
        RtdecodeError: they have none; the error tells the first and last of those there are.
    """
    names = nets[0].read_in.names
    if session not in names:
        few = names if len(names) <= 6 else [*names[:3], "…", names[-1]]
        raise RtdecodeError(
            f"the model knows no session {session!r}, but {', '.join(few)}",
            where=where,
            fix="name one of these",
        )
    return session


def simulated_rates(nets: Sequence[AlignNet], z: NDArray[np.float32], session: str) -> NDArray[np.float32]:
    """Spikes per bin f4[T, C], the mean over networks, from z-scored behaviour f4[T, D].

    Args:
        nets: the members of a model.
        z: of bins that follow each other, the first one after silence.
        session: whose read-in tells each channel's SD, and which channels are ignored.
    """
    behavior = torch.from_numpy(np.ascontiguousarray(z.T, dtype=np.float32))[None]
    total = torch.zeros(1, nets[0].n_channels, len(z))
    with torch.inference_mode():
        for net in nets:
            total += net.simulate(behavior, session)
    rates: NDArray[np.float32] = (total[0] / len(nets)).numpy().T
    return rates


def _has_learnt(net: AlignNet) -> bool:
    """Batch normalisation counts the batches that it saw: without one, no weight on the way was trained."""
    state = net.state_dict()
    counted = [
        int(batches)
        for name, batches in state.items()
        if name.startswith("behavior_encoder.") and name.endswith("num_batches_tracked")
    ]
    return min(counted, default=0) > 0
