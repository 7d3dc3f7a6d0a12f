"""The networks of a model, in torch again."""

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
    """The networks of a model as they were exported, all their sessions included, in evaluation mode.

    Raises:
        RtdecodeError: the model is no network, holds no whole one, or another one than it says.
    """
    for network in _NETWORKS:
        if artifact.kind == network.kind:
            members = trained_members(artifact)
            if not artifact.causal:
                for member in members:
                    check_digest(member)
            return [network.from_artifact(member) for member in members]
    raise RtdecodeError(f"a {artifact.kind} model is no network", fix="use one of kind alignnet or gru")
