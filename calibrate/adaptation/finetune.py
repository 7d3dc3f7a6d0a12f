"""Fine-tune a network of other days to a session: a read-in from its spikes, and training on its labels."""

from __future__ import annotations

import copy
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from rtdecode.calibrate.adaptation.finetune_settings import finetuning
from rtdecode.calibrate.adaptation.interpolation import interpolation_factor, zero_shot_r2
from rtdecode.calibrate.data.splits import LAST_FIFTH, chronological_split, is_labelled
from rtdecode.calibrate.run import Run
from rtdecode.calibrate.training.build import add_session, clipped_counts
from rtdecode.calibrate.training.devices import chosen_device, multiplies_bfloat16
from rtdecode.calibrate.training.ensemble import one_thread, rounds, train_members
from rtdecode.calibrate.training.settings import TrainingSettings
from rtdecode.calibrate.training.trainer import Training, TrainingLog
from rtdecode.calibrate.training.windows import Recording
from rtdecode.errors import RtdecodeError
from rtdecode.kernels.arrays import I8, Inputs
from rtdecode.models.nn.network import Network
from rtdecode.models.nn.stretches import by_stretch

#: Steps that are made to measure how long one takes.
TIMED_STEPS = 3


class NewDay(NamedTuple):
    """A session that networks are fitted to.

    Attributes:
        name: of the session.
        counts: u1[T, C]; with features i2[T, C + F].
        targets: f4[T, D], in the outputs' units; NaN where unlabelled.
        bin_width_s: the networks', seconds.
        starts: i8[S], of the stretches between gaps; None without any.
    """

    name: str
    counts: Inputs
    targets: NDArray[np.float32]
    bin_width_s: float
    starts: I8 | None = None


def adapt(nets: Sequence[Network], day: NewDay, run: Run, settings: TrainingSettings) -> list[TrainingLog]:
    """Fit networks to a new session, in place.

    The read-in starts at the z-score of the session's spikes (`add_session`), unless the networks have one
    for it already. Without labels it stays there, and nothing is trained. With labels, all weights are
    trained (or those in `settings.only`) and then interpolated with the initial ones, w₀ + α (w − w₀). α
    (`interpolation_factor`) is smaller the better the base decodes the session (`zero_shot_r2`): in between,
    networks keep what they learnt from other days (WiSE-FT: Wortsman et al. 2022, CVPR, eq 1).

    Args:
        nets: the members of an ensemble, pretrained on other sessions.
        day: the session.
        run: see `train_members`. With a deadline the last part of the labels validates; without, all labels
            are trained on from the first step.
        settings: of the fine-tuning.

    Returns:
        How the training of each member went; [] without labels.

    Raises:
        RtdecodeError: the networks have other channels or outputs, no channel fires, or the labelled time is
            shorter than a window.
    """
    recording = _recording(nets, day)
    labelled_s = float(recording.train.sum()) * day.bin_width_s
    if not labelled_s:
        return []
    training = replace(
        finetuning(settings, len(day.counts), day.bin_width_s).within(recording.longest_window),
        mixed=multiplies_bfloat16(nets[0].kind, chosen_device(run.device)),
        interpolation=interpolation_factor(labelled_s, zero_shot_r2(*_decoded(nets, recording))),
    )
    if run.deadline_s is not None:
        recording = _with_validation(recording)
    return train_members(nets, [recording], training, run)


def seconds_per_step(nets: Sequence[Network], day: NewDay, run: Run, settings: TrainingSettings) -> float:
    """Duration of a step of `adapt` for all members, measured on a copy of one; arguments as there.

    Raises:
        RtdecodeError: as `adapt`.
    """
    net, device = copy.deepcopy(nets[0]), chosen_device(run.device)
    recording = _recording([net], day)
    training = finetuning(settings, len(day.counts), day.bin_width_s).within(recording.longest_window)
    training = replace(training, mixed=multiplies_bfloat16(net.kind, device), only=())
    with one_thread():
        timed = Training(net, [recording], training, replace(run, seed=0))
        timed.advance()
        started = time.perf_counter()
        for _ in range(TIMED_STEPS):
            timed.advance()
    return (time.perf_counter() - started) / TIMED_STEPS * rounds(len(nets), device)


def _recording(nets: Sequence[Network], day: NewDay) -> Recording:
    name, counts, targets, bin_width_s, starts = day
    first = nets[0]
    expected = (len(counts), first.n_outputs)
    if targets.shape != expected:
        raise RtdecodeError(
            f"labels have shape {list(targets.shape)}, and the bins and outputs {list(expected)}",
            where=name,
            fix="give one row of labels per bin and one column per output",
        )
    if name in first.read_in.names:
        clipped = clipped_counts(counts, first.read_in.count_max, first.read_in.n_features)
    else:
        clipped = add_session(nets, name, counts, bin_width_s, where=name)
    mean, sd = first.output_mean.numpy(), first.output_sd.numpy()
    return Recording.of(name, clipped, (targets - mean) / sd, is_labelled(targets), starts=starts)


def _with_validation(recording: Recording) -> Recording:
    """The last fifth of the training bins becomes validation bins."""
    labelled: NDArray[np.bool_] = recording.train.numpy() > 0
    train, validation = chronological_split(labelled, LAST_FIFTH)
    return replace(recording, train=torch.from_numpy(train.astype(np.float32)), validation=validation)


def _decoded(nets: Sequence[Network], recording: Recording) -> tuple[NDArray[np.float32], ...]:
    """The ensemble's z-scored values in the labelled bins before training, and the labels, f4[n, D] each."""
    labelled = recording.train.numpy() > 0
    with torch.no_grad():
        each = [
            by_stretch(
                partial(net.eval().decode, session=recording.session),
                recording.counts[None],
                recording.starts,
                labelled,
            )[0]
            for net in nets
        ]
    decoded = torch.stack(each).mean(dim=0).numpy()
    return decoded.T[labelled], recording.targets.numpy().T[labelled]
