"""The cost of a network: parameters, multiply-adds, and how many of these have a non-zero input."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

_LAYERS = (nn.Conv1d, nn.Conv2d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.Linear, nn.GRU)


@dataclass(frozen=True)
class Cost:
    """Cost of one forward pass.

    Attributes:
        parameters: numbers that are multiplied or added; the read-in folds into the first layer.
        dense_macs: multiply-adds per bin, over all inputs.
        effective_acs: of these, the ones with an input other than 0.
        sparsity: fraction of zeros among the inputs of layers that read only spikes; None without any.
    """

    parameters: int
    dense_macs: float
    effective_acs: float
    sparsity: float | None


def cost_of(
    parts: Sequence[nn.Module], run: Callable[[], object], n_bins: int, first_density: float | None = None
) -> Cost:
    """Measure a forward pass while it runs once.

    Args:
        parts: the modules that it runs through.
        run: sends bins through them, in evaluation mode.
        n_bins: number of bins.
        first_density: fraction of non-zero inputs of the first layer, for normalised counts, which a folded
            read-in does not need; None to count its inputs.
    """
    dense = effective = 0.0
    fired = frames = 0
    first = True
    handles = []

    def count(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor | tuple[Tensor, ...]) -> None:
        nonlocal dense, effective, fired, frames, first
        x = inputs[0]
        y = output[0] if isinstance(output, tuple) else output
        macs = _macs(module, x, y)
        density = float((x != 0).float().mean()) if x.numel() else 0.0
        if first and first_density is not None:
            density = first_density
        if not first and bool(((x == 0) | (x == 1)).all()):
            fired += int(x.count_nonzero())
            frames += x.numel()
        first = False
        dense += macs
        if isinstance(module, nn.GRU):
            # The states are inputs too, and seldom 0 after the first bin, whatever the counts are.
            of_states = macs * _share_of_states(module)
            effective += (macs - of_states) * density
            effective += of_states * int(y[:, :-1].count_nonzero()) / max(y.numel(), 1)
            return
        effective += macs * density

    for part in parts:
        for module in part.modules():
            if isinstance(module, _LAYERS):
                handles.append(module.register_forward_hook(count))
    try:
        with torch.no_grad():
            run()
    finally:
        for handle in handles:
            handle.remove()
    return Cost(
        parameters=sum(parameter.numel() for part in parts for parameter in part.parameters()),
        dense_macs=dense / n_bins,
        effective_acs=effective / n_bins,
        sparsity=1.0 - fired / frames if frames else None,
    )


def _macs(module: nn.Module, x: Tensor, y: Tensor) -> float:
    if isinstance(module, nn.GRU):
        return float(_weights(module, "weight") * x.shape[0] * x.shape[1])
    if isinstance(module, nn.ConvTranspose1d | nn.ConvTranspose2d):
        n_positions = x.shape[0] * x[0, 0].numel()
    else:
        n_positions = y.shape[0] * (y[0, 0].numel() if y.ndim > 2 else 1)
    weight = module.weight
    assert isinstance(weight, Tensor)
    return float(weight.numel() * n_positions)


def _weights(gru: nn.GRU, stem: str) -> int:
    return sum(each.numel() for name, each in gru.named_parameters() if name.startswith(stem))


def _share_of_states(gru: nn.GRU) -> float:
    return _weights(gru, "weight_hh") / _weights(gru, "weight")
