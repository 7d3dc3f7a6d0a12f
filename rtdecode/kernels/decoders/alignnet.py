"""The streaming AlignNet, one bin at a time; docs/model-files.md has the equations.

The networks of an ensemble are a table: `plan` i8[networks, rows, N_COLUMNS] has the indices in the flat
arrays where each convolution of each network finds its weights and its memory. The networks share nothing but
the counts, and their outputs add up. Rows are in the order enc0.0, enc0.1, enc1.0, …, then dec0.0, dec0.1,
dec1.0, …; four more rows describe the latent, the leaky neurons, the hidden units (N_OUT is 0 without any)
and the head. What these four read and compute is adjacent in `values`: features, leaky neurons, hidden units.

The arrays are described in `alignnet_step`; kernels pass them on one by one: a tuple costs 2 µs a bin.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from rtdecode.kernels.arrays import F4, I2, I8, U1, Inputs
from rtdecode.kernels.decoders.causal_conv import N_LAGS, ZERO, fire, leak, rectify
from rtdecode.kernels.decoders.events import (
    ADDS,
    add_rows,
    add_scaled_rows,
    find_counts,
    find_events,
    read_out,
)
from rtdecode.kernels.jit import kernel

# Columns of the plan; all but the sizes are indices into a flat array.
N_IN = 0
N_OUT = 1
WEIGHT = 2  # of [n_in, 3, n_out] (the last four: [n_in, n_out]) in `weights`; the head's in `parameters`
BIAS = 3  # of f4[n_out] in `parameters`
PENDING = 4  # of f4[3, n_out] in `memory`
KEPT = 5  # in `memory`, f4[n_out] voltages of enc and leaky, f4[3, n_out] of decℓ.0: sums of the held frame
SPIKES = 6  # of u1[n_out] in `spikes` and of f4[n_out] in `potentials`, enc
POOLED = 7  # of u1[n_in] in `pooled`, encℓ.0 with ℓ ≥ 1
DECAY = 8  # of f4[n_out] in `parameters`, leaky
SKIP = 9  # of [potentials of the level, n_out] in `weights`, decℓ.0
SCALE = 10  # by which `weights` are multiplied, in `parameters`
SKIP_SCALE = 11  # the same of SKIP, decℓ.0
N_COLUMNS = 12

# Rows beside the convolutions.
N_OTHERS = 4

#: Bins since the reset, in `tally`.
BIN = 2


@kernel
def drive_by_spikes(
    conv: I8, inputs: U1, weights: F4 | I2, parameters: F4, memory: F4, events: I8, tally: I8
) -> None:
    """Add the rows of a convolution's spiking inputs, u1[n_in]."""
    width = N_LAGS * conv[N_OUT]
    n_events = find_events(inputs, events)
    weight = weights[conv[WEIGHT] : conv[WEIGHT] + conv[N_IN] * width]
    total = memory[conv[PENDING] : conv[PENDING] + width]
    add_rows(weight, parameters[conv[SCALE]], events, n_events, total)
    tally[ADDS] += n_events * width


@kernel
def drive_by_values(
    weight_at: int, scale: np.float32, inputs: F4, weights: F4 | I2, total: F4, events: I8, tally: I8
) -> None:
    """Add the rows of inputs, f4[…], times their values to total f4[a row's length]."""
    n_events = find_events(inputs, events)
    weight = weights[weight_at : weight_at + inputs.shape[0] * total.shape[0]]
    add_scaled_rows(weight, scale, events, n_events, inputs, total)
    tally[ADDS] += n_events * total.shape[0]


@kernel
def fire_layer(conv: I8, parameters: F4, memory: F4, spikes: U1, potentials: F4) -> U1:
    """The spikes u1[n_out] of an encoder's convolution, all its inputs added."""
    n = conv[N_OUT]
    fired = spikes[conv[SPIKES] : conv[SPIKES] + n]
    fire(
        parameters[conv[BIAS] : conv[BIAS] + n],
        memory[conv[PENDING] : conv[PENDING] + N_LAGS * n],
        memory[conv[KEPT] : conv[KEPT] + n],
        fired,
        potentials[conv[SPIKES] : conv[SPIKES] + n],
    )
    return fired


@kernel
def rectify_layer(conv: I8, parameters: F4, memory: F4, values: F4) -> F4:
    """The values f4[n_out] of a decoder's convolution, all its inputs added; a part of `values`."""
    n = conv[N_OUT]
    rectified = values[:n]
    rectify(
        parameters[conv[BIAS] : conv[BIAS] + n], memory[conv[PENDING] : conv[PENDING] + N_LAGS * n], rectified
    )
    return rectified


@kernel
def drive_by_counts(
    counts: Inputs,
    limit: U1,
    plan: I8,
    weights: F4 | I2,
    parameters: F4,
    memory: F4,
    values: F4,
    events: I8,
    tally: I8,
) -> None:
    """Add the rows of the channels that spiked to the first convolution of each network."""
    n_events = find_counts(counts, limit, tally, events, values)
    for i in range(plan.shape[0]):
        first = plan[i, 0]
        width = N_LAGS * first[N_OUT]
        weight = weights[first[WEIGHT] : first[WEIGHT] + first[N_IN] * width]
        total = memory[first[PENDING] : first[PENDING] + width]
        add_scaled_rows(weight, parameters[first[SCALE]], events, n_events, values, total)
        tally[ADDS] += n_events * width


@kernel
def encode(
    n_levels: int,
    plan: I8,
    weights: F4 | I2,
    parameters: F4,
    memory: F4,
    pooled: U1,
    spikes: U1,
    potentials: F4,
    events: I8,
    tally: I8,
) -> int:
    """One bin through the levels of a network's encoder that tick in it; returns how many do."""
    for level in range(n_levels):
        if (tally[BIN] + 1) % (1 << level) != 0:
            return level
        first, second = plan[2 * level], plan[2 * level + 1]
        if level > 0:
            inputs = pooled[first[POOLED] : first[POOLED] + first[N_IN]]
            drive_by_spikes(first, inputs, weights, parameters, memory, events, tally)
            inputs[:] = 0
        fired = fire_layer(first, parameters, memory, spikes, potentials)
        drive_by_spikes(second, fired, weights, parameters, memory, events, tally)
        fired = fire_layer(second, parameters, memory, spikes, potentials)
        if level + 1 < n_levels:
            above = plan[2 * level + 2][POOLED]
            for j in range(fired.shape[0]):
                pooled[above + j] |= fired[j]
    return n_levels


@kernel
def potentials_of(plan: I8, level: int, potentials: F4) -> F4:
    """The membrane potentials of both layers of a level, which are adjacent."""
    first, second = plan[2 * level], plan[2 * level + 1]
    return potentials[first[SPIKES] : second[SPIKES] + second[N_OUT]]


@kernel
def hold(conv: I8, coarse: F4, weights: F4 | I2, parameters: F4, memory: F4, events: I8, tally: I8) -> None:
    """Hold a new frame of the level above, f4[…]: sum once what it adds in every bin from now on."""
    held = memory[conv[KEPT] : conv[KEPT] + N_LAGS * conv[N_OUT]]
    held[:] = 0
    drive_by_values(conv[WEIGHT], parameters[conv[SCALE]], coarse, weights, held, events, tally)


@kernel
def drive_dense(
    row: I8, inputs: F4, values: F4, weights: F4 | I2, parameters: F4, events: I8, tally: I8
) -> F4:
    """A dense layer of inputs f4[…]; its outputs f4[n_out] are the first of `values`."""
    total = values[: row[N_OUT]]
    for j in range(row[N_OUT]):
        total[j] = parameters[row[BIAS] + j]
    drive_by_values(row[WEIGHT], parameters[row[SCALE]], inputs, weights, total, events, tally)
    return total


@kernel
def integrate(
    row: I8, n_before: int, values: F4, weights: F4 | I2, parameters: F4, memory: F4, events: I8, tally: I8
) -> int:
    """One bin of the leaky neurons, driven by the first `n_before` values; returns where their sums end."""
    n = int(row[N_OUT])
    if n == 0:
        return n_before
    sums = drive_dense(row, values[:n_before], values[n_before:], weights, parameters, events, tally)
    kept = memory[row[KEPT] : row[KEPT] + n]
    leak(parameters[row[DECAY] : row[DECAY] + n], sums, kept)
    for j in range(n):
        sums[j] = kept[j]
    tally[ADDS] += n
    return n_before + n


@kernel
def mix(row: I8, n_before: int, values: F4, weights: F4 | I2, parameters: F4, events: I8, tally: I8) -> None:
    """One bin of the hidden units, driven by the first `n_before` values; their outputs follow those."""
    if row[N_OUT] == 0:
        return
    mixed = drive_dense(row, values[:n_before], values[n_before:], weights, parameters, events, tally)
    for j in range(mixed.shape[0]):
        mixed[j] = mixed[j] if mixed[j] > ZERO else ZERO


@kernel
def decode_network(
    plan: I8,
    weights: F4 | I2,
    parameters: F4,
    memory: F4,
    pooled: U1,
    spikes: U1,
    potentials: F4,
    values: F4,
    events: I8,
    tally: I8,
    n_outputs: int,
) -> F4:
    """One bin of a network after `drive_by_counts`; returns f4[n_outputs], a part of `values`."""
    n_levels = (plan.shape[0] + 2 - N_OTHERS) // 4
    latent, leaky, hidden, head = (
        plan[4 * n_levels - 2], plan[4 * n_levels - 1], plan[4 * n_levels], plan[4 * n_levels + 1],
    )  # fmt: skip
    n_ticking = encode(n_levels, plan, weights, parameters, memory, pooled, spikes, potentials, events, tally)

    decoded = values[: head[N_IN]]
    if n_ticking == n_levels:
        potential = potentials_of(plan, n_levels - 1, potentials)
        decoded = drive_dense(latent, potential, values, weights, parameters, events, tally)
        if n_levels > 1:
            hold(plan[4 * n_levels - 4], decoded, weights, parameters, memory, events, tally)

    for level in range(min(n_ticking, n_levels - 1) - 1, -1, -1):
        potential = potentials_of(plan, level, potentials)
        first, second = plan[2 * n_levels + 2 * level], plan[2 * n_levels + 2 * level + 1]
        width = N_LAGS * first[N_OUT]
        pending, held = memory[first[PENDING] :], memory[first[KEPT] :]
        for j in range(width):
            pending[j] += held[j]
        skip_scale = parameters[first[SKIP_SCALE]]
        drive_by_values(first[SKIP], skip_scale, potential, weights, pending[: first[N_OUT]], events, tally)
        decoded = rectify_layer(first, parameters, memory, values)
        pending = memory[second[PENDING] : second[PENDING] + N_LAGS * second[N_OUT]]
        drive_by_values(second[WEIGHT], parameters[second[SCALE]], decoded, weights, pending, events, tally)
        decoded = rectify_layer(second, parameters, memory, values)
        if level > 0:
            below = plan[2 * n_levels + 2 * level - 2]
            hold(below, decoded, weights, parameters, memory, events, tally)

    n_read = integrate(leaky, decoded.shape[0], values, weights, parameters, memory, events, tally)
    mix(hidden, n_read, values, weights, parameters, events, tally)
    decoded = values[: head[N_IN]]
    n_events = find_events(decoded, events)
    weight = parameters[head[WEIGHT] : head[WEIGHT] + head[N_IN] * head[N_OUT]]
    out = values[head[N_IN] : head[N_IN] + n_outputs]
    read_out(weight, parameters[head[BIAS] :], events, n_events, decoded, out)
    tally[ADDS] += n_events * head[N_OUT]
    return out


@kernel
def alignnet_step(
    limit: U1,
    tally: I8,
    plan: I8,
    weights: F4 | I2,
    parameters: F4,
    memory: F4,
    pooled: U1,
    spikes: U1,
    potentials: F4,
    values: F4,
    events: I8,
    counts: Inputs,
    out: F4,
) -> None:
    """Decode counts u1[C] of one bin into out f4[D].

    Args:
        limit: u1[C], the most that a channel counts, more is clipped and counted; 0 passes it over.
        tally: i8[N_TALLIES].
        plan: i8[networks, 4·levels − 2 + N_OTHERS, N_COLUMNS] (module docstring).
        weights: i2 or f4, of every layer but the head.
        parameters: f4, biases, decays, scales of `weights`, and the head's weights.
        memory: f4, the state: pending sums, voltages, sums of held frames.
        pooled: u1, the state of the pooling: which neurons fired since the level above ticked.
        spikes: u1, each spiking layer's last frame, overwritten where its level ticks.
        potentials: f4, scratch, as long as `spikes`: pre-reset membrane potentials, clipped to 0 to 1.
        values: f4, scratch, as long as the widest input or continuous layer, and D more.
        events: i8, scratch, as long as the widest input of a layer or the potentials of a level.
    """
    drive_by_counts(counts, limit, plan, weights, parameters, memory, values, events, tally)
    n_outputs = out.shape[0]
    for i in range(plan.shape[0]):
        part = decode_network(
            plan[i], weights, parameters, memory, pooled, spikes, potentials, values, events, tally, n_outputs
        )
        for d in range(n_outputs):
            out[d] = part[d] if i == 0 else out[d] + part[d]
    tally[BIN] += 1


@kernel
def alignnet_run(arrays: tuple[Any, ...], counts: Inputs, out: F4) -> None:
    """`alignnet_step` over the rows of counts u1[T, C] into the rows of out f4[T, D]."""
    for k in range(counts.shape[0]):
        alignnet_step(*(*arrays, counts[k], out[k]))


@kernel
def alignnet_trace(arrays: tuple[Any, ...], fired: U1, counts: Inputs, out: F4, spikes: U1) -> None:
    """`alignnet_run`, and `fired`, its array of spikes, after each bin into the rows of u1[T, len(fired)]."""
    for k in range(counts.shape[0]):
        alignnet_step(*(*arrays, counts[k], out[k]))
        spikes[k] = fired
