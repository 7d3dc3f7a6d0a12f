"""What all networks share: read-in, scale of the outputs, and the way into an artifact and back."""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from rtdecode.artifact import ModelArtifact
from rtdecode.errors import RtdecodeError
from rtdecode.models.nn.read_in import ReadIn, check_probability

_SETTINGS, _NET = "settings", "net."
_FIX = "use the file that training wrote"


class Network(nn.Module):
    """Counts in, z-scored behaviour out.

        net.read_in.add("monday", mean, sd)
        net.set_output_scale(labels.mean(axis=0), labels.std(axis=0))
        z = net.decode(counts, "monday")                # [N, C, T] → [N, D, T]
        net.in_units(z)

    Args:
        n_channels: C, of counts.
        n_outputs: D, of behaviour.
        count_max: larger counts are clipped to it.
        dropout, channel_dropout: on the read-in's normalised counts, see `ReadIn`.
        feature_dropout: probability of taking a single value in front of the head for 0, while training.

    Raises:
        RtdecodeError: a number is out of its range.
    """

    kind: ClassVar[str]
    n_channels: int
    n_outputs: int
    read_in: ReadIn
    feature_dropout: float
    output_mean: Tensor
    output_sd: Tensor

    def __init__(
        self,
        n_channels: int,
        n_outputs: int,
        count_max: int,
        dropout: float,
        channel_dropout: float,
        feature_dropout: float,
    ) -> None:
        super().__init__()
        if n_outputs < 1:
            raise RtdecodeError(f"a network of {n_outputs} outputs")
        self.n_channels, self.n_outputs = n_channels, n_outputs
        self.read_in = ReadIn(n_channels, count_max, dropout, channel_dropout)
        check_probability(feature_dropout)
        self.feature_dropout = feature_dropout
        self.register_buffer("output_mean", torch.zeros(n_outputs, dtype=torch.float64))
        self.register_buffer("output_sd", torch.ones(n_outputs, dtype=torch.float64))

    @abstractmethod
    def decode(self, counts: Tensor, session: str | Sequence[str] | None = None) -> Tensor:
        """Behaviour from spikes: counts [N, C, T] of a session (see `ReadIn`) → z-scored [N, D, T]."""

    @property
    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """The constructor's arguments, as JSON can hold them."""

    def set_output_scale(self, mean: ArrayLike, sd: ArrayLike) -> None:
        """Say what behaviour was z-scored with, [D] each, in the outputs' units.

        Raises:
            RtdecodeError: other than D finite numbers, or an SD that is not above 0.
        """
        middle, spread = (np.array(values, dtype=np.float64) for values in (mean, sd))
        if not middle.shape == spread.shape == (self.n_outputs,):
            raise RtdecodeError(f"a scale of {middle.size} outputs for a network of {self.n_outputs}")
        if not (np.isfinite(middle).all() and np.isfinite(spread).all() and (spread > 0).all()):
            raise RtdecodeError("an output's mean or SD is no number, or an SD not above 0")
        self.output_mean.copy_(torch.from_numpy(middle))
        self.output_sd.copy_(torch.from_numpy(spread))

    def in_units(self, behavior: Tensor) -> Tensor:
        """Z-scored behaviour [N, D, T] in the outputs' units."""
        mean, sd = self.output_mean[:, None], self.output_sd[:, None]
        return (behavior * sd + mean).to(behavior.dtype)

    def in_sd(self, spikes: Tensor, session: str | Sequence[str] | None = None) -> Tensor:
        """Counts or rates [N, C, T] in units of each channel's SD, 0 where ignored: what losses compare."""
        sd = self.read_in.sd(session, len(spikes))
        return torch.where(sd > 0, spikes / sd.clamp(min=torch.finfo(sd.dtype).tiny), 0.0)

    def train_tensors(self, session: str) -> dict[str, NDArray[Any]]:
        """The train.* of an artifact: `settings`, JSON as bytes, and the state dict as `net.NAME`.

        Args:
            session: the one that run.* is folded for.
        """
        described = {"network": self.settings, "sessions": self.read_in.names, "session": session}
        text = json.dumps(described, sort_keys=True)
        tensors: dict[str, NDArray[Any]] = {_SETTINGS: np.frombuffer(text.encode(), dtype=np.uint8)}
        for name, tensor in self.state_dict().items():
            tensors[_NET + name] = tensor.detach().cpu().numpy()
        return tensors

    @classmethod
    def from_artifact(cls, artifact: ModelArtifact) -> Self:
        """The network as it was exported, all its sessions included, in evaluation mode.

        Raises:
            RtdecodeError: the artifact is of another kind, or holds no whole network.
        """
        if artifact.kind != cls.kind:
            raise RtdecodeError(f"the model is of kind {artifact.kind!r}, not {cls.kind!r}")
        described = _described(artifact)
        state = {
            name.removeprefix(_NET): torch.from_numpy(_full(tensor))
            for name, tensor in artifact.train.items()
            if name.startswith(_NET)
        }
        try:
            net = cls.rebuilt(described["network"], described["sessions"], state)
        except (RtdecodeError, RuntimeError, TypeError, ValueError, LookupError) as error:
            raise _damaged(error) from error
        return net.eval()

    @classmethod
    def rebuilt(
        cls, settings: Mapping[str, Any], sessions: Sequence[str], state: Mapping[str, Tensor]
    ) -> Self:
        """The network with these settings and names of sessions, and this `state_dict`.

        Raises:
            RtdecodeError, RuntimeError, TypeError, ValueError, LookupError: they do not fit together.
        """
        # Without memory: a damaged size must not be allocated.
        with torch.device("meta"):
            net = cls(**settings)
            for name in sessions:
                net.read_in.add(name, np.zeros(net.n_channels), np.ones(net.n_channels))
        net.load_state_dict(state, assign=True)
        return net


def exported_session(artifact: ModelArtifact) -> str:
    """The session that the artifact's run.* is folded for.

    Raises:
        RtdecodeError: the artifact holds no whole network.
    """
    return str(_described(artifact)["session"])


def _described(artifact: ModelArtifact) -> dict[str, Any]:
    if _SETTINGS not in artifact.train:
        raise RtdecodeError(
            "the model holds only what decoding needs, and no network to go on from (no train.settings)",
            fix=_FIX,
        )
    try:
        described = json.loads(artifact.train[_SETTINGS].tobytes())
    except (ValueError, RecursionError) as error:
        raise _damaged(error) from error
    if not isinstance(described, dict) or described.keys() != {"network", "sessions", "session"}:
        raise _damaged(ValueError("train.settings does not describe a network"))
    return described


def _full(tensor: NDArray[Any]) -> NDArray[Any]:
    """A copy, in float32 where a file holds float16 to be small (`halved`)."""
    return np.array(tensor, dtype=np.float32 if tensor.dtype == np.float16 else tensor.dtype)


def _damaged(error: Exception) -> RtdecodeError:
    reason = " ".join(str(error).split())
    return RtdecodeError(f"the network in train.* is damaged ({reason[:200]})", fix=_FIX)
