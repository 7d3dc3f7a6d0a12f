"""What a kind of network has of its own; torch is imported by no module of this package until it is used."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from rtdecode.artifact import Arrays, ModelArtifact
from rtdecode.decode.decoder import Decoder
from rtdecode.errors import RtdecodeError
from rtdecode.kernels.arrays import F8
from rtdecode.models.train_state import FIX

if TYPE_CHECKING:
    from rtdecode.models.nn.network import Network


@dataclass(frozen=True)
class NetworkKind:
    """A kind of network.

    Attributes:
        name: `kind` of its models, and the value of `--kind`.
        head: name of its last layer in train.*.
        fold_read_in: the tensors of run.* that a read-in is folded into, from a model with its train.* and
            scale and offset f8[C] of the read-in.
        network: imports torch and returns the class that is trained; `rtdecode.models.export.export.fold`
            has an implementation for it.
        decoder: imports torch and returns a decoder that computes run.* with it, on the device named.
        joins: whether several networks can be one model, an ensemble.
        two_way: whether it also simulates spikes from behaviour, and may be non-causal.
    """

    name: str
    head: str
    fold_read_in: Callable[[ModelArtifact, F8, F8], Arrays]
    network: Callable[[], type[Network]]
    decoder: Callable[[ModelArtifact, str], Decoder]
    joins: bool = False
    two_way: bool = False


def train_tensor(model: ModelArtifact, name: str) -> F8:
    """train.`name` of a model of one network.

    Raises:
        RtdecodeError: the model lacks it.
    """
    if name not in model.train:
        raise RtdecodeError(f"the model has no complete training state (no train.{name})", fix=FIX)
    return np.asarray(model.train[name], dtype=np.float64)
