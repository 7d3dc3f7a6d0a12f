"""The base of all networks: read-in, output scale, and conversion to an artifact and back."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, asdict, dataclass
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from rtdecode.artifact import Arrays, ModelArtifact
from rtdecode.artifact.tensors import with_prefix
from rtdecode.errors import RtdecodeError
from rtdecode.models.nn.read_in import ReadIn, check_probability
from rtdecode.models.train_state import SETTINGS, as_bytes, damaged, network_description

_NET = "net."


@dataclass(frozen=True)
class NetworkSettings:
    """Settings that every kind of network has; the fields are stored in model files.

    Attributes:
        n_channels: C, of counts, and of features behind them.
        n_outputs: D, of behaviour.
        count_max: larger counts are clipped to it.
        dropout, channel_dropout: of the read-in's normalised counts, see `ReadIn`.
        feature_dropout: probability of setting a single value in front of the head to 0, while training.
        n_features: number of features among the channels, the last ones.
    """

    n_channels: int
    n_outputs: int
    count_max: int
    _: KW_ONLY
    dropout: float = 0.1
    channel_dropout: float = 0.1
    feature_dropout: float = 0.0
    n_features: int = 0


class Network(nn.Module):
    """From counts to z-scored behaviour.

        net.read_in.add("monday", mean, sd)
        net.set_output_scale(labels.mean(axis=0), labels.std(axis=0))
        z = net.decode(counts, "monday")                # [N, C, T] → [N, D, T]
        net.in_units(z)

    Raises:
        RtdecodeError: a number is out of its range.
    """

    kind: ClassVar[str]
    Settings: ClassVar[type[NetworkSettings]]
    config: NetworkSettings
    output_mean: Tensor
    output_sd: Tensor

    def __init__(self, config: NetworkSettings) -> None:
        super().__init__()
        if config.n_outputs < 1:
            raise RtdecodeError(
                f"a network cannot have {config.n_outputs} outputs", fix="give 1 output or more"
            )
        self.config = config
        self.n_channels, self.n_outputs = config.n_channels, config.n_outputs
        self.read_in = ReadIn(
            config.n_channels, config.count_max, config.dropout, config.channel_dropout, config.n_features
        )
        check_probability(config.feature_dropout)
        self.register_buffer("output_mean", torch.zeros(self.n_outputs, dtype=torch.float64))
        self.register_buffer("output_sd", torch.ones(self.n_outputs, dtype=torch.float64))

    @abstractmethod
    def decode(self, counts: Tensor, session: str | Sequence[str] | None = None) -> Tensor:
        """Behaviour from spikes: counts [N, C, T] of a session (see `ReadIn`) → z-scored [N, D, T]."""

    @property
    def settings(self) -> dict[str, Any]:
        """The fields of `config`, as JSON holds them."""
        fields = asdict(self.config)
        if not self.config.n_features:
            # Left out where there are none: a model file of counts alone is as it always was.
            del fields["n_features"]
        return {name: list(value) if isinstance(value, tuple) else value for name, value in fields.items()}

    def set_output_scale(self, mean: ArrayLike, sd: ArrayLike) -> None:
        """Set the mean and SD that behaviour was z-scored with, [D] each, in the outputs' units.

        Raises:
            RtdecodeError: these are not D finite numbers, or an SD is not above 0.
        """
        means, sds = (np.array(values, dtype=np.float64) for values in (mean, sd))
        if not means.shape == sds.shape == (self.n_outputs,):
            raise RtdecodeError(
                f"a scale of {means.size} outputs does not fit a network of {self.n_outputs}",
                fix="pass one mean and one SD per output",
            )
        if not (np.isfinite(means).all() and np.isfinite(sds).all() and (sds > 0).all()):
            raise RtdecodeError(
                "output means must be finite and SDs positive", fix="leave out outputs that never change"
            )
        self.output_mean.copy_(torch.from_numpy(means))
        self.output_sd.copy_(torch.from_numpy(sds))

    def in_units(self, behavior: Tensor) -> Tensor:
        """Z-scored behaviour [N, D, T] in the outputs' units."""
        mean, sd = self.output_mean[:, None], self.output_sd[:, None]
        return (behavior * sd + mean).to(behavior.dtype)

    def in_sd(self, spikes: Tensor, session: str | Sequence[str] | None = None) -> Tensor:
        """Counts or rates [N, C, T] in units of each channel's SD; 0 where ignored."""
        sd = self.read_in.sd(session, len(spikes))
        return torch.where(sd > 0, spikes / sd.clamp(min=torch.finfo(sd.dtype).tiny), 0.0)

    def train_tensors(self, session: str) -> Arrays:
        """The train.* of an artifact: `settings`, JSON as bytes, and the state dict as `net.NAME`.

        Args:
            session: that run.* is folded for.
        """
        described = {"network": self.settings, "sessions": self.read_in.names, "session": session}
        tensors: Arrays = {SETTINGS: as_bytes(described)}
        for name, tensor in self.state_dict().items():
            tensors[_NET + name] = tensor.detach().cpu().numpy()
        return tensors

    @classmethod
    def from_artifact(cls, artifact: ModelArtifact) -> Self:
        """The network as it was exported, with all its sessions, in evaluation mode.

        Raises:
            RtdecodeError: the artifact is of another kind, or its training state is missing or damaged.
        """
        if artifact.kind != cls.kind:
            raise RtdecodeError(
                f"the model is of kind {artifact.kind!r}, not {cls.kind!r}", fix=f"use one of kind {cls.kind}"
            )
        described = network_description(artifact)
        stored = with_prefix(_NET, artifact.train)
        state = {name: torch.from_numpy(_full(tensor)) for name, tensor in stored.items()}
        try:
            net = cls.rebuilt(described["network"], described["sessions"], state)
        except (RtdecodeError, RuntimeError, TypeError, ValueError, LookupError) as error:
            raise damaged(error) from error
        return net.eval()

    @classmethod
    def rebuilt(
        cls, settings: Mapping[str, Any], sessions: Sequence[str], state: Mapping[str, Tensor]
    ) -> Self:
        """The network with these settings, session names and `state_dict`.

        Raises:
            RtdecodeError, RuntimeError, TypeError, ValueError, LookupError: they do not fit together.
        """
        # On the meta device: a damaged size must not be allocated.
        with torch.device("meta"):
            net = cls(cls.Settings(**settings))
            for name in sessions:
                net.read_in.add(name, np.zeros(net.n_channels), np.ones(net.n_channels))
        net.load_state_dict(state, assign=True)
        return net


def _full(tensor: NDArray[Any]) -> NDArray[Any]:
    """A copy, with tensors that are stored in float16 (`export.float16`) in float32."""
    return np.array(tensor, dtype=np.float32 if tensor.dtype == np.float16 else tensor.dtype)
