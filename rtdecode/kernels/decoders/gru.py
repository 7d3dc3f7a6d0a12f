"""The gated recurrent unit, event-driven at its input; gates in the order and form of torch.nn.GRU."""

from __future__ import annotations

from typing import Any

import numpy as np

from rtdecode.kernels.arrays import F4, I8, U1, Inputs
from rtdecode.kernels.decoders.events import (
    ADDS,
    add_scaled_rows,
    find_counts,
    find_events,
    read_out,
)
from rtdecode.kernels.jit import kernel

ONE = np.float32(1.0)

_SQUARINGS = 8
_INVERSES = tuple(1.0 / i for i in range(8, 0, -1))
_FARTHEST = 40.0


@kernel
def exponential(x: float) -> float:
    """exp(x) for |x| ≤ 40, beyond that exp(±40); relative error below 1e-9.

    Taylor's series of exp(x/256), squared eight times: no library, whose last bits differ between machines,
    and nothing that keeps a loop around it from running several values at a time.
    """
    y = min(max(x, -_FARTHEST), _FARTHEST) / (1 << _SQUARINGS)
    power = 1.0
    for inverse in _INVERSES:
        power = 1.0 + y * inverse * power
    for _ in range(_SQUARINGS):
        power *= power
    return power


@kernel
def update_hidden(from_input: F4, from_hidden: F4, hidden: F4) -> None:
    """One step of the hidden state, in float64; r·h_n and the new h are rounded once each.

        r = σ(i_r + h_r);   z = σ(i_z + h_z);   n = tanh(i_n + r·h_n);   h ← (1 − z)·n + z·h

    Args:
        from_input: i f4[3·H], biases included, in the order r, z, n.
        from_hidden: h f4[3·H], biases included, in the same order; r·h_n takes the place of h_n.
        hidden: f4[H], overwritten.
    """
    n = hidden.shape[0]
    input_r, input_z, input_n = from_input[:n], from_input[n : 2 * n], from_input[2 * n :]
    hidden_r, hidden_z, hidden_n = from_hidden[:n], from_hidden[n : 2 * n], from_hidden[2 * n :]
    for j in range(n):
        driven = np.float64(input_r[j]) + np.float64(hidden_r[j])
        hidden_n[j] = np.float64(hidden_n[j]) / (1.0 + exponential(-driven))
    for j in range(n):
        z = 1.0 / (1.0 + exponential(-(np.float64(input_z[j]) + np.float64(hidden_z[j]))))
        e = exponential(-2.0 * (np.float64(input_n[j]) + np.float64(hidden_n[j])))
        hidden[j] = (1.0 - z) * ((1.0 - e) / (1.0 + e)) + z * np.float64(hidden[j])


@kernel
def gru_step(
    limit: U1,
    tally: I8,
    weight_ih: F4,
    bias_ih: F4,
    weight_hh: F4,
    bias_hh: F4,
    head_weight: F4,
    head_bias: F4,
    hidden: F4,
    gates: F4,
    sizes: F4,
    events: I8,
    counts: Inputs,
    out: F4,
) -> None:
    """Decode counts u1[C] of one bin into out f4[D].

    Args:
        limit: u1[C], the most that a channel counts, more is clipped and counted; 0 passes it over.
        tally: i8[N_TALLIES].
        weight_ih, bias_ih: f4[C · 3·H] and f4[3·H].
        weight_hh, bias_hh: f4[H · 3·H] and f4[3·H].
        head_weight, head_bias: f4[H · D] and f4[D].
        hidden: f4[H], the state.
        gates: f4[6·H], scratch.
        sizes, events: f4 and i8, scratch, as long as the larger of C and H.
    """
    n = hidden.shape[0]
    from_input, from_hidden = gates[: 3 * n], gates[3 * n :]
    n_spiking = find_counts(counts, limit, tally, events, sizes)
    for j in range(3 * n):
        from_input[j] = bias_ih[j]
        from_hidden[j] = bias_hh[j]
    add_scaled_rows(weight_ih, ONE, events, n_spiking, sizes, from_input)
    n_hidden = find_events(hidden, events)
    add_scaled_rows(weight_hh, ONE, events, n_hidden, hidden, from_hidden)
    update_hidden(from_input, from_hidden, hidden)
    n_read = find_events(hidden, events)
    read_out(head_weight, head_bias, events, n_read, hidden, out)
    tally[ADDS] += (n_spiking + n_hidden) * 3 * n + n_read * out.shape[0]


@kernel
def gru_run(arrays: tuple[Any, ...], counts: Inputs, out: F4) -> None:
    """`gru_step` over the rows of counts u1[T, C] into the rows of out f4[T, D]."""
    for k in range(counts.shape[0]):
        gru_step(*(*arrays, counts[k], out[k]))
