"""The networks of an ensemble as models of their own, with what training continues from; without torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from rtdecode.artifact import Arrays, ModelArtifact
from rtdecode.artifact.tensors import with_prefix
from rtdecode.decode.ensemble import split_networks


def trained_members(artifact: ModelArtifact) -> list[ModelArtifact]:
    """Each member as a model by itself, with its train.*.

    Raises:
        RtdecodeError: the members do not fit together.
    """
    members = split_networks(artifact)
    if len(members) == 1:
        return members
    return [replace(member, train=with_prefix(f"{i}.", artifact.train)) for i, member in enumerate(members)]


def train_tensors_of(members: Sequence[ModelArtifact]) -> Arrays:
    """train.* of an ensemble: names have the number of the member in front, unless it is the only one."""
    if len(members) == 1:
        return members[0].train
    return {
        f"{i}.{name}": tensor for i, member in enumerate(members) for name, tensor in member.train.items()
    }
