"""AlignNet: twin U-Nets, one of spikes and one of behaviour, that meet in the middle."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar, NamedTuple

import torch.nn.functional as F
from torch import Tensor, nn

from rtdecode.errors import RtdecodeError
from rtdecode.models.nn.layers import Pointwise, frames_around
from rtdecode.models.nn.leaky_readout import LeakyReadOut
from rtdecode.models.nn.network import Network
from rtdecode.models.nn.read_in import check_probability
from rtdecode.models.nn.unet import Encoding, UDecoder, UEncoder


class Passes(NamedTuple):
    """Everything that the losses compare.

    Attributes:
        decoded: [N, D, T], behaviour from spikes (the cross path; what is deployed).
        behavior: [N, D, T], behaviour from behaviour.
        simulated: [N, C, T], spikes per bin from behaviour (the cross path).
        spikes: [N, C, T], spikes per bin from spikes.
        spike_latent, behavior_latent: [N, latent, T_deepest].
    """

    decoded: Tensor
    behavior: Tensor
    simulated: Tensor
    spikes: Tensor
    spike_latent: Tensor
    behavior_latent: Tensor


class AlignNet(Network):
    """The hybrid network of Hong, Xu, Zhang & Zhang, in a causal form to deploy and in the paper's own.

        net = AlignNet(n_channels=96, n_outputs=4, count_max=64)
        net.read_in.add("monday", mean=counts.mean(axis=0), sd=counts.std(axis=0))
        net.decode(batch)                               # [N, 96, T] counts → [N, 4, T] behaviour
        net.simulate(behavior)                          # [N, 4, T] → [N, 96, T] spikes per bin

    The spike encoder fires (`LIF`), the behaviour encoder rectifies; each feeds both decoders, latent and
    skips (docs/paper.md says what passes across). Behaviour is z-scored in and out: `output_mean` and
    `output_sd` say with what. Both decoders end in a linear head, the rates behind a softplus, since neither
    spikes nor rectified values could be a negative position or a count above 1; leaky neurons beside the
    behaviour's head remember for longer than the levels reach.

    Args:
        n_channels: C, of counts.
        n_outputs: D, of behaviour.
        count_max: larger counts are clipped to it.
        causal: bin k reads bins 0 … k; False for the paper's centred convolutions, transposed on the way up.
        planar: the paper's 3 × 3 convolutions over channels and time, pooling both; not causal.
        widths: channels (planar: features) of each level, the finest first; each further one halves time.
        latent: channels of the latent that both encoders share.
        dec_widths: of each decoder level but the deepest, the finest first.
        lift: what behaviour is lifted to before it is encoded; None for 64, and for C if planar.
        leaky, hidden: neurons that integrate over time, and units behind them, between the behaviour decoder
            and its head, see `LeakyReadOut`; the paper has neither.
        dropout, channel_dropout: on the read-in's normalised counts, see `ReadIn`.
        feature_dropout: on what the units of the behaviour decoder say.
        graded_rates: rates are made of the spike decoder's charges, see `UDecoder`, and what its units say is
            dropped as the behaviour decoder's is; the paper's are made of spikes.
        motion_dropout: on what the units of the behaviour encoder say.
        centred_rates: what is learnt of a channel is how it departs from its mean rate in a session, see
            `ReadIn.rates`; else it is the rate in SDs, the mean of all sessions with it.

    Raises:
        RtdecodeError: a number is out of its range, or does not fit another.
    """

    kind: ClassVar[str] = "alignnet"

    causal: bool
    planar: bool
    widths: tuple[int, ...]
    n_latent: int
    dec_widths: tuple[int, ...]
    lift_to: int
    lift: nn.Sequential
    spike_encoder: UEncoder
    behavior_encoder: UEncoder
    spike_decoder: UDecoder
    behavior_decoder: UDecoder
    rate_head: Pointwise
    behavior_head: LeakyReadOut

    def __init__(
        self,
        n_channels: int,
        n_outputs: int,
        count_max: int,
        *,
        causal: bool = True,
        planar: bool = False,
        widths: Sequence[int] = (64, 64, 64),
        latent: int = 64,
        dec_widths: Sequence[int] = (64, 64),
        lift: int | None = None,
        leaky: int = 0,
        hidden: int = 0,
        dropout: float = 0.1,
        channel_dropout: float = 0.1,
        feature_dropout: float = 0.0,
        graded_rates: bool = False,
        motion_dropout: float = 0.0,
        centred_rates: bool = False,
    ) -> None:
        super().__init__(n_channels, n_outputs, count_max, dropout, channel_dropout, feature_dropout)
        if planar and causal:
            raise RtdecodeError("convolutions over channels and time are not causal", fix="set causal=False")
        lift_to = lift if lift is not None else n_channels if planar else 64
        if lift_to < 1 or (planar and lift_to != n_channels):
            raise RtdecodeError(f"behaviour lifted to {lift_to} beside {n_channels} channels")
        if planar and n_channels >> (len(widths) - 1) < 1:
            raise RtdecodeError(f"{n_channels} channels cannot be pooled {len(widths) - 1} times")
        self.causal, self.planar = causal, planar
        self.widths, self.n_latent, self.dec_widths = tuple(widths), latent, tuple(dec_widths)
        self.lift_to = lift_to
        self.lift = nn.Sequential(Pointwise(n_outputs, lift_to), nn.ReLU(), Pointwise(lift_to, lift_to))
        form: dict[str, Any] = {"latent": latent, "causal": causal, "planar": planar}
        down = form | {"widths": self.widths}
        self.spike_encoder = UEncoder(1 if planar else n_channels, spiking=True, padded=False, **down)
        self.behavior_encoder = UEncoder(
            1 if planar else lift_to, spiking=False, dropout=motion_dropout, **down
        )
        up = form | {"across": self.spike_encoder.across, "dec_widths": self.dec_widths}
        check_probability(motion_dropout)
        self.graded_rates, self.motion_dropout = graded_rates, motion_dropout
        self.centred_rates = centred_rates
        self.spike_decoder = UDecoder(
            spiking=True, graded=graded_rates, dropout=feature_dropout if graded_rates else 0.0, **up
        )
        self.behavior_decoder = UDecoder(spiking=False, dropout=feature_dropout, **up)
        n_features = self.behavior_decoder.n_out * (n_channels if planar else 1)
        self.rate_head = Pointwise(self.spike_decoder.n_out * (n_channels if planar else 1), n_channels)
        self.behavior_head = LeakyReadOut(
            n_features, n_outputs, leaky=leaky, hidden=hidden, dropout=feature_dropout
        )

    @property
    def settings(self) -> dict[str, Any]:
        return {
            "n_channels": self.n_channels,
            "n_outputs": self.n_outputs,
            "count_max": self.read_in.count_max,
            "causal": self.causal,
            "planar": self.planar,
            "widths": list(self.widths),
            "latent": self.n_latent,
            "dec_widths": list(self.dec_widths),
            "lift": self.lift_to,
            "leaky": self.behavior_head.n_leaky,
            "hidden": self.behavior_head.n_hidden,
            "dropout": self.read_in.dropout.p,
            "channel_dropout": self.read_in.channel_dropout.p,
            "feature_dropout": self.feature_dropout,
            "graded_rates": self.graded_rates,
            "motion_dropout": self.motion_dropout,
            "centred_rates": self.centred_rates,
        }

    def encode_spikes(self, counts: Tensor, session: str | Sequence[str] | None = None) -> Encoding:
        """Encode counts [N, C, T], spikes per bin, of a session (see `ReadIn`)."""
        # Padded before the read-in: what lies outside the window is silence, not the mean rate.
        z = self.read_in(F.pad(counts, frames_around(self.causal)), session)
        encoding: Encoding = self.spike_encoder(z.unsqueeze(1) if self.planar else z)
        return encoding

    def encode_behavior(self, behavior: Tensor) -> Encoding:
        """Encode z-scored behaviour [N, D, T].

        Raises:
            RtdecodeError: another number of outputs.
        """
        if behavior.ndim != 3 or behavior.shape[1] != self.n_outputs:
            raise RtdecodeError(f"behaviour of shape {tuple(behavior.shape)}, not [N, {self.n_outputs}, T]")
        lifted = self.lift(behavior)
        encoding: Encoding = self.behavior_encoder(lifted.unsqueeze(1) if self.planar else lifted)
        return encoding

    def decode_behavior(self, encoding: Encoding) -> Tensor:
        """Z-scored behaviour [N, D, T] from either encoding."""
        behavior: Tensor = self.behavior_head(_flat(self.behavior_decoder(encoding)))
        return behavior

    def decode_spikes(self, encoding: Encoding, session: str | Sequence[str] | None = None) -> Tensor:
        """Spikes per bin [N, C, T], above 0, from either encoding; 0 for channels that are ignored."""
        said = self.rate_head(_flat(self.spike_decoder(encoding)))
        if self.centred_rates:
            return self.read_in.rates(said, session)
        return F.softplus(said) * self.read_in.sd(session, len(said))

    def decode(self, counts: Tensor, session: str | Sequence[str] | None = None) -> Tensor:
        """Behaviour from spikes, the path that is deployed: counts [N, C, T] → z-scored [N, D, T]."""
        return self.decode_behavior(self.encode_spikes(counts, session))

    def simulate(self, behavior: Tensor, session: str | Sequence[str] | None = None) -> Tensor:
        """Spikes from behaviour: z-scored [N, D, T] → spikes per bin [N, C, T] of a session."""
        return self.decode_spikes(self.encode_behavior(behavior), session)

    def reconstruct_behavior(self, behavior: Tensor) -> Tensor:
        """Behaviour [N, D, T] through its own encoder and decoder."""
        return self.decode_behavior(self.encode_behavior(behavior))

    def reconstruct_spikes(self, counts: Tensor, session: str | Sequence[str] | None = None) -> Tensor:
        """Counts [N, C, T] through their own encoder and decoder."""
        return self.decode_spikes(self.encode_spikes(counts, session), session)

    def latents(
        self, counts: Tensor, behavior: Tensor, session: str | Sequence[str] | None = None
    ) -> tuple[Tensor, Tensor]:
        """Both latents of the same windows, for `losses.info_nce`."""
        return self.encode_spikes(counts, session).latent, self.encode_behavior(behavior).latent

    def decoding_parts(self) -> list[nn.Module]:
        """What decodes, the read-in apart."""
        return [self.spike_encoder, self.behavior_decoder, self.behavior_head]

    def simulating_parts(self) -> list[nn.Module]:
        """What simulates."""
        return [self.lift, self.behavior_encoder, self.spike_decoder, self.rate_head]

    def forward(self, counts: Tensor, behavior: Tensor, session: str | Sequence[str] | None = None) -> Passes:
        """All four ways through the network, for pretraining.

        Args:
            counts: [N, C, T], spikes per bin.
            behavior: [N, D, T], z-scored.
            session: of the windows, see `ReadIn`.
        """
        spike, motion = self.encode_spikes(counts, session), self.encode_behavior(behavior)
        decoded, simulated = self.decode_behavior(spike), self.decode_spikes(motion, session)
        # What is deployed are the cross paths: a mean of both encodings would fit neither.
        with _statistics_kept(self.behavior_decoder), _statistics_kept(self.spike_decoder):
            reconstructed, spikes = self.decode_behavior(motion), self.decode_spikes(spike, session)
        return Passes(
            decoded=decoded,
            behavior=reconstructed,
            simulated=simulated,
            spikes=spikes,
            spike_latent=spike.latent,
            behavior_latent=motion.latent,
        )


@contextmanager
def _statistics_kept(module: nn.Module) -> Iterator[None]:
    """Batch normalisation goes by the batch, and remembers nothing of it."""
    norms = [norm for norm in module.modules() if isinstance(norm, nn.BatchNorm1d | nn.BatchNorm2d)]
    before = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
    try:
        yield
    finally:
        for norm, momentum in zip(norms, before, strict=True):
            norm.momentum = momentum


def _flat(x: Tensor) -> Tensor:
    """[N, features(, C), T] → [N, features(·C), T]."""
    return x.flatten(1, -2)
