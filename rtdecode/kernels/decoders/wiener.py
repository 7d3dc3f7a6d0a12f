"""The Wiener filter, event-driven: each spike adds its weights to the outputs still to come."""

from __future__ import annotations

from typing import Any

from rtdecode.kernels.arrays import F4, F8, I8, U1, Inputs
from rtdecode.kernels.decoders.events import clipped, find_spiking
from rtdecode.kernels.jit import kernel

#: The row of `pending` that belongs to this bin, in `tally`.
HEAD = 2


@kernel
def wiener_step(
    limit: U1,
    tally: I8,
    weight: F4,
    bias: F8,
    pending: F8,
    active: I8,
    counts: Inputs,
    out: F4,
) -> None:
    """Decode counts u1[C] of one bin into out f4[D].

    A product of a count and a float32 weight is exact in float64, and the additions have a fixed order, so
    the result is the same to the bit with or without fused multiply-add.

    Args:
        limit: u1[C], the most that a channel counts, more is clipped and counted; 0 passes it over.
        tally: i8[N_TALLIES].
        weight: f4[C, H·D], for each channel the H lags' weights for the D outputs, lag 0 first.
        bias: f8[D].
        pending: f8[H·D], a ring of H rows: what the bins so far add to the next H outputs; the state.
        active: i8[C], scratch.
    """
    n_outputs = out.shape[0]
    head = tally[HEAD] * n_outputs
    # Two straight runs instead of one around the corner: the loops below stay free of a modulo.
    ahead = pending[head:]
    wrapped = pending[:head]
    n_ahead = ahead.shape[0]
    for i in range(find_spiking(counts, limit, active)):
        n, row = clipped(counts[active[i]], limit[active[i]], tally), weight[active[i]]
        for j in range(n_ahead):
            ahead[j] += n * row[j]
        rest = row[n_ahead:]
        for j in range(head):
            wrapped[j] += n * rest[j]
    for d in range(n_outputs):
        out[d] = bias[d] + ahead[d]
        ahead[d] = 0.0
    head += n_outputs
    tally[HEAD] = 0 if head == pending.shape[0] else head // n_outputs


@kernel
def wiener_run(arrays: tuple[Any, ...], counts: Inputs, out: F4) -> None:
    """`wiener_step` over the rows of counts u1[T, C] into the rows of out f4[T, D]."""
    for k in range(counts.shape[0]):
        wiener_step(*(*arrays, counts[k], out[k]))
