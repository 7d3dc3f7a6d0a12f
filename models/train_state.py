"""The training state that a model file holds beside what decoding needs: train.settings, without torch."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from rtdecode.artifact import ModelArtifact
from rtdecode.errors import RtdecodeError
from rtdecode.kernels.arrays import U1

SETTINGS = "settings"

FIX = "use the file that training wrote"


def as_bytes(value: Any) -> U1:
    """A value as the bytes of its JSON, as train.* holds it."""
    return np.frombuffer(json.dumps(value, sort_keys=True).encode(), dtype=np.uint8)


def network_description(artifact: ModelArtifact) -> dict[str, Any]:
    """train.settings of one network: `network` (its settings), `sessions` (names) and `session` (of run.*).

    Raises:
        RtdecodeError: the artifact has none, or it is damaged.
    """
    if SETTINGS not in artifact.train:
        raise RtdecodeError(
            "the model holds only what decoding needs, and no training state (no train.settings)", fix=FIX
        )
    try:
        described = json.loads(artifact.train[SETTINGS].tobytes())
    except (ValueError, RecursionError) as error:
        raise damaged(error) from error
    if not isinstance(described, dict) or described.keys() != {"network", "sessions", "session"}:
        raise damaged(ValueError("train.settings does not describe a network"))
    return described


def damaged(error: Exception) -> RtdecodeError:
    """The error for a training state that cannot be read, with the reason."""
    reason = " ".join(str(error).split())
    return RtdecodeError(f"the network in train.* is damaged ({reason[:200]})", fix=FIX)
