"""From a network of other days to one of today: a read-in from today's spikes, and training on its labels."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from rtdecode.calibrate.adaptation.interpolation import part_of_the_way, worth
from rtdecode.calibrate.data.splits import chronological_split
from rtdecode.calibrate.training.build import multiplies_bfloat16, take_up
from rtdecode.calibrate.training.ensemble import one_thread, rounds, train_members
from rtdecode.calibrate.training.settings import TrainingSettings
from rtdecode.calibrate.training.trainer import Training, TrainingLog
from rtdecode.calibrate.training.windows import Recording
from rtdecode.errors import RtdecodeError
from rtdecode.models.nn.network import Network

#: Many small batches at a high rate: the way back to where the weights were is shortened afterwards.
STEPS, BATCH = 200, 8
LEARNING_RATE, PULL = 3e-3, 0.0

#: Where time may run out: last part of the labels that is looked at on the way, every so many batches, and
#: for how much of the way it is not learnt from. Then it is, unless an earlier look was better by so much R².
LOOKED_AT, LOOK_EVERY, WITHHOLD, TOLERANCE = 0.2, 20, 0.4, 0.05
WINDOW_S, WARMUP_S = 6.4, 0.8
SHORTEST_WINDOW_BINS = 20


def adapt(
    nets: Sequence[Network],
    name: str,
    counts: NDArray[np.uint8],
    targets: NDArray[np.float32],
    bin_width_s: float,
    *,
    seed: int,
    device: torch.device,
    progress: Callable[[float], None],
    steps: int | None = None,
    only: tuple[str, ...] = (),
    ends_at_s: float | None = None,
    looked: Callable[[float], None] | None = None,
    at_once: int | None = None,
) -> list[TrainingLog]:
    """Fit networks to a new session, in place.

    The read-in starts at the z-score of the session's spikes (`take_up`), unless the networks have one for
    it already. Without a single label it stays there, and nothing is trained. With labels, all weights are
    trained (or `only` some), and then go a part of the way from where they were (`part_of_the_way`), which is
    smaller the better the base decodes today (`worth`): in between, networks keep what they knew of other
    days (WiSE-FT: Wortsman et al. 2022, CVPR, eq 1).

    Args:
        nets: the members of a model, pretrained on other sessions.
        name: of the session.
        counts: u1[T, C].
        targets: f4[T, D], in the outputs' units; NaN where unknown.
        bin_width_s: seconds, the networks'.
        seed: of everything random.
        device: to train on.
        progress: called with the part of the work that is done.
        steps: batches; None for as many as a calibration takes.
        only: see `TrainingSettings`.
        ends_at_s: time of `time.monotonic` at which the best weights so far are taken, by looks at the last
            fifth of the labels; None for never, and then all labels are learnt from from the first batch on.
        looked: called with the best mean R² so far over the last fifth of the labels, mean over members.
        at_once: see `train_members`.

    Returns:
        How the training of each member went; nothing if none was needed.

    Raises:
        RtdecodeError: other channels or outputs than the networks', no channel fires, or the labelled time
            is shorter than a window.
    """
    recording = _taken_up(nets, name, counts, targets, bin_width_s)
    known_s = float(recording.learnt.sum()) * bin_width_s
    if not known_s:
        return []
    settings = replace(
        adapt_settings(len(counts), bin_width_s, seed),
        steps=STEPS if steps is None else steps,
        only=only,
        mixed=multiplies_bfloat16(nets[0].kind, device),
        part=part_of_the_way(known_s, worth(*_decoded(nets, recording))),
        ends_at_s=ends_at_s,
    )
    learnt = recording if ends_at_s is None else _withheld(recording)
    return train_members(nets, [learnt], settings, device, progress, looked=looked, at_once=at_once)


def seconds_per_step(
    nets: Sequence[Network],
    name: str,
    counts: NDArray[np.uint8],
    targets: NDArray[np.float32],
    bin_width_s: float,
    device: torch.device,
    steps: int,
) -> float:
    """How long a batch of `adapt` takes for all members, measured on so many of a copy of one.

    Args:
        nets, name, counts, targets, bin_width_s, device: as of `adapt`; the networks stay as they are.
        steps: to measure, after one that is not.

    Raises:
        RtdecodeError: as `adapt`.
    """
    net = copy.deepcopy(nets[0])
    recording = _taken_up([net], name, counts, targets, bin_width_s)
    settings = replace(
        adapt_settings(len(counts), bin_width_s, 0), mixed=multiplies_bfloat16(net.kind, device)
    )
    with one_thread():
        training = Training(net, [recording], settings, device)
        training.advance()
        started = time.perf_counter()
        for _ in range(steps):
            training.advance()
    return (time.perf_counter() - started) / steps * rounds(len(nets), device)


def _taken_up(
    nets: Sequence[Network],
    name: str,
    counts: NDArray[np.uint8],
    targets: NDArray[np.float32],
    bin_width_s: float,
) -> Recording:
    first = nets[0]
    if targets.shape != (len(counts), first.n_outputs):
        raise RtdecodeError(f"labels of shape {list(targets.shape)} for {len(counts)} bins", where=name)
    if name in first.read_in.names:
        clipped = np.minimum(counts, np.uint8(first.read_in.count_max)).astype(np.float32)
    else:
        clipped = take_up(nets, name, counts, bin_width_s, where=name)
    known: NDArray[np.bool_] = np.asarray(np.isfinite(targets).all(axis=1))
    mean, sd = first.output_mean.numpy(), first.output_sd.numpy()
    z = np.where(known[:, np.newaxis], (targets - mean) / sd, 0.0).astype(np.float32)
    return Recording(
        session=name,
        counts=torch.from_numpy(clipped.T.copy()),
        targets=torch.from_numpy(z.T.copy()),
        learnt=torch.from_numpy(known.astype(np.float32)),
        validated=np.zeros(len(counts), np.bool_),
    )


def _withheld(recording: Recording) -> Recording:
    """With the last fifth of what is learnt from kept back for looks."""
    known: NDArray[np.bool_] = recording.learnt.numpy() > 0
    learnt, looked_at = chronological_split(known, LOOKED_AT)
    return replace(recording, learnt=torch.from_numpy(learnt.astype(np.float32)), validated=looked_at)


def _decoded(nets: Sequence[Network], recording: Recording) -> tuple[NDArray[np.float32], ...]:
    """What the members decode of the labels before they have seen any, and the labels, f4[n, D] each."""
    known = recording.learnt.numpy() > 0
    with torch.no_grad():
        each = [net.eval().decode(recording.counts[None], recording.session)[0] for net in nets]
    return torch.stack(each).mean(dim=0).numpy().T[known], recording.targets.numpy().T[known]


def adapt_settings(n_bins: int, bin_width_s: float, seed: int) -> TrainingSettings:
    """How to train on so much of a session; windows are shorter where it is not two of them long."""
    window = max(min(round(WINDOW_S / bin_width_s), n_bins // 2), SHORTEST_WINDOW_BINS)
    return TrainingSettings(
        steps=STEPS,
        batch=BATCH,
        window_bins=window,
        warmup_bins=min(round(WARMUP_S / bin_width_s), window // 4),
        learning_rate=LEARNING_RATE,
        validate_every=LOOK_EVERY,
        patience=STEPS,
        tolerance=TOLERANCE,
        look_first=True,
        withhold=WITHHOLD,
        frozen_norm=True,
        pull=PULL,
        seed=seed,
    )
