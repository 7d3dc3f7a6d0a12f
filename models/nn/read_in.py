"""The read-in: what makes one session's counts look like another's to the network behind it."""

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
from rtdecode.models.nn.dropout import Dropout

#: A channel that hardly fires starts from this mean, in its SDs: softplus⁻¹ of 0 is no number.
LEAST_MIDDLE = 0.02

#: Least scale, in that of a z-score, by which `SessionReadIn.middle` divides: training may take it through 0.
LEAST_SCALE = 0.1


class ReadIn(nn.Module):
    """z = scale · min(counts, count_max) + offset for each channel, by session; the first layer of a network.

        read_in = ReadIn(96, count_max=64)
        read_in.add("monday", mean=counts.mean(axis=0), sd=counts.std(axis=0))
        z = read_in(batch, "monday")                   # [N, 96, T]

    A new session starts at the z-score of its statistics; both numbers are learnt from there. The names are
    saved with the weights, and loading weights of other sessions is refused.

    Args:
        n_channels: C.
        count_max: larger counts are clipped to it.
        dropout: probability of taking a single z for its channel's mean, while training.
        channel_dropout: the same for a channel during the whole window.

    Raises:
        RtdecodeError: a number is out of its range.
    """

    n_channels: int
    count_max: int
    names: list[str]
    sessions: nn.ModuleList
    dropout: Dropout
    channel_dropout: nn.Dropout1d

    def __init__(
        self, n_channels: int, count_max: int, dropout: float = 0.0, channel_dropout: float = 0.0
    ) -> None:
        super().__init__()
        if n_channels < 1 or not 1 <= count_max <= 255:
            raise RtdecodeError(f"a network of {n_channels} channels and counts up to {count_max}")
        check_probability(dropout)
        check_probability(channel_dropout)
        self.n_channels, self.count_max = n_channels, count_max
        self.names = []
        self.sessions = nn.ModuleList()
        self.dropout, self.channel_dropout = Dropout(dropout), nn.Dropout1d(channel_dropout)

    def add(self, name: str, mean: ArrayLike, sd: ArrayLike, good: ArrayLike | None = None) -> None:
        """Take up a session.

        Args:
            name: not taken yet.
            mean, sd: [C], of its clipped training counts, in spikes per bin.
            good: bool[C], False for a channel to ignore; one without spread is ignored in any case.

        Raises:
            RtdecodeError: the name is taken, or the statistics do not fit the channels or are not numbers.
        """
        if name in self.names:
            raise RtdecodeError(f"the network has a session {name!r} already")
        middle, spread = (np.array(values, dtype=np.float64) for values in (mean, sd))
        wanted = np.ones(self.n_channels, bool) if good is None else np.array(good, dtype=bool)
        shape = (self.n_channels,)
        if not middle.shape == spread.shape == wanted.shape == shape:
            raise RtdecodeError(
                f"statistics of {middle.size} channels for a network of {self.n_channels}", where=name
            )
        if not (np.isfinite(middle).all() and np.isfinite(spread).all() and (spread >= 0).all()):
            raise RtdecodeError("channel statistics that are no numbers, or an SD below 0", where=name)
        self.sessions.append(SessionReadIn(middle, spread, wanted & (spread > 0)).to(self._device()))
        self.names.append(name)

    def forward(self, counts: Tensor, session: str | Sequence[str] | None = None) -> Tensor:
        """Normalise counts.

        Args:
            counts: [N, C, T], spikes per bin.
            session: the name for all windows, or N names; may be left out where there is one session.

        Returns:
            [N, C, T]; 0 for channels that are ignored.

        Raises:
            RtdecodeError: another number of channels, or an unknown session.
        """
        if counts.ndim != 3 or counts.shape[1] != self.n_channels:
            raise RtdecodeError(f"counts of shape {tuple(counts.shape)}, not [N, {self.n_channels}, T]")
        chosen = self._chosen(session, len(counts))
        scale, offset = (
            _stacked([s.scale * s.good for s in chosen]),
            _stacked([s.offset * s.good for s in chosen]),
        )
        z = scale * counts.clamp(max=self.count_max) + offset
        dropped: Tensor = self.channel_dropout(self.dropout(z))
        return dropped

    def sd(self, session: str | Sequence[str] | None, n_windows: int) -> Tensor:
        """SD [N or 1, C, 1] of each channel's training counts, in spikes per bin; 0 where ignored."""
        return _stacked([s.sd * s.good for s in self._chosen(session, n_windows)])

    def rates(self, said: Tensor, session: str | Sequence[str] | None = None) -> Tensor:
        """The way back: spikes per bin from what a head says of each channel.

        sd · softplus(said + softplus⁻¹(m)), m being the count that is read in as 0, in SDs: where the head
        says 0 a channel fires at its mean rate of that session, and a session that was never trained on
        brings its own.

        Args:
            said: [N, C, T], SDs where a channel fires much.
            session: as of `forward`.

        Returns:
            [N, C, T], above 0; 0 for channels that are ignored.
        """
        return F.softplus(said.float() + self.start(session, len(said))) * self.sd(session, len(said))

    def start(self, session: str | Sequence[str] | None, n_windows: int) -> Tensor:
        """softplus⁻¹(m) of `rates`, [N or 1, C, 1]."""
        chosen = self._chosen(session, n_windows)
        middle = _stacked([s.middle() for s in chosen]).clamp(min=LEAST_MIDDLE)
        # In a form that does not overflow for large ones.
        return middle + torch.log(-torch.expm1(-middle))

    def of(self, session: str | None) -> SessionReadIn:
        """One session's numbers."""
        return self._chosen(session, 1)[0]

    def get_extra_state(self) -> Tensor:
        """The names, as bytes of JSON, for the state dict."""
        return torch.tensor(list(json.dumps(self.names).encode()), dtype=torch.uint8)

    def set_extra_state(self, state: Tensor) -> None:
        """Called while loading a state dict.

        Raises:
            RtdecodeError: the weights are of other sessions.
        """
        names = json.loads(bytes(state.tolist()))
        if names != self.names:
            raise RtdecodeError(f"weights of the sessions {names} for a network of {self.names}")

    def _chosen(self, session: str | Sequence[str] | None, n_windows: int) -> list[SessionReadIn]:
        if session is None:
            if len(self.names) != 1:
                raise RtdecodeError(
                    f"which session? the network has {', '.join(self.names) or 'none yet'}",
                    fix="name one of them" if self.names else "add one",
                )
            session = self.names[0]
        wanted = [session] if isinstance(session, str) else list(session)
        if not isinstance(session, str) and len(wanted) != n_windows:
            raise RtdecodeError(f"{len(wanted)} session names for {n_windows} windows")
        for name in wanted:
            if name not in self.names:
                raise RtdecodeError(f"no session {name!r} in the network, only {', '.join(self.names)}")
        return [cast(SessionReadIn, self.sessions[self.names.index(name)]) for name in wanted]

    def _device(self) -> torch.device:
        return next((parameter.device for parameter in self.parameters()), torch.get_default_device())


class SessionReadIn(nn.Module):
    """Scale and offset [C] of one session, and the statistics that they started from.

    Args:
        mean, sd: f8[C], spikes per bin.
        good: bool[C], False for a channel that is ignored.
    """

    scale: nn.Parameter
    offset: nn.Parameter
    sd: Tensor
    good: Tensor

    def __init__(self, mean: np.ndarray, sd: np.ndarray, good: np.ndarray) -> None:
        super().__init__()
        scale = np.divide(1.0, sd, out=np.zeros_like(sd), where=good)
        self.scale = nn.Parameter(torch.tensor(scale, dtype=torch.float32))
        self.offset = nn.Parameter(torch.tensor(-mean * scale, dtype=torch.float32))
        self.register_buffer("sd", torch.tensor(sd, dtype=torch.float32))
        self.register_buffer("good", torch.tensor(good, dtype=torch.bool))

    def middle(self) -> Tensor:
        """The count [C] that is read in as 0, in SDs of the channel; 0 where it is ignored."""
        scale = (self.scale * self.sd).clamp(min=LEAST_SCALE)
        return torch.where(self.good, -self.offset / scale, 0.0)


def check_probability(p: float) -> None:
    """Of a dropout.

    Raises:
        RtdecodeError: it does not lie in [0, 1).
    """
    if not 0.0 <= p < 1.0:
        raise RtdecodeError(f"a dropout of {p}; it must lie in [0, 1)")


def _stacked(rows: list[Tensor]) -> Tensor:
    return torch.stack(rows).unsqueeze(-1)
