"""Several AlignNets as one model, whose output is their mean; without torch.

Networks that differ in nothing but their seeds err differently, and their mean errs less than any of them
(Lakshminarayanan, Pritzel & Blundell 2017, NeurIPS 30).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtdecode.artifact import ModelArtifact
from rtdecode.decode.ensemble import join_runs
from rtdecode.errors import RtdecodeError
from rtdecode.models.kinds.registry import NETWORKS


def join(artifacts: Sequence[ModelArtifact]) -> ModelArtifact:
    """One model of several exported ones: its output is the mean of theirs.

    Args:
        artifacts: one or more, of one kind, session, channel mask and so on; provenance is the first one's,
            with the notes of all.

    Raises:
        RtdecodeError: several models of a kind that cannot be joined, or that differ in more than tensors.
    """
    first = artifacts[0]
    if len(artifacts) == 1:
        return first
    if first.kind not in NETWORKS or not NETWORKS[first.kind].joins:
        raise RtdecodeError(f"models of kind {first.kind!r} are not joined")
    for other in artifacts[1:]:
        if _sizes(other) != _sizes(first):
            raise RtdecodeError("the members of a model differ in channels, outputs, bin width or widths")
    notes = [
        f"member {i}: {note}"
        for i, artifact in enumerate(artifacts)
        for note in artifact.provenance["export"]["notes"]
    ]
    exported = first.provenance["export"] | {"notes": notes}
    return replace(
        first,
        run=join_runs([_with_part_of_output(artifact.run, len(artifacts)) for artifact in artifacts]),
        train={
            f"{i}.{name}": tensor
            for i, artifact in enumerate(artifacts)
            for name, tensor in artifact.train.items()
        },
        provenance=first.provenance | {"export": exported},
        fractional_bits=min(artifact.fractional_bits or 0 for artifact in artifacts),
    )


def _with_part_of_output(run: dict[str, NDArray[Any]], n_members: int) -> dict[str, NDArray[Any]]:
    scaled = {name: run[name] / np.float32(n_members) for name in ("head.weight", "head.bias")}
    return run | scaled


def _sizes(artifact: ModelArtifact) -> tuple[object, ...]:
    return (
        artifact.kind, artifact.bin_width_s, artifact.channel_mask, artifact.outputs, artifact.count_max,
        artifact.widths,
    )  # fmt: skip
