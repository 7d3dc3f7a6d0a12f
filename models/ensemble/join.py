"""Ensembles: several AlignNets as one model that outputs their mean; without torch.

Networks that were trained with different seeds make different errors, and their mean has a smaller error than
each of them (Lakshminarayanan, Pritzel & Blundell 2017, NeurIPS 30).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtdecode.artifact import ModelArtifact
from rtdecode.decode.ensemble import join_members, split_members
from rtdecode.errors import RtdecodeError

ENSEMBLE_KIND = "alignnet"


def ensemble_of(artifacts: Sequence[ModelArtifact]) -> ModelArtifact:
    """The ensemble of exported models, which outputs their mean; a single model is returned unchanged.

    Args:
        artifacts: one or more, of the same kind, session, channel mask and so on; provenance is the first
            one's, with the notes of all.

    Raises:
        RtdecodeError: models of this kind have no ensembles, or the models differ in more than tensors.
    """
    first = artifacts[0]
    if len(artifacts) == 1:
        return first
    if first.kind != ENSEMBLE_KIND:
        raise RtdecodeError(
            f"models of kind {first.kind!r} have no ensembles", fix="use one of them, or train an alignnet"
        )
    for other in artifacts[1:]:
        if _sizes(other) != _sizes(first):
            raise RtdecodeError(
                "the members of an ensemble differ in channels, outputs, bin width or widths",
                fix="train all members with the same settings",
            )
    notes = [
        f"member {i}: {note}"
        for i, artifact in enumerate(artifacts)
        for note in artifact.provenance["export"]["notes"]
    ]
    exported = first.provenance["export"] | {"notes": notes}
    return replace(
        first,
        run=join_members([_with_share_of_output(artifact.run, len(artifacts)) for artifact in artifacts]),
        train=train_tensors_of(artifacts),
        provenance=first.provenance | {"export": exported},
        fractional_bits=min(artifact.fractional_bits or 0 for artifact in artifacts),
    )


def train_tensors_of(members: Sequence[ModelArtifact]) -> dict[str, NDArray[Any]]:
    """train.* of an ensemble: names have the number of the member in front, unless it is the only one."""
    if len(members) == 1:
        return members[0].train
    return {
        f"{i}.{name}": tensor for i, member in enumerate(members) for name, tensor in member.train.items()
    }


def trained_members(artifact: ModelArtifact) -> list[ModelArtifact]:
    """Each member of an ensemble as a model of its own, with its train.*.

    Raises:
        RtdecodeError: the members do not fit together.
    """
    members = split_members(artifact)
    if len(members) == 1:
        return members
    return [
        replace(
            member,
            train={
                name.removeprefix(f"{i}."): tensor
                for name, tensor in artifact.train.items()
                if re.match(rf"{i}\.", name)
            },
        )
        for i, member in enumerate(members)
    ]


def _with_share_of_output(run: dict[str, NDArray[Any]], n_members: int) -> dict[str, NDArray[Any]]:
    scaled = {name: run[name] / np.float32(n_members) for name in ("head.weight", "head.bias")}
    return run | scaled


def _sizes(artifact: ModelArtifact) -> tuple[object, ...]:
    return (
        artifact.kind, artifact.bin_width_s, artifact.channel_mask, artifact.outputs, artifact.count_max,
        artifact.widths,
    )  # fmt: skip
