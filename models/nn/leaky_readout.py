"""The read-out of behaviour: a linear head over features, leaky integrators, and hidden units over both."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rtdecode.errors import RtdecodeError
from rtdecode.kernels.training.leaky import leaky_backward, leaky_forward
from rtdecode.models.nn.dropout import Dropout
from rtdecode.models.nn.layers import Pointwise

LONGEST_BINS = 60.0


class LeakyReadOut(nn.Module):
    """y = A·[f, h, q] + a, from features f, leaky neurons h and hidden units q, in every frame.

        read_out = LeakyReadOut(64, 4, leaky=64, hidden=64)
        read_out(torch.randn(8, 64, 100))              # [8, 4, 100]

    h[k] = λ·h[k−1] + √(1−λ²)·(B·f[k] + b), λ = exp(−1/τ) for each leaky neuron, and q = relu(C·[f, h] + c).
    Convolutions over pooled levels reach back some seconds only; a position is the sum of velocities over a
    much longer time, and how far to trust it depends on the current movement. The root makes the variance of
    h for white input independent of τ. h is 0 before frame 0. Time constants are trained, starting from
    `draw_time_constants`. The neurons never fire.

    Args:
        n_in: features.
        n_out: outputs.
        leaky: leaky neurons.
        hidden: hidden units; with neither, the read-out is a linear head.
        dropout: probability of setting a hidden unit to 0 in one frame, while training.

    Raises:
        RtdecodeError: a number of neurons is negative.

    Shape:
        [N, n_in, T] → [N, n_out, T].
    """

    def __init__(
        self, n_in: int, n_out: int, *, leaky: int = 0, hidden: int = 0, dropout: float = 0.0
    ) -> None:
        super().__init__()
        if min(leaky, hidden) < 0:
            raise RtdecodeError(
                f"a read-out cannot have {leaky} leaky neurons and {hidden} hidden units",
                fix="pass 0 or more",
            )
        self.drive = Pointwise(n_in, leaky) if leaky else None
        self.mix = Pointwise(n_in + leaky, hidden) if hidden else None
        self.head = Pointwise(n_in + leaky + hidden, n_out)
        self.log_tau = nn.Parameter(torch.empty(leaky)) if leaky else None
        self.dropout = Dropout(dropout)
        self.draw_time_constants()

    def draw_time_constants(self, longest_bins: float = LONGEST_BINS) -> None:
        """Draw time constants between one bin and `longest_bins`, log-uniformly."""
        if self.log_tau is not None:
            nn.init.uniform_(self.log_tau, 0.0, math.log(longest_bins))

    def forward(self, features: Tensor) -> Tensor:
        read = features
        if self.drive is not None:
            decay = self.decay()
            driven = self.drive(features).float() * torch.sqrt(1.0 - decay * decay)[:, None]
            read = torch.cat([features, leaky_sum(driven, decay)], dim=1)
        if self.mix is not None:
            read = torch.cat([read, self.dropout(F.relu(self.mix(read)))], dim=1)
        y: Tensor = self.head(read)
        return y

    def decay(self) -> Tensor:
        """λ of each leaky neuron, [leaky]."""
        if self.log_tau is None:
            return self.head.weight.new_zeros(0)
        return torch.exp(-torch.exp(-self.log_tau))


def leaky_sum(x: Tensor, decay: Tensor) -> Tensor:
    """h[k] = decay·h[k−1] + x[k], h[−1] = 0: frame by frame in Numba on a CPU, `leaky_scan` elsewhere.

    Args:
        x: [N, n, T].
        decay: [n] of the same type, each in [0, 1).

    Returns:
        [N, n, T].
    """
    if x.device.type == "cpu":
        # Some releases of torch type this, and some do not.
        apply: Any = _CpuLeakySum.apply
        sums: Tensor = apply(x, decay)
        return sums
    return leaky_scan(x, decay)


def leaky_scan(x: Tensor, decay: Tensor) -> Tensor:
    """`leaky_sum` in log₂ T passes over all frames at once.

    After the pass of distance d, frame k holds the sum over the last 2d frames (Hillis & Steele 1986).
    """
    distance, power = 1, decay
    while distance < x.shape[-1]:
        x = x + F.pad(x[..., :-distance], (distance, 0)) * power[:, None]
        distance, power = 2 * distance, power * power
    return x


class _CpuLeakySum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, decay: Tensor) -> Tensor:
        x = x.contiguous()
        sums = torch.empty_like(x)
        rows = (x.shape[0] * x.shape[1], x.shape[2])
        leaky_forward(x.view(rows).numpy(), decay.numpy(), sums.view(rows).numpy())
        ctx.save_for_backward(sums, decay)
        return sums

    @staticmethod
    def backward(ctx: Any, sums_grad: Tensor) -> tuple[Tensor, Tensor]:
        if torch.is_grad_enabled():
            raise RtdecodeError(
                "leaky neurons on a CPU have no second derivative", fix="differentiate without create_graph"
            )
        sums, decay = ctx.saved_tensors
        x_grad, decay_grad = torch.empty_like(sums), torch.empty(len(decay), dtype=torch.float64)
        rows = (sums.shape[0] * sums.shape[1], sums.shape[2])
        leaky_backward(
            sums_grad.contiguous().view(rows).numpy(),
            sums.view(rows).numpy(),
            decay.numpy(),
            x_grad.view(rows).numpy(),
            decay_grad.numpy(),
        )
        return x_grad, decay_grad.to(decay.dtype)
