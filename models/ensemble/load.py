"""Load an artifact's networks into torch."""

from __future__ import annotations

from rtdecode.artifact import ModelArtifact
from rtdecode.errors import RtdecodeError
from rtdecode.models.ensemble.join import trained_members
from rtdecode.models.export.noncausal import check_digest
from rtdecode.models.networks.alignnet import AlignNet
from rtdecode.models.networks.gru import GRUNet
from rtdecode.models.nn.network import Network

_NETWORKS: tuple[type[Network], ...] = (AlignNet, GRUNet)


def networks_of(artifact: ModelArtifact) -> list[Network]:
    """The networks of a model as they were exported, with all their sessions, in evaluation mode.

    Raises:
        RtdecodeError: the model is not a network, or its training state is missing, damaged or another
            network's.
    """
    for network in _NETWORKS:
        if artifact.kind == network.kind:
            members = trained_members(artifact)
            if not artifact.causal:
                for member in members:
                    check_digest(member)
            return [network.from_artifact(member) for member in members]
    raise RtdecodeError(f"a {artifact.kind} model is not a network", fix="use one of kind alignnet or gru")
