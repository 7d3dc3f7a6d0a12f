"""Training a network on recordings: one cycle of the learning rate, the best moment kept."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from rtdecode.calibrate.score import r2
from rtdecode.calibrate.windows import Batch, Recording, WindowSampler
from rtdecode.errors import RtdecodeError
from rtdecode.models.alignnet import AlignNet
from rtdecode.models.losses import info_nce, mse
from rtdecode.models.network import Network


@dataclass(frozen=True, kw_only=True)
class TrainingSettings:
    """How a network is trained.

    Attributes:
        steps: batches at most.
        batch: windows in each.
        window_bins: length of a window.
        warmup_bins: first bins of a window that are not scored.
        learning_rate: at the height of its one cycle.
        rise: part of the steps in which it rises to there.
        weight_decay, clip: of AdamW, and of the norm of the gradient.
        validate_every: steps between looks at the validation blocks.
        patience: looks without a better one after which training stops.
        auxiliary: weight of the paths beside the deployed one (AlignNet only). On one session they cost
            twice the time and bring the deployed path nothing, so they are left to pretraining.
        contrast: weight of the contrastive loss among them.
        seed: of everything drawn at random.
    """

    steps: int = 400
    batch: int = 16
    window_bins: int = 200
    warmup_bins: int = 12
    learning_rate: float = 3e-3
    rise: float = 0.2
    weight_decay: float = 1e-2
    clip: float = 1.0
    validate_every: int = 25
    patience: int = 10
    auxiliary: float = 0.0
    contrast: float = 0.1
    seed: int = 0


@dataclass(frozen=True)
class TrainingLog:
    """What came of it.

    Attributes:
        steps: that were made.
        best_step: whose weights were kept.
        validation_r2: f8[D], per output, mean over recordings, of those weights.
    """

    steps: int
    best_step: int
    validation_r2: tuple[float, ...]


def train(
    net: Network,
    recordings: Sequence[Recording],
    settings: TrainingSettings,
    device: torch.device,
    progress: Callable[[float], None],
) -> TrainingLog:
    """Train `net` in place, and leave it in evaluation mode on the CPU with the weights that validated best.

    The same seed, recordings and device give the same weights.

    Args:
        net: with a read-in for every recording's session.
        recordings: tensors on the CPU.
        settings: of the training.
        device: to train on.
        progress: called with the part of the work that is done, up to 1.

    Raises:
        RtdecodeError: no recording is as long as a window, or the loss is no longer a number.
    """
    if not any(recording.counts.shape[1] > settings.window_bins for recording in recordings):
        raise RtdecodeError(
            f"no session is longer than a window of {settings.window_bins} bins", mend="use a longer session"
        )
    with torch.random.fork_rng():
        torch.manual_seed(settings.seed)
        try:
            return _train(net.to(device), recordings, settings, device, progress)
        finally:
            net.to("cpu").eval()


def _train(
    net: Network,
    recordings: Sequence[Recording],
    settings: TrainingSettings,
    device: torch.device,
    progress: Callable[[float], None],
) -> TrainingLog:
    sampler = WindowSampler(recordings, settings.window_bins, settings.warmup_bins, settings.seed)
    optimizer = torch.optim.AdamW(
        net.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay
    )
    cycle = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, settings.learning_rate, total_steps=settings.steps, pct_start=settings.rise
    )
    best_score, best_step = -np.inf, 0
    best_r2: np.ndarray = np.full(net.n_outputs, np.nan)
    best_weights = copy.deepcopy(net.state_dict())
    step = 0
    for step in range(1, settings.steps + 1):
        net.train()
        loss = _loss(net, _moved(sampler.draw(settings.batch), device), settings)
        if not bool(torch.isfinite(loss)):
            raise RtdecodeError(
                f"training came apart at step {step}: the loss is {loss.item()}",
                mend="check the session's behaviour for jumps, or try another --seed",
            )
        optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(net.parameters(), settings.clip)
        optimizer.step()
        cycle.step()
        if step % settings.validate_every == 0 or step == settings.steps:
            validated = validation_r2(net, recordings, device)
            score = float(np.nanmean(validated))
            if score > best_score:
                best_score, best_step, best_r2 = score, step, validated
                best_weights = copy.deepcopy(net.state_dict())
            if step - best_step >= settings.patience * settings.validate_every:
                break
        progress(step / settings.steps)
    net.load_state_dict(best_weights)
    progress(1.0)
    return TrainingLog(step, best_step, tuple(float(value) for value in best_r2))


def _loss(net: Network, batch: Batch, settings: TrainingSettings) -> Tensor:
    if not isinstance(net, AlignNet) or not settings.auxiliary:
        return mse(net.decode(batch.counts, batch.sessions), batch.targets, batch.weight)
    passes = net(batch.counts, batch.targets, batch.sessions)
    counts = net.in_sd(batch.counts, batch.sessions)
    beside = (
        mse(passes.behavior, batch.targets, batch.weight)
        + mse(net.in_sd(passes.spikes, batch.sessions), counts)
        + mse(net.in_sd(passes.simulated, batch.sessions), counts, batch.weight)
        + settings.contrast * info_nce(passes.spike_latent, passes.behavior_latent)
    )
    return mse(passes.decoded, batch.targets, batch.weight) + settings.auxiliary * beside


def validation_r2(net: Network, recordings: Sequence[Recording], device: torch.device) -> np.ndarray:
    """R² of the z-scored outputs f8[D] over the validation blocks, mean over recordings.

    The network runs over each whole recording from its first bin, as it does when deployed.
    """
    net.eval()
    scores = []
    with torch.no_grad():
        for recording in recordings:
            decoded = net.decode(recording.counts[None].to(device), recording.session)[0].cpu().numpy()
            rows = recording.validated
            scores.append(r2(decoded.T[rows], recording.targets.numpy().T[rows]))
    return np.asarray(np.nanmean(np.stack(scores), axis=0))


def _moved(batch: Batch, device: torch.device) -> Batch:
    return Batch(batch.counts.to(device), batch.targets.to(device), batch.weight.to(device), batch.sessions)
