"""Firing rates from behaviour, by the networks of a model that was trained to simulate.

nets = simulating_networks(read_artifact("base.safetensors"))
rates = simulated_rates(nets, z, "monday")          # z-scored behaviour [T, D] → spikes per bin [T, C]
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import torch

from rtdecode.artifact import ModelArtifact, check_counts_alone
from rtdecode.errors import RtdecodeError
from rtdecode.kernels.arrays import F4, I8
from rtdecode.models.ensemble.load import networks_of
from rtdecode.models.ensemble.split import trained_members
from rtdecode.models.networks.alignnet import AlignNet
from rtdecode.models.nn.stretches import by_stretch
from rtdecode.models.train_state import network_description

_FIX = "use one that rtdecode pretrain made, or calibrate made of such a base"


def simulating_networks(artifact: ModelArtifact) -> list[AlignNet]:
    """The members of an AlignNet, in evaluation mode, if they were trained to simulate spikes.

    `pretrain` trains both directions. `fit` trains decoding only: rates of its networks do not depend on
    behaviour. Calibration does not change the simulating path.

    Raises:
        RtdecodeError: the model is of another kind, has no training state, or was not trained to simulate.
    """
    if artifact.kind != AlignNet.kind:
        raise RtdecodeError(f"a {artifact.kind} model does not simulate spikes from behaviour", fix=_FIX)
    check_counts_alone(artifact, "simulation")
    nets = [net for net in networks_of(artifact) if isinstance(net, AlignNet)]
    if not all(_trained_to_simulate(net) for net in nets):
        raise RtdecodeError(
            "was trained to decode behaviour from spikes only, not to simulate spikes from behaviour",
            fix=_FIX,
        )
    return nets


def folded_session(artifact: ModelArtifact) -> str:
    """The session whose read-in the model decodes with.

    Raises:
        RtdecodeError: it has no training state.
    """
    return str(network_description(trained_members(artifact)[0])["session"])


def check_session(nets: Sequence[AlignNet], session: str, where: str) -> str:
    """`session`, if the networks have a read-in for it.

    Raises:
        RtdecodeError: they have none; the error names the first and last of their sessions.
    """
    names = nets[0].read_in.names
    if session not in names:
        few = names if len(names) <= 6 else [*names[:3], "…", names[-1]]
        raise RtdecodeError(
            f"the model has no session {session!r}, but {', '.join(few)}",
            where=where,
            fix="name one of these",
        )
    return session


def simulated_rates(nets: Sequence[AlignNet], z: F4, session: str, starts: I8 | None = None) -> F4:
    """Spikes per bin f4[T, C], the mean over networks, from z-scored behaviour f4[T, D].

    Args:
        nets: the members of a model.
        z: of bins; silence before the first of each stretch.
        session: of the read-in, which gives each channel's SD and the ignored channels.
        starts: of the stretches, see `rtdecode.session.bins.stretches`; None for consecutive bins.
    """
    behavior = torch.from_numpy(np.ascontiguousarray(z.T, dtype=np.float32))[None]
    total = torch.zeros(1, nets[0].n_channels, len(z))
    with torch.inference_mode():
        for net in nets:
            total += by_stretch(partial(net.simulate, session=session), behavior, starts)
    return (total[0] / len(nets)).numpy().T


def _trained_to_simulate(net: AlignNet) -> bool:
    """Batch normalisation counts its training batches; with none, the weights are still the initial ones."""
    state = net.state_dict()
    n_batches = [
        int(batches)
        for name, batches in state.items()
        if name.startswith("behavior_encoder.") and name.endswith("num_batches_tracked")
    ]
    return min(n_batches, default=0) > 0
