"""Training a network on recordings: one cycle of the learning rate, the best weights kept."""

from __future__ import annotations

import copy
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from rtdecode.artifact.tensors import with_prefix
from rtdecode.calibrate.data.metrics import mean_scores, r2
from rtdecode.calibrate.run import Run
from rtdecode.calibrate.training.augment import augmented
from rtdecode.calibrate.training.devices import chosen_device
from rtdecode.calibrate.training.distributed.batchnorm import synchronised
from rtdecode.calibrate.training.distributed.ranks import ALONE, Ranks
from rtdecode.calibrate.training.losses import Objective
from rtdecode.calibrate.training.settings import TrainingSettings
from rtdecode.calibrate.training.windows import Batch, Recording, WindowSampler
from rtdecode.errors import RtdecodeError
from rtdecode.models.networks.alignnet import AlignNet
from rtdecode.models.networks.baseline import BaselineNet
from rtdecode.models.nn.network import Network
from rtdecode.models.nn.stretches import by_stretch


@dataclass(frozen=True)
class TrainingLog:
    """How a training went.

    Attributes:
        steps: number of steps.
        best_step: step whose weights were kept.
        validation_r2: f8[D], R² of each output with these weights, mean over recordings; NaN without
            validation bins.
    """

    steps: int
    best_step: int
    validation_r2: tuple[float, ...]


def train(
    net: Network,
    recordings: Sequence[Recording],
    settings: TrainingSettings,
    run: Run,
    *,
    checkpoint: Checkpoint | None = None,
) -> TrainingLog:
    """Train `net` in place, and leave it in evaluation mode on the CPU with the weights that were kept.

    The same seed, recordings and device give the same weights, whether training was interrupted or not,
    unless the deadline ends it.

    Args:
        net: with a read-in for every recording's session.
        recordings: tensors on the CPU.
        settings: of the training.
        run: seed, device, deadline, callbacks, and processes that train this network together, each on
            recordings of its own.
        checkpoint: where to save, and from where to resume if something was saved; None for nowhere.

    Raises:
        RtdecodeError: there is no such device, no recording is longer than a window, the loss is NaN or
            infinite, or the checkpoint cannot be written or belongs to another training.
    """
    with torch.random.fork_rng(), synchronised(net, run.ranks or ALONE):
        torch.manual_seed(run.seed)
        try:
            training = Training(net, recordings, settings, run)
            if checkpoint is not None:
                checkpoint.resume(training)
            best = -np.inf
            while not training.done:
                training.advance()
                if checkpoint is not None:
                    checkpoint.save_if_due(training)
                run.progress(training.step / settings.steps)
                if training.best_r2 > best:
                    best = training.best_r2
                    run.on_validation(best)
                if run.deadline_s is not None and time.monotonic() >= run.deadline_s:
                    training.cut_short()
            run.progress(1.0)
            return training.finish()
        finally:
            net.to("cpu").eval()


class Checkpoint(Protocol):
    """Where a training is saved."""

    def resume(self, training: Training) -> None:
        """Load what was saved, if anything, into `training`."""

    def save_if_due(self, training: Training) -> None:
        """Save `training` if its time has come."""


class Training:
    """A training in progress: `advance` until `done`, then `finish`.

    `state` holds everything that the next step depends on.

    Where several ranks train together, each draws its part of a batch from its own recordings, and gradients
    are averaged so that every window of every recording counts as in one process. Random draws of a rank in a
    step follow from the seed, the step and its rank, so that `state` is the same on all ranks.

    Args:
        net, recordings, settings, run: see `train`.

    Attributes:
        step: batches so far.
        done: whether only `finish` is left.

    Raises:
        RtdecodeError: there is no such device, or no recording is longer than a window.
    """

    def __init__(
        self, net: Network, recordings: Sequence[Recording], settings: TrainingSettings, run: Run
    ) -> None:
        ranks = run.ranks or ALONE
        if not any(
            rows.stop - rows.start > settings.window_bins and bool(recording.train.any())
            for recording in recordings
            for rows in recording.stretches
        ):
            raise RtdecodeError(
                f"no session {f'of rank {ranks.rank} ' if ranks.several else ''}is longer than a window of "
                f"{settings.window_bins} bins",
                fix="use a longer session" + (", or fewer processes" if ranks.several else ""),
            )
        self._device = ranks.device(chosen_device(run.device))
        self._net, self._recordings = net.to(self._device), recordings
        self._settings, self._seed, self._ranks = settings, run.seed, ranks
        self._validates = any(ranks.gather(any(recording.validation.any() for recording in recordings)))
        self._sampler = self._sampler_of(recordings)
        self._loss = ranks.parallel(Objective(self._net, settings))
        trained = [
            (name, parameter)
            for name, parameter in net.named_parameters()
            if not settings.only or name.startswith(settings.only)
        ]
        self._pulled = [
            (parameter, parameter.detach().clone())
            for name, parameter in trained
            if settings.pull and not name.startswith("read_in.")
        ]
        rates = {True: settings.learning_rate * settings.read_in_rate, False: settings.learning_rate}
        groups = [
            {"params": [p for name, p in trained if name.startswith("read_in.") is own], "lr": rate}
            for own, rate in rates.items()
        ]
        self._optimizer = torch.optim.AdamW(
            groups, weight_decay=0.0 if settings.pull else settings.weight_decay
        )
        # OneCycleLR would divide by zero if it rose for a single step.
        rise = min(max(settings.rise, 1.5 / settings.steps), 0.99)
        self._cycle = torch.optim.lr_scheduler.OneCycleLR(
            self._optimizer, list(rates.values()), total_steps=settings.steps, pct_start=rise
        )
        self._best = self._last = _Validation(0, (np.nan,) * net.n_outputs)
        self._best_weights = copy.deepcopy(net.state_dict())
        self._initial = self._best_weights if settings.interpolation < 1.0 else None
        self._validates_until = round(settings.validate_until * settings.steps) if self._validates else -1
        self._cut_short = False
        self.step, self.done = 0, False
        if self._validates and settings.validate_first:
            self._validate()

    def advance(self) -> None:
        """One training step, and a validation where one is due.

        Raises:
            RtdecodeError: the loss is NaN or infinite.
        """
        settings = self._settings
        self.step += 1
        self._net.train()
        if settings.frozen_norm:
            for module in self._net.modules():
                if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
                    module.eval()
        clean, mass = self._drawn(self.step)
        batch = self._augmented(clean)
        with torch.autocast(self._device.type, torch.bfloat16, enabled=settings.mixed):
            weight = 0.0 if self.step % settings.auxiliary_every else settings.auxiliary
            loss = self._loss(batch, clean.counts, weight)
        loss, mean = self._ranks.in_mean(loss, mass)
        if self._pulled:
            moved = torch.stack([((now - before) ** 2).sum() for now, before in self._pulled]).sum()
            loss, mean = loss + settings.pull * moved, mean + settings.pull * moved.detach()
        # The mean over ranks, so that all of them stop.
        if not bool(torch.isfinite(mean)):
            raise RtdecodeError(
                f"training diverged at step {self.step} (loss is {mean.item()})",
                fix="check the session's behaviour for jumps, or try another --seed",
            )
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self._net.parameters(), settings.clip)
        self._optimizer.step()
        self._cycle.step()
        self.done = self.step >= settings.steps
        if not self._validates:
            return
        ends = self.step == self._validates_until
        if ends or self.done or self.step % settings.validate_every == 0:
            self._validate()
        if ends and not self.done:
            if self._last_is_worse():
                self.done = True
            else:
                self._train_on_all()

    @property
    def best_r2(self) -> float:
        """R² of the best validation so far, mean over outputs; -inf before any."""
        return self._best.score

    def cut_short(self) -> None:
        """End the training at its deadline, with the best weights so far."""
        self.done = self._cut_short = True

    def finish(self) -> TrainingLog:
        """Load the weights that are kept into the network, and return how the training went."""
        kept = self._last
        if self._last_is_worse() or (self._cut_short and np.isfinite(self._best.score)):
            self._net.load_state_dict(self._best_weights)
            kept = self._best
        self._interpolate()
        if self._settings.norm_batches:
            self._re_estimate_norms()
        chosen = self._validates or self._cut_short
        return TrainingLog(self.step, kept.step if chosen else self.step, kept.r2)

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Copies of all tensors, by name, and all other values, as JSON can hold them."""
        tensors = {f"net.{name}": tensor for name, tensor in self._net.state_dict().items()}
        tensors |= {f"best.{name}": tensor for name, tensor in self._best_weights.items()}
        optimizer = self._optimizer.state_dict()
        for index, moments in optimizer["state"].items():
            tensors |= {f"optimizer.{index}.{name}": tensor for name, tensor in moments.items()}
        tensors["random"] = torch.get_rng_state()
        if self._device.type == "cuda":
            tensors["random.device"] = torch.cuda.get_rng_state(self._device)
        numbers = {
            "step": self.step,
            "done": self.done,
            "best": [self._best.step, list(self._best.r2)],
            "last": [self._last.step, list(self._last.r2)],
            "optimizer": optimizer["param_groups"],
            "cycle": {
                name: value
                for name, value in self._cycle.state_dict().items()
                if name in ("last_epoch", "_step_count", "_last_lr")
            },
            "sampler": self._sampler.state(),
        }
        return {name: tensor.detach().cpu().clone() for name, tensor in tensors.items()}, numbers

    def load_state(self, tensors: Mapping[str, Tensor], numbers: Mapping[str, Any]) -> None:
        """Resume from a `state` of the same network, recordings and settings."""
        self._net.load_state_dict(with_prefix("net.", tensors))
        self._best_weights = {
            name: tensor.to(self._device) for name, tensor in with_prefix("best.", tensors).items()
        }
        moments: dict[int, dict[str, Tensor]] = {}
        for name, tensor in with_prefix("optimizer.", tensors).items():
            index, moment = name.split(".")
            moments.setdefault(int(index), {})[moment] = tensor
        self._optimizer.load_state_dict({"state": moments, "param_groups": numbers["optimizer"]})
        self._cycle.load_state_dict(dict(numbers["cycle"]))
        self._sampler.load_state(numbers["sampler"])
        self._best, self._last = (
            _Validation(int(step), tuple(float(value) for value in r2))
            for step, r2 in (numbers["best"], numbers["last"])
        )
        self.step, self.done = int(numbers["step"]), bool(numbers["done"])
        if self._validates and 0 <= self._validates_until < self.step:
            self._train_on_all()
        torch.set_rng_state(tensors["random"])
        if self._device.type == "cuda":
            torch.cuda.set_rng_state(tensors["random.device"], self._device)

    def _sampler_of(self, recordings: Sequence[Recording]) -> WindowSampler:
        settings, trained_on = self._settings, [each for each in recordings if bool(each.train.any())]
        return WindowSampler(trained_on, settings.window_bins, settings.warmup_bins, self._seed)

    def _train_on_all(self) -> None:
        """From here on the validation bins are training bins too, and there is no validation."""
        drawn = self._sampler.state()
        both = [torch.clamp(r.train + torch.from_numpy(r.validation), max=1.0) for r in self._recordings]
        self._sampler = self._sampler_of(
            [replace(r, train=train) for r, train in zip(self._recordings, both, strict=True)]
        )
        self._sampler.load_state(drawn)
        self._validates = False

    def _drawn(self, step: int) -> tuple[Batch, Tensor]:
        """This rank's part of a step's batch, and its weight among the ranks' parts (scalar)."""
        if self._ranks.several:
            seed = self._ranks.seed(self._seed, step)
            torch.manual_seed(seed)
            self._sampler.reseed(seed)
        n_windows = self._ranks.part(self._settings.batch)
        drawn = self._sampler.draw(n_windows)
        parts = {name: getattr(drawn, name).to(self._device) for name in ("counts", "targets", "weight")}
        batch = replace(drawn, **parts)
        return batch, batch.weight.mean(dim=1).sum() * (self._sampler.n_windows / n_windows)

    def _augmented(self, batch: Batch) -> Batch:
        if self._settings.augmentation is None:
            return batch
        read_in = self._net.read_in
        sd = read_in.sd(batch.sessions, len(batch.counts))
        return augmented(batch, sd, read_in.count_max, self._settings.augmentation, read_in.n_features)

    def _re_estimate_norms(self) -> None:
        self._net.eval()
        norms = [m for m in self._net.modules() if isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d)]
        momenta = [norm.momentum for norm in norms]
        for norm in norms:
            norm.reset_running_stats()
            norm.train()
            # A cumulative mean over all batches.
            norm.momentum = None
        with torch.no_grad():
            for i in range(self._settings.norm_batches if norms else 0):
                batch, _ = self._drawn(self._settings.steps + 1 + i)
                self._net.decode(batch.counts, batch.sessions)
                if isinstance(self._net, AlignNet | BaselineNet):
                    self._net.simulate(batch.targets, batch.sessions)
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
        self._net.eval()

    def _interpolate(self) -> None:
        if self._initial is not None:
            current = self._net.state_dict()
            self._net.load_state_dict(interpolated(self._initial, current, self._settings.interpolation))

    def _validate(self) -> None:
        weights = copy.deepcopy(self._net.state_dict()) if self._initial is not None else None
        self._interpolate()
        mean_r2 = validation_r2(self._net, self._recordings, self._device, self._ranks)
        if weights is not None:
            self._net.load_state_dict(weights)
        self._last = _Validation(self.step, tuple(float(value) for value in mean_r2))
        if not self._best.score >= self._last.score:
            self._best, self._best_weights = self._last, copy.deepcopy(self._net.state_dict())
        waited = self.step - self._best.step
        if waited >= self._settings.patience * self._settings.validate_every and self._last_is_worse():
            self.done = True

    def _last_is_worse(self) -> bool:
        return not self._last.score >= self._best.score - self._settings.tolerance


@dataclass(frozen=True)
class _Validation:
    """R² of each output over the validation bins after a step."""

    step: int
    r2: tuple[float, ...]

    @property
    def score(self) -> float:
        finite = [value for value in self.r2 if np.isfinite(value)]
        return float(np.mean(finite)) if finite else -np.inf


def interpolated(start: Mapping[str, Tensor], end: Mapping[str, Tensor], alpha: float) -> dict[str, Tensor]:
    """w₀ + α (w − w₀) for each floating tensor of two state dicts, the others from `end`."""
    return {
        name: start[name] + alpha * (tensor - start[name]) if tensor.is_floating_point() else tensor
        for name, tensor in end.items()
    }


def validation_r2(
    net: Network, recordings: Sequence[Recording], device: torch.device, ranks: Ranks = ALONE
) -> np.ndarray:
    """R² of the z-scored outputs f8[D] over their validation bins, mean over the recordings of all ranks.

    The network runs over each whole recording from its first bin, as when deployed, and anew after its gaps.
    """
    net.eval()
    scores = []
    with torch.no_grad():
        for recording in (r for r in recordings if r.validation.any()):
            rows, counts = recording.validation, recording.counts[None].to(device)
            outputs = by_stretch(
                partial(net.decode, session=recording.session), counts, recording.starts, rows
            )
            decoded = outputs[0].cpu().numpy()
            scores.append(r2(decoded.T[rows], recording.targets.numpy().T[rows]))
    of_all = [score for part in ranks.gather(scores) for score in part]
    return mean_scores(of_all)
