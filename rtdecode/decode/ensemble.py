"""Models of several networks that decode together: their outputs add up."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np

from rtdecode.artifact import Arrays, ModelArtifact
from rtdecode.errors import RtdecodeError

MAX_NETWORKS = 64

_FIX = "make a new one with `rtdecode fit`"
_NUMBERED = re.compile(r"(0|[1-9]\d{0,3})\.(.+)")


def split_networks(artifact: ModelArtifact) -> list[ModelArtifact]:
    """Each network of a model as a model by itself, without train.*; just the model if it is no ensemble.

    Args:
        artifact: with tensors run.NAME, or run.0.NAME, run.1.NAME and so on for an ensemble.

    Raises:
        RtdecodeError: numbers are missing, or some names have a number and others have none.
    """
    runs: dict[int, Arrays] = {}
    for name, tensor in artifact.run.items():
        found = _NUMBERED.fullmatch(name)
        if found is not None:
            runs.setdefault(int(found[1]), {})[found[2]] = tensor
    if not runs:
        return [artifact]
    strange = sorted(name for name in artifact.run if _NUMBERED.fullmatch(name) is None)
    if strange:
        raise RtdecodeError(
            f"the model holds run.{strange[0]}, which belongs to none of its networks", fix=_FIX
        )
    if len(runs) > MAX_NETWORKS or runs.keys() != set(range(len(runs))):
        raise RtdecodeError(
            f"the model holds networks {', '.join(map(str, sorted(runs)[:8]))}; they must be numbered from 0 "
            f"on, {MAX_NETWORKS} at most",
            fix=_FIX,
        )
    return [
        replace(artifact, run=run, train={}, fractional_bits=_fractional_bits(run, artifact.fractional_bits))
        for _, run in sorted(runs.items())
    ]


def join_runs(runs: list[Arrays]) -> Arrays:
    """The run.* of an ensemble of networks with these run.*; just the one if there is one."""
    if len(runs) == 1:
        return runs[0]
    return {f"{i}.{name}": tensor for i, run in enumerate(runs) for name, tensor in run.items()}


def _fractional_bits(run: Arrays, of_ensemble: int | None) -> int | None:
    bits = run.get("grid")
    if bits is None or of_ensemble is None or not np.issubdtype(bits.dtype, np.integer) or bits.size == 0:
        return of_ensemble
    return max(of_ensemble, int(bits.min()))
