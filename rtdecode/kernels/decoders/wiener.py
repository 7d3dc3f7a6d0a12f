"""The Wiener filter, event-driven: each spike adds its weights to the outputs still to come."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rtdecode.kernels.decoders.events import CLIPPED, F4, I8, U1, Mask
from rtdecode.kernels.jit import kernel

F8 = NDArray[np.float64]

#: The row of `pending` that belongs to this bin, in `tally`.
HEAD = 1
N_TALLIES = 2


class WienerArrays(NamedTuple):
    """A model and its state.

    Attributes:
        weight: f4[C, H·D], for each channel the H lags' weights for the D outputs, lag 0 first.
        bias: f8[D].
        good: bool[C]; a False channel is passed over.
        count_max: larger counts are clipped to it, and counted.
        pending: f8[H·D], a ring of H rows: what the bins so far add to the next H outputs.
        tally: i8[N_TALLIES].
        active: i8[C], scratch.
    """

    weight: F4
    bias: F8
    good: Mask
    count_max: int
    pending: F8
    tally: I8
    active: I8


@kernel
def wiener_step(
    weight: F4,
    bias: F8,
    good: Mask,
    count_max: int,
    pending: F8,
    tally: I8,
    active: I8,
    counts: U1,
    out: F4,
) -> None:
    """Decode counts u1[C] of one bin into out f4[D].

    A product of a count and a float32 weight is exact in float64, and the additions have a fixed order, so
    the result is the same to the bit with or without fused multiply-add.

    The other arguments are `WienerArrays`, one by one: a NamedTuple costs 3 µs in each call from Python.
    """
    n_outputs = out.shape[0]
    head = tally[HEAD] * n_outputs
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
            tally[CLIPPED] += 1
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
    tally[HEAD] = 0 if head == pending.shape[0] else head // n_outputs


@kernel
def wiener_run(arrays: WienerArrays, counts: U1, out: F4) -> None:
    """`wiener_step` over the rows of counts u1[T, C] into the rows of out f4[T, D]."""
    for k in range(counts.shape[0]):
        wiener_step(
            arrays.weight, arrays.bias, arrays.good, arrays.count_max, arrays.pending,
            arrays.tally, arrays.active, counts[k], out[k],
        )  # fmt: skip
