"""All kinds of networks."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from rtdecode.artifact import ModelArtifact
from rtdecode.errors import RtdecodeError
from rtdecode.models.kinds.alignnet import ALIGNNET
from rtdecode.models.kinds.gru import GRU
from rtdecode.models.kinds.network_kind import NetworkKind

#: By name; another kind is a module like those of ALIGNNET and GRU, and its name here.
NETWORKS: Mapping[str, NetworkKind] = MappingProxyType({kind.name: kind for kind in (ALIGNNET, GRU)})


def network_kind(artifact: ModelArtifact) -> NetworkKind:
    """The kind of a model that is a network.

    Raises:
        RtdecodeError: the model is none.
    """
    if artifact.kind not in NETWORKS:
        raise RtdecodeError(
            f"a {artifact.kind} model is not a network", fix=f"use one of kind {' or '.join(NETWORKS)}"
        )
    return NETWORKS[artifact.kind]
