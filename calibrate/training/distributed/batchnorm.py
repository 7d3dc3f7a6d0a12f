"""Batch normalisation over the windows of all ranks: no rank's sessions represent all sessions.

`torch.nn.SyncBatchNorm` does the same on GPUs only.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rtdecode.calibrate.training.distributed.ranks import Ranks

Norm = nn.BatchNorm1d | nn.BatchNorm2d


@contextmanager
def synchronised(net: nn.Module, ranks: Ranks) -> Iterator[None]:
    """Within the context, `net` normalises by the batches of all ranks; with one rank nothing changes.

    In training mode every rank has to run the same layers in the same order. Running statistics are the same
    on each.
    """
    norms = [norm for norm in net.modules() if isinstance(norm, Norm)] if ranks.several else []
    for norm in norms:
        norm.forward = partial(_normalised, norm, ranks)  # type: ignore[method-assign]
    try:
        yield
    finally:
        for norm in norms:
            del norm.forward


def _normalised(norm: Norm, ranks: Ranks, x: Tensor) -> Tensor:
    if not norm.training:
        return type(norm).forward(norm, x)
    statistics = _statistics(x.detach().float(), ranks)
    with torch.no_grad():
        _update_running(norm, statistics)
    y: Tensor = _Normalised.apply(x, norm.weight, norm.bias, statistics, norm.eps, ranks)
    return y


class _Statistics(NamedTuple):
    """Mean and variance f4[channels] over the values of all ranks, and the number of values per channel."""

    mean: Tensor
    variance: Tensor
    n: float


def _statistics(x: Tensor, ranks: Ranks) -> _Statistics:
    # Two passes are ten times as fast as `torch.var_mean` on a CPU.
    mean = x.mean(_all_but_channels(x))
    variance = (x - mean.view(_along_channels(x))).square_().mean(_all_but_channels(x))
    n = x.numel() // x.shape[1]
    # In float64, where the difference of squares below costs nothing.
    own = mean.double()
    sums = torch.cat([n * own, n * (variance.double() + own**2), own.new_tensor([n])])
    total = ranks.total(sums)
    n_all = total[-1]
    mean_all, square = (total[:-1] / n_all).chunk(2)
    return _Statistics(mean_all.float(), (square - mean_all**2).clamp(min=0.0).float(), float(n_all))


def _update_running(norm: Norm, statistics: _Statistics) -> None:
    mean, variance, n = statistics
    if norm.running_mean is None or norm.running_var is None or norm.num_batches_tracked is None:
        return
    norm.num_batches_tracked += 1
    momentum = 1.0 / float(norm.num_batches_tracked) if norm.momentum is None else norm.momentum
    norm.running_mean.lerp_(mean, momentum)
    norm.running_var.lerp_(variance * (n / max(n - 1.0, 1.0)), momentum)


class _Normalised(torch.autograd.Function):
    """(x − mean) / √(variance + eps) · weight + bias, where mean and variance depend on all ranks' x."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor,
        statistics: _Statistics,
        eps: float,
        ranks: Ranks,
    ) -> Tensor:
        mean, variance, n = statistics
        ctx.save_for_backward(x, weight, mean, torch.rsqrt(variance + eps))
        ctx.n, ctx.ranks = n, ranks
        return F.batch_norm(x, mean, variance, weight, bias, training=False, eps=eps)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, mean, scale = ctx.saved_tensors
        shape = _along_channels(x)
        grad = grads[0].float()
        z = (x.float() - mean.view(shape)) * scale.view(shape)
        own = torch.stack([part.sum(_all_but_channels(x)) for part in (grad, grad * z)])
        of_all, along_z = (ctx.ranks.total(own.double()) / ctx.n).float().view(2, *shape)
        grad_x = (grad - of_all - z * along_z) * (weight * scale).view(shape)
        # The parameters' gradients are averaged over ranks like any others.
        return grad_x.to(x.dtype), own[1], own[0], None, None, None


def _all_but_channels(x: Tensor) -> list[int]:
    return [dim for dim in range(x.ndim) if dim != 1]


def _along_channels(x: Tensor) -> tuple[int, ...]:
    """The shape in which a value per channel broadcasts against `x`."""
    return (1, -1, *(1,) * (x.ndim - 2))
