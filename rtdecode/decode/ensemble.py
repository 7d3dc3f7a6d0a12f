"""A model of several networks that decode together: their outputs add up."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtdecode.artifact import ModelArtifact
from rtdecode.errors import RtdecodeError

MAX_MEMBERS = 64

_FIX = "make a new one with `rtdecode fit`"
_OF_MEMBER = re.compile(r"(0|[1-9]\d{0,3})\.(.+)")


def split_members(artifact: ModelArtifact) -> list[ModelArtifact]:
    """Each member as a model by itself, without train.*; one that is alone has no number in its names.

    Args:
        artifact: with tensors run.NAME, or run.0.NAME, run.1.NAME and so on.

    Raises:
        RtdecodeError: numbers are missing, or names have one and others do not.
    """
    runs: dict[int, dict[str, NDArray[Any]]] = {}
    for name, tensor in artifact.run.items():
        found = _OF_MEMBER.fullmatch(name)
        if found is not None:
            runs.setdefault(int(found[1]), {})[found[2]] = tensor
    if not runs:
        return [artifact]
    strange = sorted(name for name in artifact.run if _OF_MEMBER.fullmatch(name) is None)
    if strange:
        raise RtdecodeError(
            f"the model holds run.{strange[0]}, which belongs to none of its members", fix=_FIX
        )
    if len(runs) > MAX_MEMBERS or runs.keys() != set(range(len(runs))):
        raise RtdecodeError(
            f"the model holds members {', '.join(map(str, sorted(runs)[:8]))}; they must be numbered from 0 "
            f"on, {MAX_MEMBERS} at most",
            fix=_FIX,
        )
    return [
        replace(artifact, run=run, train={}, fractional_bits=_fractional_bits(run, artifact.fractional_bits))
        for _, run in sorted(runs.items())
    ]


def join_members(runs: list[dict[str, NDArray[Any]]]) -> dict[str, NDArray[Any]]:
    """The run.* of members with these run.*, whose outputs add up."""
    if len(runs) == 1:
        return runs[0]
    return {f"{i}.{name}": tensor for i, run in enumerate(runs) for name, tensor in run.items()}


def _fractional_bits(run: dict[str, NDArray[Any]], of_all: int | None) -> int | None:
    grid = run.get("grid")
    if grid is None or of_all is None or not np.issubdtype(grid.dtype, np.integer) or grid.size == 0:
        return of_all
    return max(of_all, int(grid.min()))
