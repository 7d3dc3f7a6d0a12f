"""Load an artifact's networks into torch."""

from __future__ import annotations

from rtdecode.artifact import ModelArtifact
from rtdecode.models.ensemble.split import trained_members
from rtdecode.models.export.noncausal import check_digest
from rtdecode.models.kinds.registry import network_kind
from rtdecode.models.nn.network import Network


def networks_of(artifact: ModelArtifact) -> list[Network]:
    """The networks of a model as they were exported, with all their sessions, in evaluation mode.

    Raises:
        RtdecodeError: the model is not a network, or its training state is missing, damaged or another
            network's.
    """
    network = network_kind(artifact).network()
    members = trained_members(artifact)
    if not artifact.causal:
        for member in members:
            check_digest(member)
    return [network.from_artifact(member) for member in members]
