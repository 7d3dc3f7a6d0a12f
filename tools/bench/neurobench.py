"""The same figures as `costs.py`, by the package neurobench; imported where that is wanted."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import torch

from rtdecode.artifact import ModelArtifact
from rtdecode.kernels.arrays import F4, Inputs
from rtdecode.tools.bench.costs import Costs, known_rows, scored_outputs
from rtdecode.tools.bench.layers import Fires, as_batch, layers_of


def neurobench_costs(
    artifact: ModelArtifact, inputs: Inputs, targets: F4 | None = None
) -> tuple[Costs, float | None]:
    """NeuroBench's metrics of a network, a bin being a sample.

    Args:
        artifact, inputs, targets: as of `costs_of`.

    Returns:
        The figures, activation sparsity being that of spiking neurons, and NeuroBench's own activation
        sparsity, which takes in rectified units; None for a network without either.

    Raises:
        ModuleNotFoundError: neurobench is not installed.
        RtdecodeError: the model is not a network.
    """
    static, workload = (import_module(f"neurobench.metrics.{each}") for each in ("static", "workload"))
    model = import_module("neurobench.models").TorchModel(layers_of(artifact))
    model.add_activation_module(Fires)
    model.register_hooks()
    with torch.inference_mode():
        batch = as_batch(inputs)
        values = model(batch)
        operations = _operations(workload, model, values, batch)
        sparsity = workload.ActivationSparsity()
        hooks = model.activation_hooks
        every = sparsity(model, values, (batch,)) if hooks else None
        model.activation_hooks = [hook for hook in hooks if isinstance(hook.layer, Fires)]
        spiking = sparsity(model, values, (batch,)) if model.activation_hooks else None
    model.activation_hooks = hooks
    model.cleanup_hooks()
    costs = Costs(
        footprint_bytes=int(static.Footprint()(model)),
        connection_sparsity=float(static.ConnectionSparsity()(model)),
        activation_sparsity=spiking,
        effective_acs=float(operations["Effective_ACs"]),
        effective_macs=float(operations["Effective_MACs"]),
        dense=float(operations["Dense"]),
        r2=None if targets is None else _score(workload, artifact, values, torch.from_numpy(targets)),
    )
    return costs, every


def _operations(workload: Any, model: Any, values: torch.Tensor, batch: torch.Tensor) -> dict[str, float]:
    counted: dict[str, float] = workload.SynapticOperations()(model, values, (batch,))
    return counted


def _score(
    workload: Any, artifact: ModelArtifact, values: torch.Tensor, targets: torch.Tensor
) -> float | None:
    """NeuroBench's R² takes two outputs, and has no notion of an unknown one."""
    pair = scored_outputs(artifact)
    if len(pair) < 2:
        return None
    known = torch.from_numpy(known_rows(targets[:, pair].numpy()))
    decoded, wanted = (each[known][:, pair].double() for each in (values, targets))
    return float(workload.R2()(None, decoded, (None, wanted)))
