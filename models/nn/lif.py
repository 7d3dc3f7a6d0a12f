"""Leaky integrate-and-fire neurons over sequences, time last: Numba on a CPU, spikingjelly elsewhere."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from rtdecode.errors import RtdecodeError
from rtdecode.kernels.training.lif import lif_backward, lif_forward

TAU, THRESHOLD, ALPHA = 2.0, 0.3, 2.0

#: Layers read pre-reset membrane potentials clipped to [0, 1], as `rtdecode.kernels.decoders.causal_conv`.
POTENTIAL_MAX = 1.0


class Fired(NamedTuple):
    """Response of neurons to a sequence of currents.

    Attributes:
        spikes: f4[…, T], 0 or 1.
        potential: f4[…, T], membrane potentials before the reset.
        v: f4[…], membrane potentials after the last step, from which the next sequence continues.
    """

    spikes: Tensor
    potential: Tensor
    v: Tensor


class LIF(nn.Module):
    """Leaky integrate-and-fire neurons without parameters; every call starts at rest.

        spikes = LIF()(torch.randn(32, 64, 100))        # 0. and 1., [32, 64, 100]

    V ← V + (I − V)·0.5; where V ≥ 0.3 a spike, and V ← 0. The surrogate gradient is 1 / (1 + (π(V − 0.3))²),
    and 0 through the reset. Spikes are equal to the bit to those of spikingjelly's `LIFNode(tau=2.,
    decay_input=True, v_threshold=.3, v_reset=0., detach_reset=True, surrogate_function=ATan())`.
    """

    def forward(self, current: Tensor) -> Tensor:
        """Spikes f4[…, T] of neurons at rest to currents f4[…, T]; errors are those of `lif`."""
        return self.fire(current).spikes

    def fire(self, current: Tensor) -> Fired:
        """The same spikes, with the membrane potentials."""
        return lif(current)


def lif(current: Tensor, v: Tensor | None = None) -> Fired:
    """Integrate and fire over a sequence.

    Args:
        current: f4[…, T].
        v: f4[…], membrane potentials before the first step; None for rest.

    Returns:
        Spikes and membrane potentials; gradients flow through all three fields to both arguments.

    Raises:
        RtdecodeError: the currents are not float32, or `v` does not fit them; or, from the backward pass on
            a CPU, a second derivative is requested (create_graph).
    """
    if current.dtype != torch.float32 or current.ndim < 1:
        raise RtdecodeError(
            f"currents have dtype {current.dtype} and shape {tuple(current.shape)}",
            fix="pass float32[…, T]",
        )
    if v is None:
        v = current.new_zeros(current.shape[:-1])
    elif v.shape != current.shape[:-1] or v.dtype != current.dtype:
        raise RtdecodeError(
            f"membrane potentials of {v.dtype} and shape {tuple(v.shape)} do not fit currents of shape "
            f"{tuple(current.shape)}",
            fix="pass float32, in the shape of the currents without T",
        )
    if current.device.type == "cpu":
        # Some releases of torch type this, and some do not.
        apply: Any = _CpuLIF.apply
        return Fired(*apply(current, v))
    return spikingjelly_lif(current, v)


def spikingjelly_lif(current: Tensor, v: Tensor) -> Fired:
    """`lif` by spikingjelly's multi-step neuron, on any device, step by step."""
    # Takes seconds to import, and only accelerators need it.
    from spikingjelly.activation_based import neuron, surrogate

    node = neuron.LIFNode(
        tau=TAU,
        decay_input=True,
        v_threshold=THRESHOLD,
        v_reset=0.0,
        surrogate_function=surrogate.ATan(alpha=ALPHA),
        detach_reset=True,
        step_mode="m",
        store_v_seq=True,
    )
    node.v = v
    spikes: Tensor = node(current.movedim(-1, 0)).movedim(0, -1)
    if not current.shape[-1]:
        return Fired(spikes, current, v)
    after: Tensor = node.v_seq.movedim(0, -1)
    # The node stores its membrane potentials after the reset only.
    before = torch.cat([v.unsqueeze(-1), after[..., :-1]], dim=-1)
    return Fired(spikes, before + (current - before) / TAU, after[..., -1])


class _CpuLIF(torch.autograd.Function):
    """Saves the pre-reset potentials only: the spikes follow from them."""

    @staticmethod
    def forward(ctx: Any, current: Tensor, v: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        current, last = current.contiguous(), v.clone(memory_format=torch.contiguous_format)
        spikes, potential = torch.empty_like(current), torch.empty_like(current)
        rows = (last.numel(), current.shape[-1])
        lif_forward(
            current.view(rows).numpy(),
            last.view(-1).numpy(),
            spikes.view(rows).numpy(),
            potential.view(rows).numpy(),
        )
        ctx.save_for_backward(potential)
        ctx.set_materialize_grads(False)
        return spikes, potential, last

    @staticmethod
    def backward(
        ctx: Any, spikes_grad: Tensor | None, potential_grad: Tensor | None, last_grad: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        if torch.is_grad_enabled():
            raise RtdecodeError(
                "LIF neurons on a CPU have no second derivative", fix="differentiate without create_graph"
            )
        (potential,) = ctx.saved_tensors
        current_grad = torch.empty_like(potential)
        if last_grad is None:
            v_grad = potential.new_zeros(potential.shape[:-1])
        else:
            v_grad = last_grad.clone(memory_format=torch.contiguous_format)
        rows = (v_grad.numel(), potential.shape[-1])
        no_grad = potential.new_zeros(0, potential.shape[-1])
        if spikes_grad is None:
            spikes_grad = torch.zeros_like(potential)
        lif_backward(
            spikes_grad.contiguous().view(rows).numpy(),
            (no_grad if potential_grad is None else potential_grad.contiguous().view(rows)).numpy(),
            potential.view(rows).numpy(),
            v_grad.view(-1).numpy(),
            current_grad.view(rows).numpy(),
        )
        return current_grad, v_grad
