"""AlignNet: twin U-Nets, one of spikes and one of behaviour, that share a latent."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import ClassVar, NamedTuple

import torch.nn.functional as F
from torch import Tensor, nn

from rtdecode.errors import RtdecodeError
from rtdecode.models.nn.layers import Pointwise, UnitSettings, frames_around
from rtdecode.models.nn.leaky_readout import LeakyReadOut
from rtdecode.models.nn.network import Network, NetworkSettings
from rtdecode.models.nn.read_in import check_probability
from rtdecode.models.nn.unet import Encoding, UDecoder, UEncoder


@dataclass(frozen=True, kw_only=True)
class AlignNetSettings(NetworkSettings):
    """Settings of an `AlignNet`; the fields are stored in model files.

    Attributes:
        causal: bin k reads bins 0 … k; else the paper's centred and transposed convolutions.
        planar: the paper's 3 × 3 convolutions over channels and time, pooling both; not causal.
        widths: channels (planar: features) of each level, the finest first; each further level halves time.
        latent: channels of the latent that both encoders share.
        dec_widths: of each decoder level but the deepest, the finest first.
        lift: channels that behaviour is mapped to before it is encoded; by default 64, and C if planar.
        leaky, hidden: leaky neurons, and hidden units over them, between the behaviour decoder and its head,
            see `LeakyReadOut`; the paper has neither.
        graded_rates: compute rates from the membrane potentials of the spike decoder, see `UDecoder`, and
            apply `feature_dropout` to its units as to the behaviour decoder's; the paper's rates are computed
            from spikes.
        motion_dropout: on the outputs of the behaviour encoder's units.
        centred_rates: the head gives the departure of a channel from its mean rate in a session, see
            `ReadIn.rates`; else the rate in SDs, including the mean over all sessions.
    """

    causal: bool = True
    planar: bool = False
    widths: tuple[int, ...] = (64, 64, 64)
    latent: int = 64
    dec_widths: tuple[int, ...] = (64, 64)
    lift: int | None = None
    leaky: int = 0
    hidden: int = 0
    graded_rates: bool = False
    motion_dropout: float = 0.0
    centred_rates: bool = False

    def __post_init__(self) -> None:
        # Model files hold lists.
        object.__setattr__(self, "widths", tuple(self.widths))
        object.__setattr__(self, "dec_widths", tuple(self.dec_widths))
        if self.lift is None:
            object.__setattr__(self, "lift", self.n_channels if self.planar else 64)


class Passes(NamedTuple):
    """Outputs of all four paths, which the losses compare.

    Attributes:
        decoded: [N, D, T], behaviour from spikes (the cross path; the deployed one).
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
    """The hybrid network of Hong, Xu, Zhang & Zhang: causal to deploy, or non-causal as in the paper.

        net = AlignNet(AlignNetSettings(n_channels=96, n_outputs=4, count_max=64))
        net.read_in.add("monday", mean=counts.mean(axis=0), sd=counts.std(axis=0))
        net.decode(batch)                               # [N, 96, T] counts → [N, 4, T] behaviour
        net.simulate(behavior)                          # [N, 4, T] → [N, 96, T] spikes per bin

    The spike encoder fires (`LIF`), the behaviour encoder rectifies; each feeds both decoders, by its latent
    and its skips (docs/paper.md). Behaviour is z-scored by `output_mean` and `output_sd`. Both decoders end
    in a linear head, the rates behind a softplus, since neither spikes nor rectified values could be a
    negative position or a count above 1; leaky neurons in front of the behaviour's head have a longer memory
    than the levels.

    Raises:
        RtdecodeError: a number is out of its range, or does not fit another.
    """

    kind: ClassVar[str] = "alignnet"
    Settings: ClassVar[type[AlignNetSettings]] = AlignNetSettings

    config: AlignNetSettings

    def __init__(self, config: AlignNetSettings) -> None:
        super().__init__(config)
        _check(config)
        check_probability(config.motion_dropout)
        n_channels, planar, lift = config.n_channels, config.planar, config.lift
        assert lift is not None
        self.lift = nn.Sequential(Pointwise(config.n_outputs, lift), nn.ReLU(), Pointwise(lift, lift))
        fires = UnitSettings(spiking=True, causal=config.causal, planar=planar)
        rectifies = replace(fires, spiking=False)
        self.spike_encoder = UEncoder(
            1 if planar else n_channels, config.widths, config.latent, fires, padded=False
        )
        self.behavior_encoder = UEncoder(
            1 if planar else lift,
            config.widths,
            config.latent,
            replace(rectifies, dropout=config.motion_dropout),
        )
        ends = (self.spike_encoder.skip_widths, config.latent, config.dec_widths)
        self.spike_decoder = UDecoder(
            *ends,
            replace(fires, dropout=config.feature_dropout if config.graded_rates else 0.0),
            potentials=config.graded_rates,
        )
        self.behavior_decoder = UDecoder(*ends, replace(rectifies, dropout=config.feature_dropout))
        n_features = self.behavior_decoder.n_out * (n_channels if planar else 1)
        self.rate_head = Pointwise(self.spike_decoder.n_out * (n_channels if planar else 1), n_channels)
        self.behavior_head = LeakyReadOut(
            n_features,
            config.n_outputs,
            leaky=config.leaky,
            hidden=config.hidden,
            dropout=config.feature_dropout,
        )

    @property
    def causal(self) -> bool:
        """Whether no output depends on a later input."""
        return self.config.causal

    @property
    def widths(self) -> tuple[int, ...]:
        """Channels of each level, the finest first."""
        return self.config.widths

    def encode_spikes(self, counts: Tensor, session: str | Sequence[str] | None = None) -> Encoding:
        """Encode counts [N, C, T], spikes per bin, of a session (see `ReadIn`)."""
        # Padded before the read-in: bins outside the window are silent, not at the mean rate.
        z = self.read_in(F.pad(counts, frames_around(self.causal)), session)
        encoding: Encoding = self.spike_encoder(z.unsqueeze(1) if self.config.planar else z)
        return encoding

    def encode_behavior(self, behavior: Tensor) -> Encoding:
        """Encode z-scored behaviour [N, D, T].

        Raises:
            RtdecodeError: the behaviour has another number of outputs.
        """
        if behavior.ndim != 3 or behavior.shape[1] != self.n_outputs:
            raise RtdecodeError(
                f"behaviour has shape {tuple(behavior.shape)}, not [N, {self.n_outputs}, T]",
                fix=f"pass {self.n_outputs} outputs, time last",
            )
        lifted = self.lift(behavior)
        encoding: Encoding = self.behavior_encoder(lifted.unsqueeze(1) if self.config.planar else lifted)
        return encoding

    def decode_behavior(self, encoding: Encoding) -> Tensor:
        """Z-scored behaviour [N, D, T] from either encoding."""
        behavior: Tensor = self.behavior_head(_flat(self.behavior_decoder(encoding)))
        return behavior

    def decode_spikes(self, encoding: Encoding, session: str | Sequence[str] | None = None) -> Tensor:
        """Spikes per bin [N, C, T], above 0, from either encoding; 0 for ignored channels."""
        output = self.rate_head(_flat(self.spike_decoder(encoding)))
        if self.config.centred_rates:
            return self.read_in.rates(output, session)
        return F.softplus(output) * self.read_in.sd(session, len(output))

    def decode(self, counts: Tensor, session: str | Sequence[str] | None = None) -> Tensor:
        """Behaviour from spikes, the deployed path: counts [N, C, T] → z-scored [N, D, T]."""
        return self.decode_behavior(self.encode_spikes(counts, session))

    def simulate(self, behavior: Tensor, session: str | Sequence[str] | None = None) -> Tensor:
        """Spikes from behaviour: z-scored [N, D, T] → spikes per bin [N, C, T] of a session."""
        return self.decode_spikes(self.encode_behavior(behavior), session)

    def decoding_parts(self) -> list[nn.Module]:
        """The modules of the decoding path, except the read-in."""
        return [self.spike_encoder, self.behavior_decoder, self.behavior_head]

    def simulating_parts(self) -> list[nn.Module]:
        """The modules of the simulating path."""
        return [self.lift, self.behavior_encoder, self.spike_decoder, self.rate_head]

    def forward(self, counts: Tensor, behavior: Tensor, session: str | Sequence[str] | None = None) -> Passes:
        """All four paths through the network, for pretraining.

        Args:
            counts: [N, C, T], spikes per bin.
            behavior: [N, D, T], z-scored.
            session: of the windows, see `ReadIn`.
        """
        spike, motion = self.encode_spikes(counts, session), self.encode_behavior(behavior)
        decoded, simulated = self.decode_behavior(spike), self.decode_spikes(motion, session)
        # The cross paths are deployed: a mean of the statistics of both encodings would fit neither.
        with _without_updates(self.behavior_decoder), _without_updates(self.spike_decoder):
            reconstructed, spikes = self.decode_behavior(motion), self.decode_spikes(spike, session)
        return Passes(
            decoded=decoded,
            behavior=reconstructed,
            simulated=simulated,
            spikes=spikes,
            spike_latent=spike.latent,
            behavior_latent=motion.latent,
        )


def _check(config: AlignNetSettings) -> None:
    if config.planar and config.causal:
        raise RtdecodeError("convolutions over channels and time are not causal", fix="set causal=False")
    n_channels, n_pools, lift = config.n_channels, len(config.widths) - 1, config.lift
    if lift is None or lift < 1 or (config.planar and lift != n_channels):
        raise RtdecodeError(
            f"behaviour lifted to {lift} channels does not fit {n_channels} channels of spikes",
            fix="leave lift out" if config.planar else "give 1 or more",
        )
    if config.planar and n_channels >> n_pools < 1:
        raise RtdecodeError(f"{n_channels} channels cannot be pooled {n_pools} times", fix="use fewer levels")


@contextmanager
def _without_updates(module: nn.Module) -> Iterator[None]:
    """Batch normalisation normalises by the batch, without updating its running statistics."""
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
