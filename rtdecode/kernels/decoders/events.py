"""What event-driven layers share: find the inputs that are not zero, and add their rows of weights.

A row holds all that one input adds: to the outputs of every lag, lag 0 first. Rows are added four at a
time, in the order of the inputs, so that the sum is stored a quarter as often. Weights are float32, or int16
times a scale: reading them from memory limits a step. A scale that is a power of two changes no bit.

The input of a decoder is a row of counts u1[C]; with features i2[C + F], which follow the counts as codes of
their own, 0 for the mean (`rtdecode.kernels.features`). `limit` u1 has the most that each counts: the model's
count_max, or 0 for a channel that is passed over.
"""

from __future__ import annotations

import numpy as np

from rtdecode.kernels.arrays import F4, I2, I8, U1, Inputs
from rtdecode.kernels.jit import kernel

#: What the first two entries of every decoder's `tally` i8 count, since it was made.
CLIPPED = 0  # counts above their limit
ADDS = 1  # weights added to a sum
N_TALLIES = 3


@kernel
def find_events(row: U1 | F4, events: I8) -> int:
    """Write the indices of non-zero entries of `row` to events i8[>= len(row)]; returns their number."""
    # Written for every index and kept for some: no branch to mispredict while most are silent.
    n_events = 0
    for i in range(row.shape[0]):
        events[n_events] = i
        n_events += int(row[i] != 0)
    return n_events


@kernel
def find_spiking(counts: Inputs, limit: U1, channels: I8) -> int:
    """As `find_events` for counts u1[C]; a channel whose limit u1[C] is 0 is passed over."""
    n_spiking = 0
    for channel in range(counts.shape[0]):
        channels[n_spiking] = channel
        n_spiking += int((counts[channel] != 0) & (limit[channel] != 0))
    return n_spiking


@kernel
def clipped(count: int, limit: int, tally: I8) -> float:
    """The count, or the limit of its channel for a larger one, which is counted."""
    if count > limit:
        tally[CLIPPED] += 1
        return float(limit)
    return float(count)


@kernel
def find_counts(counts: Inputs, limit: U1, tally: I8, events: I8, sizes: F4) -> int:
    """Write the channels that spiked to events i8[C], their clipped counts to sizes f4[C]; how many."""
    n_events = find_spiking(counts, limit, events)
    for i in range(n_events):
        sizes[events[i]] = np.float32(clipped(counts[events[i]], limit[events[i]], tally))
    return n_events


@kernel
def add_rows(weight: F4 | I2, scale: np.float32, events: I8, n_events: int, total: F4) -> None:
    """total f4[width] += scale · rows of weight[inputs · width]: the first n_events that `events` names."""
    width = total.shape[0]
    whole = n_events - n_events % 4
    for i in range(0, whole, 4):
        a = weight[events[i] * width : (events[i] + 1) * width]
        b = weight[events[i + 1] * width : (events[i + 1] + 1) * width]
        c = weight[events[i + 2] * width : (events[i + 2] + 1) * width]
        d = weight[events[i + 3] * width : (events[i + 3] + 1) * width]
        for j in range(width):
            total[j] += scale * (
                (np.float32(a[j]) + np.float32(b[j])) + (np.float32(c[j]) + np.float32(d[j]))
            )
    for i in range(whole, n_events):
        a = weight[events[i] * width : (events[i] + 1) * width]
        for j in range(width):
            total[j] += scale * np.float32(a[j])


@kernel
def add_scaled_rows(
    weight: F4 | I2, scale: np.float32, events: I8, n_events: int, sizes: F4, total: F4
) -> None:
    """As `add_rows`, each row times its input's size: sizes f4[inputs]."""
    width = total.shape[0]
    whole = n_events - n_events % 4
    for i in range(0, whole, 4):
        a = weight[events[i] * width : (events[i] + 1) * width]
        b = weight[events[i + 1] * width : (events[i + 1] + 1) * width]
        c = weight[events[i + 2] * width : (events[i + 2] + 1) * width]
        d = weight[events[i + 3] * width : (events[i + 3] + 1) * width]
        p, q = scale * sizes[events[i]], scale * sizes[events[i + 1]]
        r, s = scale * sizes[events[i + 2]], scale * sizes[events[i + 3]]
        for j in range(width):
            total[j] += (p * np.float32(a[j]) + q * np.float32(b[j])) + (
                r * np.float32(c[j]) + s * np.float32(d[j])
            )
    for i in range(whole, n_events):
        a = weight[events[i] * width : (events[i] + 1) * width]
        p = scale * sizes[events[i]]
        for j in range(width):
            total[j] += p * np.float32(a[j])


@kernel
def read_out(weight: F4, bias: F4, events: I8, n_events: int, values: F4, out: F4) -> None:
    """out f4[D] = bias f4[D] + Σ values[i] · weight[i], weight f4[inputs · D]: in float64, rounded once."""
    n_outputs = out.shape[0]
    for d in range(n_outputs):
        total = np.float64(bias[d])
        for i in range(n_events):
            total += np.float64(values[events[i]]) * np.float64(weight[events[i] * n_outputs + d])
        out[d] = total
