"""The Wiener filter, event-driven: each spike adds its weights to the outputs still to come."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rtdecode.kernels.jit import kernel


@kernel
def wiener_step(
    counts: NDArray[np.uint8],
    weight: NDArray[np.float32],
    bias: NDArray[np.float64],
    good: NDArray[np.bool_],
    count_max: int,
    pending: NDArray[np.float64],
    tally: NDArray[np.int64],
    active: NDArray[np.int64],
    out: NDArray[np.float32],
) -> None:
    """Decode one bin.

    A product of a count and a float32 weight is exact in float64, and the additions come in a fixed
    order, so the result is the same to the bit with or without fused multiply-add.

    Args:
        counts: u1[C], spikes per channel in this bin.
        weight: f4[C, H·D], for each channel the H lags' weights for the D outputs, lag 0 first.
        bias: f8[D].
        good: bool[C]; a False channel is passed over.
        count_max: larger counts are clipped to it, and tallied.
        pending: f8[H·D], a ring of H rows: what the bins so far have added to the next H outputs.
        tally: i8[2], the ring's row of this bin, and the counts clipped so far.
        active: i8[C], scratch.
        out: f4[D], overwritten.
    """
    n_outputs = out.shape[0]
    head = tally[0] * n_outputs
    # Two straight runs instead of one around the corner: the loops below stay free of a modulo.
    ahead = pending[head:]
    wrapped = pending[:head]
    n_ahead = ahead.shape[0]

    # Written for every channel and kept for some: no branch to mispredict while most are silent.
    n_active = 0
    for channel in range(counts.shape[0]):
        active[n_active] = channel
        n_active += int((counts[channel] != 0) & good[channel])

    for i in range(n_active):
        channel = active[i]
        count = int(counts[channel])
        if count > count_max:
            count = count_max
            tally[1] += 1
        n = float(count)
        row = weight[channel]
        for j in range(n_ahead):
            ahead[j] += n * row[j]
        rest = row[n_ahead:]
        for j in range(head):
            wrapped[j] += n * rest[j]

    for d in range(n_outputs):
        out[d] = bias[d] + ahead[d]
        ahead[d] = 0.0
    head += n_outputs
    tally[0] = 0 if head == pending.shape[0] else head // n_outputs


@kernel
def wiener_run(
    counts: NDArray[np.uint8],
    weight: NDArray[np.float32],
    bias: NDArray[np.float64],
    good: NDArray[np.bool_],
    count_max: int,
    pending: NDArray[np.float64],
    tally: NDArray[np.int64],
    active: NDArray[np.int64],
    out: NDArray[np.float32],
) -> None:
    """`wiener_step` over the rows of counts u1[T, C] into the rows of out f4[T, D]."""
    for k in range(counts.shape[0]):
        wiener_step(counts[k], weight, bias, good, count_max, pending, tally, active, out[k])
