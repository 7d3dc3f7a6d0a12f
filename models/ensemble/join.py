"""Ensembles: several AlignNets as one model that outputs their mean; without torch.

Networks that were trained with different seeds make different errors, and their mean has a smaller error than
each of them (Lakshminarayanan, Pritzel & Blundell 2017, NeurIPS 30).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from rtdecode.artifact import ModelArtifact
from rtdecode.decode.ensemble import join_runs
from rtdecode.errors import RtdecodeError
from rtdecode.models.ensemble.split import train_tensors_of
from rtdecode.models.kinds.registry import NETWORKS


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
    if first.kind not in NETWORKS or not NETWORKS[first.kind].joins:
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
    n_members = np.float32(len(artifacts))
    shares = [
        {name: each.run[name] / n_members for name in ("head.weight", "head.bias")} for each in artifacts
    ]
    return replace(
        first,
        run=join_runs([each.run | share for each, share in zip(artifacts, shares, strict=True)]),
        train=train_tensors_of(artifacts),
        provenance=first.provenance | {"export": exported},
        fractional_bits=min(artifact.fractional_bits or 0 for artifact in artifacts),
    )


def _sizes(artifact: ModelArtifact) -> tuple[object, ...]:
    return (
        artifact.kind, artifact.bin_width_s, artifact.channel_mask, artifact.outputs, artifact.count_max,
        artifact.widths, artifact.features,
    )  # fmt: skip
