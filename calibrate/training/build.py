"""Untrained networks, their read-ins for sessions, and artifacts of trained ones."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import torch

from rtdecode.artifact import Feature, ModelArtifact, Output, count_max_at
from rtdecode.calibrate.training.ensemble import member_seeds
from rtdecode.calibrate.training.settings import (
    GRU_UNITS,
    MOST_MEMBERS,
    ONE_DAY_TRAINING,
    WINDOW_S,
    Sizes,
    TrainingSettings,
)
from rtdecode.calibrate.training.windows import Recording
from rtdecode.errors import RtdecodeError
from rtdecode.kernels.arrays import F4, F8, I8, U1, Inputs, Mask
from rtdecode.models.alive import channel_scale, check_some_alive, clipped_inputs
from rtdecode.models.ensemble.join import ensemble_of
from rtdecode.models.export.export import export
from rtdecode.models.export.noncausal import noncausal_model
from rtdecode.models.kinds.registry import NETWORKS
from rtdecode.models.networks.alignnet import AlignNet, AlignNetSettings
from rtdecode.models.networks.gru import GRUNet, GRUNetSettings
from rtdecode.models.nn.network import Network
from rtdecode.models.nn.stretches import by_stretch

DROPOUT, CHANNEL_DROPOUT = 0.2, 0.2

#: The longest initial time constant of a leaky neuron.
LONGEST_S = 4.0

SHORTEST_WINDOW_BINS = 50


def new_members(
    kind: str,
    n_channels: int,
    outputs: Sequence[Output],
    bin_width_s: float,
    seed: int,
    sizes: Sizes,
    *,
    causal: bool = True,
    n_features: int = 0,
) -> list[Network]:
    """The untrained networks of a model: `sizes.members` AlignNets, causal or not, or one GRU.

    Raises:
        RtdecodeError: an ensemble cannot have that many members.
    """
    n_members = sizes.members if kind == AlignNet.kind else 1
    check_members(kind, n_members)
    mean, sd = [output.mean for output in outputs], [output.sd for output in outputs]
    nets = []
    for member_seed in member_seeds(seed, n_members):
        with torch.random.fork_rng():
            torch.manual_seed(member_seed)
            ends = (n_channels, len(outputs), count_max_at(bin_width_s))
            net = new_network(kind, ends, bin_width_s, sizes, causal=causal, n_features=n_features)
        net.set_output_scale(mean, sd)
        nets.append(net)
    return nets


def check_members(kind: str, n_members: int) -> None:
    """Refuse a number of members that models of this kind cannot have.

    Raises:
        RtdecodeError: it is not 1 to `MOST_MEMBERS`, or more than 1 for a kind without ensembles.
    """
    if not 1 <= n_members <= MOST_MEMBERS or (n_members > 1 and not NETWORKS[kind].joins):
        raise RtdecodeError(
            f"a model of kind {kind} cannot have {n_members} networks",
            fix=f"use --members 1 to {MOST_MEMBERS}" if NETWORKS[kind].joins else "leave --members out",
        )


def export_members(
    nets: Sequence[Network],
    session: str,
    bin_width_s: float,
    outputs: tuple[Output, ...],
    features: tuple[Feature, ...] = (),
) -> ModelArtifact:
    """The model of these members for one of their sessions; non-causal AlignNets cannot be stepped."""
    whole = [net for net in nets if isinstance(net, AlignNet) and not net.causal]
    if whole:
        return noncausal_model(whole, session=session, bin_width_s=bin_width_s, outputs=outputs)
    return ensemble_of(
        [
            export(net, session=session, bin_width_s=bin_width_s, outputs=outputs, features=features)
            for net in nets
        ]
    )


def add_session(nets: Sequence[Network], name: str, counts: Inputs, bin_width_s: float, *, where: str) -> F4:
    """Add a read-in for a session to networks: the z-score of each channel, dead channels masked.

    Args:
        nets: networks without a read-in of this name.
        name: of the session.
        counts: u1[T, C], bins that the statistics may use; no behaviour is needed. With features
            i2[T, C + F].
        bin_width_s: seconds.
        where: named in errors, such as the session's file.

    Returns:
        The counts as the network receives them, f4[T, C], clipped to `count_max`.

    Raises:
        RtdecodeError: no channel fires, or the network has another number of channels.
    """
    read_in = nets[0].read_in
    clipped = clipped_counts(counts, read_in.count_max, read_in.n_features)
    start = read_in_start(clipped, bin_width_s, read_in.n_features, where=where)
    for net in nets:
        net.read_in.add(name, *start)
    return clipped


def decoded_whole(nets: Sequence[Network], counts: U1, session: str, starts: I8) -> F4:
    """The ensemble's decoded values of a session, all bins at once: f4[T, D] in the outputs' units.

    Args:
        nets: the members; their mean is taken.
        counts: u1[T, C], with nothing before the first and after the last bin of a stretch.
        session: the session whose read-in is used.
        starts: of the stretches.
    """
    window = torch.from_numpy(counts.T[np.newaxis].astype(np.float32))
    with torch.no_grad():
        each = [
            net.in_units(by_stretch(partial(net.decode, session=session), window, starts)) for net in nets
        ]
    return torch.stack(each).mean(dim=0)[0].numpy().T.astype(np.float32)


def clipped_counts(counts: Inputs, count_max: int, n_features: int = 0) -> F4:
    """Counts, and codes of features behind them, as a network receives them, f4 of the same shape."""
    return clipped_inputs(counts, count_max, n_features).astype(np.float32)


def z_scored(targets: F4, outputs: Sequence[Output]) -> F8:
    """Behaviour f[T, D] in the outputs' units, z-scored by their mean and SD."""
    mean, sd = (np.array([getattr(output, part) for output in outputs]) for part in ("mean", "sd"))
    return np.asarray((targets - mean) / sd)


def read_in_start(clipped: F4, bin_width_s: float, n_features: int = 0, *, where: str) -> tuple[F8, F8, Mask]:
    """Arguments of `ReadIn.add` for a session: `channel_scale` of its clipped inputs f4[T, C + F].

    Raises:
        RtdecodeError: no channel fires; the error names `where`.
    """
    start = channel_scale(clipped, bin_width_s, n_features)
    check_some_alive(start[2], where)
    return start


def new_network(
    kind: str,
    ends: tuple[int, int, int],
    bin_width_s: float,
    sizes: Sizes,
    *,
    causal: bool = True,
    n_features: int = 0,
) -> Network:
    """An untrained network.

    Args:
        kind: "alignnet" or "gru".
        ends: number of channels, features included, and of outputs, and the largest count.
        bin_width_s: seconds.
        sizes: of the network.
        causal: whether no output depends on a later input.
        n_features: number of features among the channels, the last ones.

    Raises:
        RtdecodeError: there are no settings for this kind.
    """
    dropout: dict[str, Any] = {
        "dropout": DROPOUT,
        "channel_dropout": CHANNEL_DROPOUT,
        "feature_dropout": sizes.feature_dropout,
        "n_features": n_features,
    }
    if kind == "gru":
        return GRUNet(GRUNetSettings(*ends, hidden=GRU_UNITS, **dropout))
    if kind != AlignNet.kind:
        raise RtdecodeError(
            f"a network of kind {kind!r} cannot be made",
            fix="add its settings to calibrate/training/build.py",
        )
    config = AlignNetSettings(
        *ends,
        causal=causal,
        widths=sizes.widths,
        dec_widths=sizes.dec_widths,
        latent=sizes.latent,
        leaky=sizes.leaky,
        hidden=sizes.hidden,
        motion_dropout=sizes.motion_dropout,
        graded_rates=sizes.simulates,
        centred_rates=sizes.simulates,
        **dropout,
    )
    net = AlignNet(config)
    net.behavior_head.draw_time_constants(LONGEST_S / bin_width_s)
    return net


def training_settings(
    recordings: Sequence[Recording], bin_width_s: float, base: TrainingSettings = ONE_DAY_TRAINING
) -> TrainingSettings:
    """`base` with windows for this bin width, shorter where no session is four windows long, or has gaps."""
    longest = max(recording.counts.shape[1] for recording in recordings)
    settings = base.in_windows(WINDOW_S, max(longest // 4, SHORTEST_WINDOW_BINS), bin_width_s)
    return settings.within(min(recording.longest_window for recording in recordings))
