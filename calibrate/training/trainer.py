"""Training a network on recordings: one cycle of the learning rate, the best moment kept."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from rtdecode.calibrate.data.metrics import r2
from rtdecode.calibrate.training.augment import disturbed
from rtdecode.calibrate.training.distributed.batchnorm import normalised_together
from rtdecode.calibrate.training.distributed.ranks import ALONE, Ranks
from rtdecode.calibrate.training.losses import Objective
from rtdecode.calibrate.training.settings import TrainingSettings
from rtdecode.calibrate.training.windows import Batch, Recording, WindowSampler
from rtdecode.errors import RtdecodeError
from rtdecode.models.networks.alignnet import AlignNet
from rtdecode.models.networks.baseline import BaselineNet
from rtdecode.models.nn.network import Network


@dataclass(frozen=True)
class TrainingLog:
    """What came of it.

    Attributes:
        steps: that were made.
        best_step: whose weights were kept.
        validation_r2: f8[D], per output, mean over recordings, of those weights; NaN without validation bins.
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
    checkpoint: Checkpoint | None = None,
    looked: Callable[[float], None] | None = None,
    ranks: Ranks = ALONE,
) -> TrainingLog:
    """Train `net` in place, and leave it in evaluation mode on the CPU with the weights that were kept.

    The same seed, recordings and device give the same weights, whether training was interrupted or not; but
    not where time was up.

    Args:
        net: with a read-in for every recording's session.
        recordings: tensors on the CPU.
        settings: of the training.
        device: to train on.
        progress: called with the part of the work that is done, up to 1.
        checkpoint: where to save on the way, and to go on from if something is there; None for nowhere.
        looked: called with the best mean R² over outputs so far, after each look.
        ranks: processes that train this network together, each on recordings of its own.

    Raises:
        RtdecodeError: no recording is as long as a window, the loss is no longer a number, or the checkpoint
            cannot be written or is another training's.
    """
    with torch.random.fork_rng(), normalised_together(net, ranks):
        torch.manual_seed(settings.seed)
        try:
            training = Training(net, recordings, settings, device, ranks)
            if checkpoint is not None:
                checkpoint.resume(training)
            best = -np.inf
            while not training.done:
                training.advance()
                if checkpoint is not None:
                    checkpoint.save_if_due(training)
                progress(training.step / settings.steps)
                if looked is not None and training.best_r2 > best:
                    best = training.best_r2
                    looked(best)
                if settings.ends_at_s is not None and time.monotonic() >= settings.ends_at_s:
                    training.cut_short()
            progress(1.0)
            return training.finish()
        finally:
            net.to("cpu").eval()


class Checkpoint(Protocol):
    """Where a training is saved."""

    def resume(self, training: Training) -> None:
        """Put `training` where the checkpoint left off, if there is one."""

    def save_if_due(self, training: Training) -> None:
        """Save it, if it is time."""


class Training:
    """A training under way: `advance` until `done`, then `finish`.

    Everything that the next step depends on is in `state`.

    Where several ranks train together, each draws its part of a batch from its own recordings, and gradients
    are averaged so that every window of every recording counts as in one process. What a rank draws in a step
    follows from the seed, the step and its rank, so that `state` is the same on all of them.

    Args:
        net, recordings, settings, device, ranks: as of `train`.

    Attributes:
        step: batches so far.
        done: whether nothing is left to do but `finish`.

    Raises:
        RtdecodeError: no recording is longer than a window.
    """

    step: int
    done: bool

    def __init__(
        self,
        net: Network,
        recordings: Sequence[Recording],
        settings: TrainingSettings,
        device: torch.device,
        ranks: Ranks = ALONE,
    ) -> None:
        if not any(
            recording.counts.shape[1] > settings.window_bins and bool(recording.learnt.any())
            for recording in recordings
        ):
            raise RtdecodeError(
                f"no session {f'of rank {ranks.rank} ' if ranks.several else ''}is longer than a window of "
                f"{settings.window_bins} bins",
                fix="use a longer session" + (", or fewer processes" if ranks.several else ""),
            )
        self._net, self._recordings = net.to(device), recordings
        self._settings, self._device, self._ranks = settings, device, ranks
        self._validates = any(ranks.gather(any(bool(recording.validated.any()) for recording in recordings)))
        learnt = [recording for recording in recordings if bool(recording.learnt.any())]
        self._sampler = WindowSampler(learnt, settings.window_bins, settings.warmup_bins, settings.seed)
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
            {
                "params": [p for name, p in trained if name.startswith("read_in.") is own],
                "lr": rate,
            }
            for own, rate in rates.items()
        ]
        self._optimizer = torch.optim.AdamW(
            groups, weight_decay=0.0 if settings.pull else settings.weight_decay
        )
        # A rise of just one step would divide by zero in there.
        rise = min(max(settings.rise, 1.5 / settings.steps), 0.99)
        self._cycle = torch.optim.lr_scheduler.OneCycleLR(
            self._optimizer, list(rates.values()), total_steps=settings.steps, pct_start=rise
        )
        self._best = self._last = _Look(0, (np.nan,) * net.n_outputs)
        self._best_weights = copy.deepcopy(net.state_dict())
        self._before = self._best_weights if settings.part < 1.0 else None
        self._withheld_until = round(settings.withhold * settings.steps) if self._validates else -1
        self._cut_short = False
        self.step, self.done = 0, False
        if self._validates and settings.look_first:
            self._look()

    def advance(self) -> None:
        """One batch, and a look at the validation bins where one is due.

        Raises:
            RtdecodeError: the loss is no longer a number.
        """
        settings = self._settings
        self.step += 1
        self._net.train()
        if settings.frozen_norm:
            for module in self._net.modules():
                if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
                    module.eval()
        clean, mass = self._drawn(self.step)
        batch = self._disturbed(clean)
        with torch.autocast(self._device.type, torch.bfloat16, enabled=settings.mixed):
            weight = 0.0 if self.step % settings.auxiliary_every else settings.auxiliary
            loss = self._loss(batch, clean.counts, weight)
        loss, mean = self._ranks.in_mean(loss, mass)
        if self._pulled:
            moved = torch.stack([((now - before) ** 2).sum() for now, before in self._pulled]).sum()
            loss, mean = loss + settings.pull * moved, mean + settings.pull * moved.detach()
        # Of all ranks, so that all of them stop.
        if not bool(torch.isfinite(mean)):
            raise RtdecodeError(
                f"training came apart at step {self.step}: the loss is {mean.item()}",
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
        ends = self.step == self._withheld_until
        if ends or self.done or self.step % settings.validate_every == 0:
            self._look()
        if ends and not self.done:
            if self._was_better_before():
                self.done = True
            else:
                self._learn_from_all()

    @property
    def best_r2(self) -> float:
        """Mean over outputs, of the best look so far; -inf before any."""
        return self._best.score

    def cut_short(self) -> None:
        """Time is up: the best weights so far are kept."""
        self.done = self._cut_short = True

    def finish(self) -> TrainingLog:
        """Put the weights back that are to be kept, and say how it went."""
        kept = self._last
        if self._was_better_before() or (self._cut_short and np.isfinite(self._best.score)):
            self._net.load_state_dict(self._best_weights)
            kept = self._best
        if self._before is not None:
            self._net.load_state_dict(between(self._before, self._net.state_dict(), self._settings.part))
        if self._settings.settled_batches:
            self._settle()
        looked_at_all = self._validates or self._cut_short
        return TrainingLog(self.step, kept.step if looked_at_all else self.step, kept.r2)

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Copies of all tensors, by name, and the numbers beside them, as JSON can hold them."""
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
        """Go on from what `state` gave of the same network, recordings and settings."""
        self._net.load_state_dict(_under("net.", tensors))
        self._best_weights = {
            name: tensor.to(self._device) for name, tensor in _under("best.", tensors).items()
        }
        moments: dict[int, dict[str, Tensor]] = {}
        for name, tensor in _under("optimizer.", tensors).items():
            index, moment = name.split(".")
            moments.setdefault(int(index), {})[moment] = tensor
        self._optimizer.load_state_dict({"state": moments, "param_groups": numbers["optimizer"]})
        self._cycle.load_state_dict(dict(numbers["cycle"]))
        self._sampler.load_state(numbers["sampler"])
        self._best, self._last = (
            _Look(int(step), tuple(float(value) for value in r2))
            for step, r2 in (numbers["best"], numbers["last"])
        )
        self.step, self.done = int(numbers["step"]), bool(numbers["done"])
        if self._validates and 0 <= self._withheld_until < self.step:
            self._learn_from_all()
        torch.set_rng_state(tensors["random"])
        if self._device.type == "cuda":
            torch.cuda.set_rng_state(tensors["random.device"], self._device)

    def _learn_from_all(self) -> None:
        """From here on the validation bins are learnt from too, and nothing is left to look at."""
        settings, drawn = self._settings, self._sampler.state()
        all_learnt = [
            replace(each, learnt=torch.clamp(each.learnt + torch.from_numpy(each.validated), max=1.0))
            for each in self._recordings
        ]
        learnt = [each for each in all_learnt if bool(each.learnt.any())]
        self._sampler = WindowSampler(learnt, settings.window_bins, settings.warmup_bins, settings.seed)
        self._sampler.load_state(drawn)
        self._validates = False

    def _drawn(self, step: int) -> tuple[Batch, Tensor]:
        """This rank's part of a step's batch, and how much it counts beside the other ranks' (scalar)."""
        if self._ranks.several:
            seed = self._ranks.seed(self._settings.seed, step)
            torch.manual_seed(seed)
            self._sampler.reseed(seed)
        n_windows = self._ranks.part(self._settings.batch)
        batch = _moved(self._sampler.draw(n_windows), self._device)
        return batch, batch.weight.sum() * (self._sampler.n_windows / n_windows)

    def _disturbed(self, batch: Batch) -> Batch:
        if self._settings.augmentation is None:
            return batch
        read_in = self._net.read_in
        sd = read_in.sd(batch.sessions, len(batch.counts))
        return disturbed(batch, sd, read_in.count_max, self._settings.augmentation)

    def _settle(self) -> None:
        self._net.eval()
        norms = [m for m in self._net.modules() if isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d)]
        momenta = [norm.momentum for norm in norms]
        for norm in norms:
            norm.reset_running_stats()
            norm.train()
            # The plain mean over all batches.
            norm.momentum = None
        with torch.no_grad():
            for settled in range(self._settings.settled_batches if norms else 0):
                batch, _ = self._drawn(self._settings.steps + 1 + settled)
                self._net.decode(batch.counts, batch.sessions)
                if isinstance(self._net, AlignNet | BaselineNet):
                    self._net.simulate(batch.targets, batch.sessions)
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
        self._net.eval()

    def _look(self) -> None:
        weights = copy.deepcopy(self._net.state_dict()) if self._before is not None else None
        if self._before is not None:
            self._net.load_state_dict(between(self._before, self._net.state_dict(), self._settings.part))
        looked_at = (self._net, self._recordings, self._device, self._ranks)
        r2 = tuple(float(value) for value in validation_r2(*looked_at))
        if weights is not None:
            self._net.load_state_dict(weights)
        self._last = _Look(self.step, r2)
        if not self._best.score >= self._last.score:
            self._best, self._best_weights = self._last, copy.deepcopy(self._net.state_dict())
        waited = self.step - self._best.step
        if waited >= self._settings.patience * self._settings.validate_every and self._was_better_before():
            self.done = True

    def _was_better_before(self) -> bool:
        return not self._last.score >= self._best.score - self._settings.tolerance


@dataclass(frozen=True)
class _Look:
    """R² of each output over the validation bins after a step."""

    step: int
    r2: tuple[float, ...]

    @property
    def score(self) -> float:
        known = [value for value in self.r2 if np.isfinite(value)]
        return float(np.mean(known)) if known else -np.inf


def between(start: Mapping[str, Tensor], end: Mapping[str, Tensor], part: float) -> dict[str, Tensor]:
    """`start` + part · (`end` − `start`) for each floating tensor of a state dict, the others from `end`."""
    return {
        name: start[name] + part * (tensor - start[name]) if tensor.is_floating_point() else tensor
        for name, tensor in end.items()
    }


def _under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def validation_r2(
    net: Network, recordings: Sequence[Recording], device: torch.device, ranks: Ranks = ALONE
) -> np.ndarray:
    """R² of the z-scored outputs f8[D] over the validation blocks, mean over the recordings of all ranks.

    The network runs over each whole recording from its first bin, as it does when deployed.
    """
    net.eval()
    scores = []
    with torch.no_grad():
        for recording in (r for r in recordings if r.validated.any()):
            decoded = net.decode(recording.counts[None].to(device), recording.session)[0].cpu().numpy()
            rows = recording.validated
            scores.append(r2(decoded.T[rows], recording.targets.numpy().T[rows]))
    of_all = [score for part in ranks.gather(scores) for score in part]
    return np.asarray(np.nanmean(np.stack(of_all), axis=0))


def _moved(batch: Batch, device: torch.device) -> Batch:
    return Batch(batch.counts.to(device), batch.targets.to(device), batch.weight.to(device), batch.sessions)
