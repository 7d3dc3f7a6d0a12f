"""The read-in: normalises the counts of each session, so that the network behind it can read them all."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import cast

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import ArrayLike
from torch import Tensor, nn

from rtdecode.errors import RtdecodeError
from rtdecode.kernels.arrays import F8
from rtdecode.models.alive import input_units
from rtdecode.models.nn.dropout import Dropout

#: Lower bound on a channel's mean in SDs, where rates start: softplus⁻¹(0) is infinite.
MIN_MEAN = 0.02

#: Lower bound on scale · SD in `SessionReadIn.mean`; a trained scale may cross zero.
MIN_SCALE = 0.1


class ReadIn(nn.Module):
    """z = scale · min(counts, count_max) + offset for each channel and session; the first layer of a network.

    Codes of features, which follow the counts, are channels like these; they are never clipped.

        read_in = ReadIn(96, count_max=64)
        read_in.add("monday", mean=counts.mean(axis=0), sd=counts.std(axis=0))
        z = read_in(batch, "monday")                   # [N, 96, T]

    A new session starts at the z-score of its statistics; scale and offset are trained from there. The names
    are saved with the weights, and loading weights of other sessions is refused.

    Args:
        n_channels: C, features included.
        count_max: larger counts are clipped to it.
        n_features: number of features among the channels, the last ones.
        dropout: probability of setting a single z to its channel's mean, while training.
        channel_dropout: the same for a channel during the whole window.

    Raises:
        RtdecodeError: a number is out of its range.
    """

    def __init__(
        self,
        n_channels: int,
        count_max: int,
        dropout: float = 0.0,
        channel_dropout: float = 0.0,
        n_features: int = 0,
    ) -> None:
        super().__init__()
        if n_channels < 1 or not 1 <= count_max <= 255:
            raise RtdecodeError(
                f"a network cannot have {n_channels} channels and counts up to {count_max}",
                fix="give 1 channel or more and a count_max from 1 to 255",
            )
        check_probability(dropout)
        check_probability(channel_dropout)
        self.n_channels, self.count_max, self.n_features = n_channels, count_max, n_features
        self.names: list[str] = []
        self.sessions = nn.ModuleList()
        self.dropout, self.channel_dropout = Dropout(dropout), nn.Dropout1d(channel_dropout)

    def add(self, name: str, mean: ArrayLike, sd: ArrayLike, good: ArrayLike | None = None) -> None:
        """Add a session.

        Args:
            name: of the session; not used yet.
            mean, sd: [C], of its clipped training counts, in spikes per bin.
            good: bool[C], False for a channel to ignore; one with an SD of 0 is always ignored.

        Raises:
            RtdecodeError: the name is in use, or the statistics do not fit the channels or are not finite.
        """
        if name in self.names:
            raise RtdecodeError(f"the network has a session {name!r} already", fix="use another name")
        means, sds = (np.array(values, dtype=np.float64) for values in (mean, sd))
        used = np.ones(self.n_channels, bool) if good is None else np.array(good, dtype=bool)
        shape = (self.n_channels,)
        if not means.shape == sds.shape == used.shape == shape:
            raise RtdecodeError(
                f"statistics of {means.size} channels do not fit a network of {self.n_channels}",
                where=name,
                fix="use a session of the same array",
            )
        if not (np.isfinite(means).all() and np.isfinite(sds).all() and (sds >= 0).all()):
            raise RtdecodeError(
                "channel statistics contain NaN or infinity, or an SD below 0",
                where=name,
                fix="compute them from counts",
            )
        of_day = SessionReadIn(means, sds, used & (sds > 0), self.n_features)
        self.sessions.append(of_day.to(self._device()))
        self.names.append(name)

    def forward(self, counts: Tensor, session: str | Sequence[str] | None = None) -> Tensor:
        """Normalise counts.

        Args:
            counts: [N, C, T], spikes per bin.
            session: the name for all windows, or N names; optional if there is a single session.

        Returns:
            [N, C, T]; 0 for ignored channels.

        Raises:
            RtdecodeError: the counts have another number of channels, or the session is unknown.
        """
        if counts.ndim != 3 or counts.shape[1] != self.n_channels:
            raise RtdecodeError(
                f"counts have shape {tuple(counts.shape)}, not [N, {self.n_channels}, T]",
                fix=f"pass counts of {self.n_channels} channels, time last",
            )
        chosen = self._chosen(session, len(counts))
        scale = _stacked([s.gain() * s.good for s in chosen])
        offset = _stacked([s.offset * s.good for s in chosen])
        z = scale * self.clipped(counts) + offset
        dropped: Tensor = self.channel_dropout(self.dropout(z))
        return dropped

    def clipped(self, inputs: Tensor) -> Tensor:
        """Inputs [N, C, T] with counts clipped to `count_max`, and codes of features as they are."""
        if not self.n_features:
            return inputs.clamp(max=self.count_max)
        counts, codes = inputs[:, : -self.n_features], inputs[:, -self.n_features :]
        return torch.cat((counts.clamp(max=self.count_max), codes), dim=1)

    def sd(self, session: str | Sequence[str] | None, n_windows: int) -> Tensor:
        """SD [N or 1, C, 1] of each channel's training counts, in spikes per bin; 0 where ignored."""
        return _stacked([s.sd * s.good for s in self._chosen(session, n_windows)])

    def rates(self, output: Tensor, session: str | Sequence[str] | None = None) -> Tensor:
        """Spikes per bin from a head's output, the inverse direction.

        sd · softplus(output + softplus⁻¹(m)), where m is the count, in SDs, that the read-in maps to 0: at an
        output of 0 a channel fires at its mean rate of that session. This holds for sessions that were never
        trained on, too.

        Args:
            output: [N, C, T]; in SDs for channels with high rates.
            session: as in `forward`.

        Returns:
            [N, C, T], above 0; 0 for ignored channels.
        """
        return F.softplus(output.float() + self.mean_offset(session, len(output))) * self.sd(
            session, len(output)
        )

    def mean_offset(self, session: str | Sequence[str] | None, n_windows: int) -> Tensor:
        """softplus⁻¹(m) of `rates`, [N or 1, C, 1]."""
        chosen = self._chosen(session, n_windows)
        mean = _stacked([s.mean() for s in chosen]).clamp(min=MIN_MEAN)
        # log(exp(m) − 1), written so that large m do not overflow.
        return mean + torch.log(-torch.expm1(-mean))

    def of(self, session: str | None) -> SessionReadIn:
        """The read-in of one session."""
        return self._chosen(session, 1)[0]

    def get_extra_state(self) -> Tensor:
        """The names, as bytes of JSON, for the state dict."""
        return torch.tensor(list(json.dumps(self.names).encode()), dtype=torch.uint8)

    def set_extra_state(self, state: Tensor) -> None:
        """Called while loading a state dict.

        Raises:
            RtdecodeError: the weights belong to other sessions.
        """
        names = json.loads(bytes(state.tolist()))
        if names != self.names:
            raise RtdecodeError(
                f"weights of the sessions {names} do not fit a network of {self.names}",
                fix="add the same sessions in the same order first",
            )

    def _chosen(self, session: str | Sequence[str] | None, n_windows: int) -> list[SessionReadIn]:
        if session is None:
            if len(self.names) != 1:
                raise RtdecodeError(
                    f"a session must be named; the network has {', '.join(self.names) or 'none yet'}",
                    fix="name one of them" if self.names else "add one",
                )
            session = self.names[0]
        chosen = [session] if isinstance(session, str) else list(session)
        if not isinstance(session, str) and len(chosen) != n_windows:
            raise RtdecodeError(
                f"{len(chosen)} session names do not fit {n_windows} windows", fix="pass one name per window"
            )
        for name in chosen:
            if name not in self.names:
                raise RtdecodeError(
                    f"the network has no session {name!r}, only {', '.join(self.names)}",
                    fix="name one of them, or add the session",
                )
        return [cast(SessionReadIn, self.sessions[self.names.index(name)]) for name in chosen]

    def _device(self) -> torch.device:
        return next((parameter.device for parameter in self.parameters()), torch.get_default_device())


class SessionReadIn(nn.Module):
    """Scale and offset [C] of one session, and the SD that they started from.

    Args:
        mean, sd: f8[C], spikes per bin.
        good: bool[C], False for an ignored channel.
        n_features: number of features among the channels; `scale` is in `input_units`.
    """

    sd: Tensor
    good: Tensor

    def __init__(self, mean: F8, sd: F8, good: np.ndarray, n_features: int) -> None:
        super().__init__()
        self.n_features, unit = n_features, input_units(len(sd), n_features)
        scale = np.divide(1.0, sd, out=np.zeros_like(sd), where=good)
        self.scale = nn.Parameter(torch.tensor(scale / unit, dtype=torch.float32))
        self.offset = nn.Parameter(torch.tensor(-mean * scale, dtype=torch.float32))
        self.register_buffer("sd", torch.tensor(sd, dtype=torch.float32))
        self.register_buffer("good", torch.tensor(good, dtype=torch.bool))

    def gain(self) -> Tensor:
        """z [C] of a spike, or of a step of a code."""
        if not self.n_features:
            return self.scale
        return self.scale * torch.from_numpy(input_units(len(self.sd), self.n_features)).to(self.scale)

    def mean(self) -> Tensor:
        """The count [C] that maps to 0, in SDs of the channel; 0 for an ignored channel."""
        scale = (self.gain() * self.sd).clamp(min=MIN_SCALE)
        return torch.where(self.good, -self.offset / scale, 0.0)


def check_probability(p: float) -> None:
    """Check a dropout probability.

    Raises:
        RtdecodeError: it is outside of [0, 1).
    """
    if not 0.0 <= p < 1.0:
        raise RtdecodeError(
            f"a dropout of {p} is not a probability below 1", fix="give 0 or more, and less than 1"
        )


def _stacked(rows: list[Tensor]) -> Tensor:
    return torch.stack(rows).unsqueeze(-1)
