"""Leaky integrate-and-fire neurons over sequences, time last: Numba on a CPU, spikingjelly elsewhere."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from rtdecode.errors import RtdecodeError
from rtdecode.kernels.training.lif import lif_backward, lif_forward

TAU, THRESHOLD, ALPHA = 2.0, 0.3, 2.0

#: Where a charge that is read ends (`rtdecode.kernels.decoders.causal_conv.FULL`).
FULL = 1.0


class Fired(NamedTuple):
    """What neurons did in a stretch of time.

    Attributes:
        spikes: f4[…, T], 0 or 1.
        charge: f4[…, T], membranes before the reset: how near to the threshold each came, or how far past.
        v: f4[…], membranes to go on from.
    """

    spikes: Tensor
    charge: Tensor
    v: Tensor


class LIF(nn.Module):
    """Spiking neurons without parameters; every call starts at rest.

        spikes = LIF()(torch.randn(32, 64, 100))        # 0. and 1., [32, 64, 100]

    V ← V + (I − V)·0.5; where V ≥ 0.3 a spike, and V ← 0. The gradient is the surrogate's
    1 / (1 + (π(V − 0.3))²), and none through the reset: spikingjelly's `LIFNode(tau=2., decay_input=True,
    v_threshold=.3, v_reset=0., detach_reset=True, surrogate_function=ATan())`, to the bit in the spikes.
    """

    def forward(self, current: Tensor) -> Tensor:
        """Spikes f4[…, T] of neurons at rest to currents f4[…, T].

        Raises:
            RtdecodeError: as `lif`.
        """
        return self.fire(current).spikes

    def fire(self, current: Tensor) -> Fired:
        """The same, and how far the neurons were charged."""
        return lif(current)


def lif(current: Tensor, v: Tensor | None = None) -> Fired:
    """Spikes of a stretch of time, and the membranes to go on from.

    Args:
        current: f4[…, T].
        v: f4[…], membranes before it; None for rest.

    Returns:
        Spikes, charges and membranes; gradients flow through all three to both arguments.

    Raises:
        RtdecodeError: the currents are no float32, or the membranes do not fit them; or, from the backward
            pass on a CPU, a second derivative was asked for (create_graph).
    """
    if current.dtype != torch.float32 or current.ndim < 1:
        raise RtdecodeError(f"currents of {current.dtype}, shape {tuple(current.shape)}, not float32[…, T]")
    if v is None:
        v = current.new_zeros(current.shape[:-1])
    elif v.shape != current.shape[:-1] or v.dtype != current.dtype:
        raise RtdecodeError(
            f"membranes of {v.dtype}, shape {tuple(v.shape)} do not fit currents of shape "
            f"{tuple(current.shape)} and float32"
        )
    if current.device.type == "cpu":
        # Typed in some releases of torch and not in others.
        apply: Any = _CpuLIF.apply
        return Fired(*apply(current, v))
    return spikingjelly_lif(current, v)


def spikingjelly_lif(current: Tensor, v: Tensor) -> Fired:
    """The same by spikingjelly's multi-step neuron, on any device; it runs over the time step by step."""
    # Seconds to import, and needed beside an accelerator only.
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
    # The node keeps its membranes after the reset only.
    before = torch.cat([v.unsqueeze(-1), after[..., :-1]], dim=-1)
    return Fired(spikes, before + (current - before) / TAU, after[..., -1])


class _CpuLIF(torch.autograd.Function):
    """Saves the membranes before the reset: they tell the spikes as well."""

    @staticmethod
    def forward(ctx: Any, current: Tensor, v: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        current, last = current.contiguous(), v.clone(memory_format=torch.contiguous_format)
        spikes, charged = torch.empty_like(current), torch.empty_like(current)
        rows = (last.numel(), current.shape[-1])
        lif_forward(
            current.view(rows).numpy(),
            last.view(-1).numpy(),
            spikes.view(rows).numpy(),
            charged.view(rows).numpy(),
        )
        ctx.save_for_backward(charged)
        ctx.set_materialize_grads(False)
        return spikes, charged, last

    @staticmethod
    def backward(
        ctx: Any, spikes_grad: Tensor | None, charge_grad: Tensor | None, last_grad: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        if torch.is_grad_enabled():
            raise RtdecodeError(
                "LIF neurons on a CPU have no second derivative", fix="differentiate without create_graph"
            )
        (charged,) = ctx.saved_tensors
        current_grad = torch.empty_like(charged)
        if last_grad is None:
            v_grad = charged.new_zeros(charged.shape[:-1])
        else:
            v_grad = last_grad.clone(memory_format=torch.contiguous_format)
        rows = (v_grad.numel(), charged.shape[-1])
        no_grad = charged.new_zeros(0, charged.shape[-1])
        if spikes_grad is None:
            spikes_grad = torch.zeros_like(charged)
        lif_backward(
            spikes_grad.contiguous().view(rows).numpy(),
            (no_grad if charge_grad is None else charge_grad.contiguous().view(rows)).numpy(),
            charged.view(rows).numpy(),
            v_grad.view(-1).numpy(),
            current_grad.view(rows).numpy(),
        )
        return current_grad, v_grad
