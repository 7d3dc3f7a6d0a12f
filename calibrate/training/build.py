"""Networks from binned sessions: trained on all of them, exported for each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from rtdecode.artifact import ModelArtifact, Output, count_max_at
from rtdecode.calibrate.channels.statistics import channel_tensors, with_statistics
from rtdecode.calibrate.training.ensemble import member_seeds, train_members
from rtdecode.calibrate.training.settings import TrainingSettings
from rtdecode.calibrate.training.sizes import GRU_UNITS, MOST_MEMBERS, ONE_DAY, Sizes
from rtdecode.calibrate.training.trainer import TrainingLog
from rtdecode.calibrate.training.windows import Recording, validation_blocks
from rtdecode.errors import RtdecodeError
from rtdecode.models.alive import DEAD_BELOW_HZ
from rtdecode.models.ensemble.join import join
from rtdecode.models.export.export import export
from rtdecode.models.export.noncausal import whole_model
from rtdecode.models.networks.alignnet import AlignNet
from rtdecode.models.networks.gru import GRUNet
from rtdecode.models.nn.network import Network

#: Part of the training time that tells when to stop, and the R² by which an earlier look must be better:
#: its blocks are short, and choosing the best of many looks by them cost .003 to .011 on other days.
VALIDATED, TOLERANCE = 0.05, 0.05


DROPOUT, CHANNEL_DROPOUT = 0.2, 0.2

#: The longest time constant that a leaky neuron starts with.
LONGEST_S = 4.0

#: Length of a training window, and the part of it that is not scored.
WINDOW_S, WARMUP_S = 12.8, 0.8
SHORTEST_WINDOW_BINS = 50

#: Kinds that a CPU trains in float32 whatever it can do. With AMX torch 2.14 gives a convolution of few
#: channels over many frames, an MLP's of behaviour, wrong in bfloat16 (error as large as the result).
CPU_FLOAT32 = ("gru", "mlp")


def fit_network(
    kind: str,
    names: list[str],
    counts: list[NDArray[np.uint8]],
    targets: list[NDArray[np.float32]],
    outputs: tuple[Output, ...],
    bin_width_s: float,
    *,
    seed: int,
    device: str,
    progress: Callable[[float], None],
) -> tuple[list[ModelArtifact], list[TrainingLog]]:
    """Train a kind's members on all sessions.

    Args:
        kind: "alignnet" or "gru".
        names: of the sessions.
        counts: u1[T, C] for each.
        targets: f4[T, D] for each, in the outputs' units; NaN where not to be learnt from.
        outputs: with mean and SD of the labels, by which they are z-scored.
        bin_width_s: seconds.
        seed: of the initial weights and of training.
        device: "auto" (a GPU if there is one), "cpu", "cuda" or "cuda:N".
        progress: called with the part of the work that is done.

    Returns:
        An artifact for each session, which differ in the read-in that is folded into them, and how the
        training of each member went.

    Raises:
        RtdecodeError: no such device, no channel fires, or a session is too short.
    """
    where = chosen_device(device)
    nets = new_members(kind, counts[0].shape[1], outputs, bin_width_s, seed, ONE_DAY)
    mean, sd = (np.array([getattr(output, part) for output in outputs]) for part in ("mean", "sd"))
    recordings = []
    for name, block, label in zip(names, counts, targets, strict=True):
        clipped = take_up(nets, name, block, bin_width_s, where=name)
        recordings.append(_recording(name, clipped, (label - mean) / sd, bin_width_s))
    logs = train_members(nets, recordings, settings_for(recordings, bin_width_s, seed), where, progress)
    artifacts = []
    for name, block, label in zip(names, counts, targets, strict=True):
        kept = channel_tensors(block, label, bin_width_s, nets[0].read_in.count_max)
        artifacts.append(with_statistics(export_members(nets, name, bin_width_s, outputs), kept))
    return artifacts, logs


def new_members(
    kind: str,
    n_channels: int,
    outputs: Sequence[Output],
    bin_width_s: float,
    seed: int,
    sizes: Sizes,
    n_members: int | None = None,
    *,
    causal: bool = True,
) -> list[Network]:
    """Untrained networks, `n_members` or as many as models of the kind have; AlignNets also not causal.

    Raises:
        RtdecodeError: models of the kind cannot have that many.
    """
    if n_members is None:
        n_members = sizes.members if kind == AlignNet.kind else 1
    if not 1 <= n_members <= MOST_MEMBERS or (n_members > 1 and kind != AlignNet.kind):
        raise RtdecodeError(
            f"a {kind} model of {n_members} networks",
            fix=f"give 1 to {MOST_MEMBERS}" if kind == AlignNet.kind else "leave the number out",
        )
    mean, sd = [output.mean for output in outputs], [output.sd for output in outputs]
    nets = []
    for member_seed in member_seeds(seed, n_members):
        with torch.random.fork_rng():
            torch.manual_seed(member_seed)
            net = new_network(kind, n_channels, len(outputs), bin_width_s, sizes, causal=causal)
        net.set_output_scale(mean, sd)
        nets.append(net)
    return nets


def export_members(
    nets: Sequence[Network], session: str, bin_width_s: float, outputs: tuple[Output, ...]
) -> ModelArtifact:
    """The model of these members, for one of their sessions; AlignNets that look ahead are not stepped."""
    ahead = [net for net in nets if isinstance(net, AlignNet) and not net.causal]
    if ahead:
        return whole_model(ahead, session=session, bin_width_s=bin_width_s, outputs=outputs)
    return join([export(net, session=session, bin_width_s=bin_width_s, outputs=outputs) for net in nets])


def take_up(
    nets: Sequence[Network], name: str, counts: NDArray[np.uint8], bin_width_s: float, *, where: str
) -> NDArray[np.float32]:
    """Give networks a read-in for a session: the z-score of each channel, dead ones ignored.

    Args:
        nets: whose read-ins take it up.
        name: of the session.
        counts: u1[T, C], all that may be looked at; no behaviour is needed.
        bin_width_s: seconds.
        where: what an error names.

    Returns:
        The counts as the network takes them, f4[T, C], clipped to `count_max`.

    Raises:
        RtdecodeError: no channel fires, or there are other channels than the network has.
    """
    clipped = clipped_counts(counts, nets[0].read_in.count_max)
    start = read_in_start(clipped, bin_width_s, where=where)
    for net in nets:
        net.read_in.add(name, *start)
    return clipped


def decoded_whole(nets: Sequence[Network], counts: NDArray[np.uint8], session: str) -> NDArray[np.float32]:
    """What the members decode, their mean, of a session in one piece: f4[T, D] in the outputs' units.

    Args:
        nets: the members.
        counts: u1[T, C], which follow each other; nothing was before the first and after the last.
        session: whose read-in to take.
    """
    window = torch.from_numpy(counts.T[np.newaxis].astype(np.float32))
    with torch.no_grad():
        each = [net.in_units(net.decode(window, session)) for net in nets]
    decoded: NDArray[np.float32] = torch.stack(each).mean(dim=0)[0].numpy().T.astype(np.float32)
    return decoded


def clipped_counts(counts: NDArray[np.uint8], count_max: int) -> NDArray[np.float32]:
    """Counts as a network takes them, f4 of the same shape."""
    return np.minimum(counts, np.uint8(count_max)).astype(np.float32)


def read_in_start(
    clipped: NDArray[np.float32], bin_width_s: float, *, where: str
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.bool_]]:
    """Mean and SD f4[C] of each channel, and which are alive, bool[C]: what `ReadIn.add` wants of a session.

    Args:
        clipped: f4[T, C], spikes per bin.
        bin_width_s: seconds.
        where: what an error names.

    Raises:
        RtdecodeError: no channel fires.
    """
    mean, sd = clipped.mean(axis=0), clipped.std(axis=0)
    good = (mean >= DEAD_BELOW_HZ * bin_width_s) & (sd > 0)
    if not good.any():
        raise RtdecodeError(
            f"no channel fires at {DEAD_BELOW_HZ} Hz or more", where=where, fix="use a session with spikes"
        )
    return mean, sd, good


def new_network(
    kind: str, n_channels: int, n_outputs: int, bin_width_s: float, sizes: Sizes, *, causal: bool = True
) -> Network:
    """An untrained network."""
    ends = (n_channels, n_outputs, count_max_at(bin_width_s))
    dropout: dict[str, Any] = {
        "dropout": DROPOUT,
        "channel_dropout": CHANNEL_DROPOUT,
        "feature_dropout": sizes.feature_dropout,
    }
    if kind == "gru":
        return GRUNet(*ends, hidden=GRU_UNITS, **dropout)
    net = AlignNet(
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
    net.behavior_head.spread(LONGEST_S / bin_width_s)
    return net


def settings_for(recordings: Sequence[Recording], bin_width_s: float, seed: int) -> TrainingSettings:
    """How to train at this bin width; windows are shorter where no session is four of them long."""
    longest = max(recording.counts.shape[1] for recording in recordings)
    window = min(round(WINDOW_S / bin_width_s), max(longest // 4, SHORTEST_WINDOW_BINS))
    warmup = min(round(WARMUP_S / bin_width_s), window // 4)
    return TrainingSettings(window_bins=window, warmup_bins=warmup, tolerance=TOLERANCE, seed=seed)


def multiplies_bfloat16(kind: str, device: torch.device) -> bool:
    """Whether to multiply in bfloat16 between the neurons: on a GPU, and on CPUs with instructions for it.

    Without them it is slower than float32. On a CPU some kinds stay in float32 (`CPU_FLOAT32`).
    """
    return device.type == "cuda" or (kind not in CPU_FLOAT32 and _cpu_multiplies_bfloat16())


def _cpu_multiplies_bfloat16() -> bool:
    supported: Callable[[], bool] | None = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
    return supported is not None and bool(supported())


def chosen_device(name: str) -> torch.device:
    """The device called `name`.

    Raises:
        RtdecodeError: torch knows no such device, or it is not there.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise RtdecodeError(f"cannot be used ({reason})", where=f"--device {name}", fix="use cpu") from None
    return device


def _recording(
    name: str, counts: NDArray[np.float32], z: NDArray[np.float64], bin_width_s: float
) -> Recording:
    known: NDArray[np.bool_] = np.asarray(np.isfinite(z).all(axis=1))
    learnt, validated = validation_blocks(known, VALIDATED, bin_width_s)
    return Recording(
        session=name,
        counts=torch.from_numpy(counts.T.copy()),
        targets=torch.from_numpy(np.where(known[:, None], z, 0.0).T.astype(np.float32).copy()),
        learnt=torch.from_numpy(learnt.astype(np.float32)),
        validated=validated,
    )
